import type { Capture } from "../contracts/capture.ts";
import type { Target } from "../contracts/destination.ts";
import { TailraceError } from "../contracts/errors.ts";
import type { Finding } from "../contracts/finding.ts";
import type { Log } from "../contracts/log.ts";
import type { ModelNeeds, Source } from "../contracts/source.ts";
import type { Sync } from "../contracts/sync.ts";
import { checkHook } from "./alerts/check-hooks.ts";
import { checkDiff } from "./check-diff.ts";
import { checkState } from "./check-state.ts";
import { type About, type CheckedFinding, findingOf } from "./checked-finding.ts";
import type { Config } from "./config/load.ts";
import { mapSync, type MappedSync } from "./mapped-sync.ts";
import { createDestination, createSource, nameOfState } from "./project.ts";
import { refuseUnsupported, targetOf } from "./running/target.ts";

export interface CheckReport {
  /** Everything that was looked at, in the order of the configuration; also what nothing was found about. */
  readonly checked: readonly (About & {
    readonly detail: string;
    /** False for a sync whose model could not be looked at. */
    readonly seen: boolean;
  })[];
  readonly findings: readonly CheckedFinding[];
  /** No finding is an error. */
  readonly ok: boolean;
}

/** What a look at one sync gave. */
interface Looked {
  readonly sync: Sync;
  readonly mapped: MappedSync | null;
  /** How its model is captured. */
  readonly capture: Capture | null;
  readonly failure: TailraceError | null;
}

/**
 * Connections, privileges, settings, and whether each sync fits both of its ends. Changes nothing anywhere. All of the
 * configuration's connections when `syncs` is all of its syncs; else only what they use.
 */
export async function check(
  config: Config,
  options: { readonly syncs: readonly Sync[]; readonly signal: AbortSignal; readonly log: Log },
): Promise<CheckReport> {
  const { syncs, signal, log } = options;
  const all = syncs.length === config.syncs.length;
  const sources = [...config.sources.values()].filter(
    ({ name }) => all || syncs.some((sync) => sync.model.source === name),
  );
  const destinations = [...config.destinations.values()].filter(
    ({ name }) => all || syncs.some((sync) => sync.destination === name),
  );
  const findings: CheckedFinding[] = [];
  const looked = new Map<Sync, Looked>();
  await Promise.all(
    sources.map(async ({ name }) => {
      await using source = createSource(config, name, log);
      const own = syncs.filter((sync) => sync.model.source === name);
      const seen = await look(source, own, signal);
      for (const one of seen) looked.set(one.sync, one);
      const captures = new Map(seen.map(({ sync, capture }) => [sync.model, capture]));
      for (const [model, capture] of captures)
        if (capture !== null) findings.push(...checkDiff(model, capture, config.dbt?.models.has(model.name) ?? false));
      findings.push(...(await checkSource(source, name, seen, signal)));
    }),
  );
  await Promise.all(
    destinations.map(async ({ name }) => {
      await using destination = createDestination(config, name, log);
      const targets: Target[] = [];
      for (const sync of syncs) {
        const seen = looked.get(sync);
        if (sync.destination !== name || seen === undefined || seen.mapped === null) continue;
        const { mapped } = seen;
        try {
          refuseUnsupported(sync, destination.capabilities, oldColumnsOf(seen), mapped.relation.oldRows);
          targets.push(targetOf(sync, mapped.mapping));
        } catch (error) {
          findings.push(unsupported(sync, error));
        }
      }
      const about: About = { kind: "destination", name };
      findings.push(...(await guarded(about, signal, () => destination.check(targets, signal))));
    }),
  );
  for (const alert of all ? config.alerts : [])
    findings.push(...(await guarded({ kind: "alert", name: alert.name }, signal, () => checkHook(alert, config))));
  findings.push(...(await checkState(config, log)));
  const checked = [
    ...sources.map(({ name, type }) => ({ kind: "source" as const, name, detail: type, seen: true })),
    ...destinations.map(({ name, type }) => ({ kind: "destination" as const, name, detail: type, seen: true })),
    ...syncs.map((sync) => ({
      kind: "sync" as const,
      name: sync.name,
      detail: `${sync.model.name} → ${sync.destination}, ${sync.mode}`,
      seen: (looked.get(sync)?.mapped ?? null) !== null,
    })),
    ...(all ? config.alerts : []).map(({ name, settings }) => ({
      kind: "alert" as const,
      name,
      detail: settings.type,
      seen: true,
    })),
    { kind: "state" as const, name: nameOfState(config), detail: "", seen: true },
  ];
  return { checked, findings, ok: findings.every(({ level }) => level !== "error") };
}

