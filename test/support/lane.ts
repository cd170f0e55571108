// A webhook destination behind the engine's own queue, lane and gate, for tests of what becomes of rows; no source, no state.
import { onTestFinished } from "vitest";
import type { Change } from "../../src/contracts/change.ts";
import type { TailraceError } from "../../src/contracts/errors.ts";
import { newEntry } from "../../src/engine/capture/rows.ts";
import type { Entry } from "../../src/engine/delivery/entry.ts";
import { Gate } from "../../src/engine/delivery/gate.ts";
import { KeyedQueue } from "../../src/engine/delivery/keyed-queue.ts";
import { Lane } from "../../src/engine/delivery/lane.ts";
import { compileMapping } from "../../src/engine/mapping/compile.ts";
import { relationWith, syncWith } from "./syncs.ts";
import { silent, target, webhookDestination } from "./webhook.ts";

export interface TestLane {
  /** A new version of a row. */
  add(key: string, version: number, text?: string): void;
  readonly delivered: readonly { readonly key: string; readonly version: number; readonly attempts: number }[];
  readonly rejected: readonly { readonly key: string; readonly error: TailraceError }[];
  readonly stops: readonly TailraceError[];
  readonly gate: Gate;
  /** Rows that are not finished. */
  readonly left: number;
}

const relation = relationWith({ id: "bigint", version: "bigint", text: "text" });
const mapping = compileMapping(syncWith(), relation);

export async function laneToWebhook(
  settings: Readonly<Record<string, unknown>>,
  options: { readonly concurrency?: number; readonly attempts?: number } = {},
): Promise<TestLane> {
  const destination = webhookDestination(settings);
  const abort = new AbortController();
  const writer = await destination.open(target({ shape: mapping.shape }), abort.signal);
  const queue = new KeyedQueue({ merges: false });
  const { limits } = destination;
  const gate = new Gate({ concurrency: options.concurrency ?? limits.concurrency, perSecond: null });
  const delivered: { key: string; version: number; attempts: number }[] = [];
  const rejected: { key: string; error: TailraceError }[] = [];
  const stops: TailraceError[] = [];
  const versionOf = (entry: Entry): number => Number(entry.after?.[1]);
  const lane = new Lane({
    sync: "s",
    queue,
    gate,
    writer,
    limits: {
      rows: limits.batchRows,
      bytes: limits.batchBytes,
      ageMs: limits.batchAgeMs,
      attempts: options.attempts ?? 5,
    },
    owner: {
      fill: async () => [],
      announce: () => null,
      delivered: (entries) => {
        for (const entry of entries)
          delivered.push({ key: entry.key, version: versionOf(entry), attempts: entry.attempts });
      },
      rejected: ({ key }, error) => void rejected.push({ key, error }),
      maySend: () => true,
      progressWith: () => "",
      deadLettersDurable: async () => {},
      stopped: (error) => void stops.push(error),
      room: () => {},
    },
    signal: abort.signal,
    log: silent,
  });
  onTestFinished(async () => {
    abort.abort();
    await lane.halt();
    gate.close();
  });
  let ordinal = 0;
  lane.start();
  return {
    add: (key, version, text = "") => {
      ordinal += 1;
      const change: Change = {
        op: "update",
        relation,
        before: null,
        after: [key, String(version), text],
        position: `p-${String(ordinal).padStart(8, "0")}`,
        transaction: { id: "1", committedAt: 0n },
      };
      const group = { tracker: {}, done() {}, alsoWaits() {}, suppose() {} };
      const entry = newEntry(mapping, "upsert", change, null, change.after, group, 0);
      entry.key = key;
      queue.add(entry);
      gate.wake();
    },
    delivered,
    rejected,
    stops,
    gate,
    get left() {
      return queue.entries;
    },
  };
}
