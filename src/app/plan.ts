import { TailraceError } from "../contracts/errors.ts";
import type { Log } from "../contracts/log.ts";
import type { KnownRows } from "../contracts/row-index.ts";
import type { Source } from "../contracts/source.ts";
import type { Checkpoint, StoredStatus, SyncState } from "../contracts/state.ts";
import type { Sync } from "../contracts/sync.ts";
import type { Config } from "./config/load.ts";
import { type FieldInWords, fieldsInWords, mapSync } from "./mapped-sync.ts";
import { createSource, openState } from "./project.ts";
import { type Reader, readersOf } from "./running/readers.ts";
import { asksToResend, knownRows, resendOf } from "./running/resend.ts";

export interface Plan {
  readonly sources: readonly SourcePlan[];
  readonly syncs: readonly SyncPlan[];
  /** Everything could be looked at. */
  readonly ok: boolean;
}

export interface SourcePlan {
  readonly source: string;
  /** What a run would make or change on it. */
  readonly statements: readonly string[];
  /** Bytes of log that wait to be read; null when nothing is held, or it cannot be told. */
  readonly waitingBytes: number | null;
  readonly problem: string | null;
}

export type Standing = "never ran" | "backfilling" | "streaming" | "paused" | "stopped";

export interface SyncPlan {
  readonly sync: string;
  readonly source: string;
  readonly model: string;
  readonly destination: string;
  readonly object: string | null;
  readonly mode: Sync["mode"];
  readonly standing: Standing;
  /** Why it is stopped. */
  readonly reason: string | null;
  /** The rows that exist and are still to be sent; null when there are none to send. */
  readonly backfill: { readonly estimate: number | null; readonly done: number } | null;
  /** Rows that were sent and would be again, as something else is made of them now; null: none for that reason. */
  readonly resend: { readonly rows: number; readonly why: string; readonly asks: boolean } | null;
  readonly where: string | null;
  readonly fields: readonly FieldInWords[];
  readonly problem: string | null;
}

/** What `run` would make and send. Writes nothing: not to the source, not to a destination, not to the state. */
export async function plan(
  config: Config,
  options: { readonly syncs: readonly Sync[]; readonly signal: AbortSignal; readonly log: Log },
): Promise<Plan> {
  const { syncs, signal, log } = options;
  await using store = await openState(config, log, { readOnly: true });
  const states = new Map((await store.statuses()).map((status): [string, StoredStatus] => [status.sync, status]));
  const planned = new Map<Sync, SyncPlan>();
  // A run reads for all syncs of a reader, whichever are looked at here.
  const readers = readersOf(config).filter((reader) => reader.syncs.some((sync) => syncs.includes(sync)));
  const read = await Promise.all(
    readers.map(async (reader) => {
      await using source = createSource(config, reader.source, log);
      const readerPlan = await planReader(source, reader, states, signal);
      for (const sync of reader.syncs.filter((each) => syncs.includes(each))) {
        planned.set(
          sync,
          await planSync(source, sync, states.get(sync.name)?.state ?? null, {
            signal,
            unreachable: readerPlan.unreachable ? readerPlan.problem : null,
            gap: readerPlan.gaps.get(sync) ?? null,
            known: () => store.knownRows(sync.name),
          }),
        );
      }
      return readerPlan;
    }),
  );
  const sources = [...Map.groupBy(read, ({ source }) => source).values()].map(ofOneSource);
  const plans = syncs.map((sync) => planned.get(sync)!);
  return {
    sources,
    syncs: plans,
    ok: [...sources, ...plans].every(({ problem }) => problem === null),
  };
}

/** What its readers would do, together. */
function ofOneSource(plans: readonly SourcePlan[]): SourcePlan {
  const waiting = plans.map(({ waitingBytes }) => waitingBytes).filter((bytes) => bytes !== null);
  return {
    source: plans[0]!.source,
    statements: [...new Set(plans.flatMap(({ statements }) => statements))],
    waitingBytes: waiting.length === 0 ? null : waiting.reduce((sum, bytes) => sum + bytes),
    problem: plans.find(({ problem }) => problem !== null)?.problem ?? null,
  };
}