function unsupported(sync: Sync, error: unknown): CheckedFinding {
  const finding = findingOf({ kind: "sync", name: sync.name }, error);
  if (finding.code !== "source.config") return finding;
  // Here the statement is in the same report.
  return {
    ...finding,
    message: `${sync.at}: mode \`${sync.mode}\` with \`where\` needs old values that the source does not send.`,
    fix: `Run the statement that stands under source \`${sync.model.source}\`.`,
  };
}

/** Each sync against its model; stops asking when the source cannot be reached. */
async function look(source: Source, syncs: readonly Sync[], signal: AbortSignal): Promise<readonly Looked[]> {
  const looked: Looked[] = [];
  let unreachable: TailraceError | null = null;
  for (const sync of syncs) {
    if (unreachable !== null) {
      looked.push({ sync, mapped: null, capture: null, failure: unreachable });
      continue;
    }
    try {
      const mapped = await mapSync(source, sync, signal);
      looked.push({ sync, mapped, capture: await source.capture(sync.model, signal), failure: null });
    } catch (error) {
      signal.throwIfAborted();
      const failure = TailraceError.from(error);
      looked.push({ sync, mapped: null, capture: null, failure });
      if (!ABOUT_ONE_SYNC.has(failure.code)) unreachable = failure;
    }
  }
  return looked;
}

const ABOUT_ONE_SYNC: ReadonlySet<string> = new Set(["source.model", "source.config", "config.invalid"]);

async function checkSource(
  source: Source,
  name: string,
  looked: readonly Looked[],
  signal: AbortSignal,
): Promise<readonly CheckedFinding[]> {
  const findings = [...(await guarded({ kind: "source", name }, signal, () => source.check(needsOf(looked), signal)))];
  const told = findings.some(({ level }) => level === "error");
  for (const { sync, failure } of looked) {
    if (failure === null) continue;
    // What is wrong with the connection or a table, the source has said better; what is wrong with the sync, it cannot know.
    const ours = failure.message.startsWith(sync.at) || failure.code === "config.invalid";
    if (ours || !told) findings.push(findingOf({ kind: "sync", name: sync.name }, failure));
  }
  return findings;
}

/** What the syncs want, once a model. */
function needsOf(looked: readonly Looked[]): readonly ModelNeeds[] {
  return [...Map.groupBy(looked, ({ sync }) => sync.model)].map(([model, users]) => {
    const old = new Map<string, string>();
    for (const user of users) {
      for (const { column, because } of oldColumnsOf(user)) {
        if (!old.has(column)) old.set(column, `${user.sync.name}: ${because}`);
      }
    }
    return {
      model,
      oldColumns: [...old].map(([column, because]) => ({ column, because })),
      deletes: users.some(({ sync }) => sendsDeletes(sync)),
    };
  });
}

/** Where rows are read instead of their changes, what was sent is known: no old values are needed. */
function oldColumnsOf({ mapped, capture }: Looked): MappedSync["mapping"]["oldColumns"] {
  return mapped === null || capture?.kind !== "log" ? [] : mapped.mapping.oldColumns;
}

function sendsDeletes(sync: Sync): boolean {
  return (
    (sync.mode === "mirror" && sync.onDelete.kind !== "ignore") || (sync.mode === "event" && sync.on.includes("delete"))
  );
}

/** A check that throws is a finding, too. */
async function guarded(
  about: About,
  signal: AbortSignal,
  work: () => Promise<readonly Finding[]>,
): Promise<readonly CheckedFinding[]> {
  try {
    return (await work()).map((finding) => ({ ...finding, about }));
  } catch (error) {
    signal.throwIfAborted();
    return [findingOf(about, error)];
  }
}