async function planReader(
  source: Source,
  { source: name, syncs }: Reader,
  states: ReadonlyMap<string, StoredStatus>,
  signal: AbortSignal,
): Promise<SourcePlan & { readonly unreachable: boolean; readonly gaps: ReadonlyMap<Sync, string> }> {
  const gaps = new Map<Sync, string>();
  try {
    const held = (await source.holdings([], signal)).find(({ used }) => used);
    const waitingBytes = held?.retainedBytes ?? null;
    try {
      const models = [...new Set(syncs.map(({ model }) => model))];
      const stored: Checkpoint[] = [];
      for (const sync of syncs) {
        const checkpoint = states.get(sync.name)?.state.checkpoint ?? null;
        if (checkpoint === null) continue;
        try {
          await source.plan(models, [checkpoint], signal);
          stored.push(checkpoint);
        } catch (error) {
          if (TailraceError.from(error).consequence !== "gap") throw error;
          gaps.set(sync, problemOf(error, signal));
        }
      }
      const statements = await source.plan(models, stored, signal);
      return { source: name, statements, waitingBytes, problem: null, unreachable: false, gaps };
    } catch (error) {
      const problem = problemOf(error, signal);
      return { source: name, statements: [], waitingBytes, problem, unreachable: false, gaps };
    }
  } catch (error) {
    const problem = problemOf(error, signal);
    return { source: name, statements: [], waitingBytes: null, problem, unreachable: true, gaps };
  }
}

async function planSync(
  source: Source,
  sync: Sync,
  state: SyncState | null,
  {
    signal,
    unreachable,
    gap,
    known,
  }: {
    readonly signal: AbortSignal;
    readonly unreachable: string | null;
    readonly gap: string | null;
    readonly known: () => Promise<KnownRows | null>;
  },
): Promise<SyncPlan> {
  const about = {
    sync: sync.name,
    source: sync.model.source,
    model: sync.model.name,
    destination: sync.destination,
    object: sync.object,
    mode: sync.mode,
    standing: standingOf(state),
    reason: state?.stopped ? `${state.stopped.message} (${state.stopped.code})` : null,
    resend: null,
    where: sync.where?.text ?? null,
  };
  const checkpoint = state?.checkpoint ?? null;
  const toSend = checkpoint === null ? sync.backfill : checkpoint.backfill !== null;
  const done = checkpoint?.backfill?.rows ?? 0;
  if (unreachable !== null)
    return { ...about, backfill: toSend ? { estimate: null, done } : null, fields: [], problem: unreachable };
  try {
    const mapped = await mapSync(source, sync, signal);
    const fields = fieldsInWords(sync, mapped);
    const sent = checkpoint === null ? null : await knownRows(sync, source, known, signal);
    const again = resendOf(sync, mapped.mapping, sent);
    const resend = again === null ? null : { ...again, asks: asksToResend(sync) && !checkpoint?.backfill?.approved };
    const backfill = toSend ? { estimate: await source.estimate(sync.model, signal), done } : null;
    return { ...about, backfill, resend, fields, problem: gap };
  } catch (error) {
    const backfill = toSend ? { estimate: null, done } : null;
    return { ...about, backfill, fields: [], problem: problemOf(error, signal) };
  }
}

function standingOf(state: SyncState | null): Standing {
  if (state === null) return "never ran";
  if (state.stopped !== null) return "stopped";
  if (state.paused) return "paused";
  if (state.checkpoint === null) return "never ran";
  return state.checkpoint.backfill === null ? "streaming" : "backfilling";
}

function problemOf(error: unknown, signal: AbortSignal): string {
  signal.throwIfAborted();
  const { message, code } = TailraceError.from(error);
  return `${message} (${code})`;
}
