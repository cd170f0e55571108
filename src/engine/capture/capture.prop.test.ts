import process from "node:process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import { silent } from "../../../test/support/webhook.ts";
import type { Change } from "../../contracts/change.ts";
import type { SnapshotChunk, Source } from "../../contracts/source.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import type { Entry } from "../delivery/entry.ts";
import { toDelivery } from "../delivery/delivery.ts";
import { KeyedQueue } from "../delivery/keyed-queue.ts";
import { AckTracker } from "../progress/ack-tracker.ts";
import { Backfill } from "./backfill.ts";
import { Intake } from "./intake.ts";
import { Mappings } from "./mappings.ts";
import { fillEntries } from "./refill.ts";
import { Seam } from "./seam.ts";

// The whole capture against a model of a database: transactions that insert, update (partly), delete and rename rows; commits that are in
// the log before they are visible; a stream that is behind; a backfill in small chunks, read at some moment and queued at
// a later one; deliveries that finish in any order. At the end the destination must hold what the table holds.

const relation = relationWith({ id: "bigint", v: "bigint", big: "text" });
const KEYS = ["1", "2", "3"];
type Row = { readonly v: string; readonly big: string };
type Table = Map<string, Row>;

interface Operation {
  readonly kind: "put" | "touch" | "delete" | "rename";
  readonly key: string;
  readonly to: string;
  /** Where records are found by `big`: its value. It is unique then, as such a column is. */
  readonly big: string;
}

class Database {
  readonly now: Table = new Map();
  readonly log: { readonly id: string; readonly changes: readonly Change[]; readonly keys: ReadonlySet<string> }[] = [];
  /** Indexes of the log's transactions that snapshots see. */
  readonly visible = new Set<number>();
  readonly #byBig: boolean;
  #version = 0;

  constructor(options: { readonly byBig: boolean }) {
    this.#byBig = options.byBig;
  }

  commit(operations: readonly Operation[]): void {
    const keys = new Set(operations.flatMap(({ key, to }) => [key, to]));
    // Row locks: who changes a row has seen the last one who did. A unique value is locked like a row.
    for (const [index, transaction] of this.log.entries()) {
      if (this.#byBig || [...transaction.keys].some((key) => keys.has(key))) this.visible.add(index);
    }
    const commit = this.log.length + 1;
    const transaction = { id: `x${commit}`, committedAt: 0n };
    const changes: Change[] = [];
    const add = (op: Change["op"], before: Values | null, after: Values | null): void => {
      changes.push({ op, relation, before, after, transaction, position: place(commit, changes.length + 1) });
    };
    for (const { kind, key, to, big: wanted } of operations) {
      const row = this.now.get(key);
      this.#version += 1;
      const v = String(this.#version);
      if (this.#byBig) {
        const free = [...this.now].every(([other, { big }]) => big !== wanted || (other === key && kind === "put"));
        this.#commitFull({ kind, key, to, big: wanted }, row, v, free, add);
        continue;
      }
      if (kind === "put" && row === undefined) {
        this.now.set(key, { v, big: `b${v}` });
        add("insert", null, [key, v, `b${v}`]);
      } else if (kind === "put") {
        this.now.set(key, { v, big: `b${v}` });
        add("update", null, [key, v, `b${v}`]);
      } else if (row === undefined) continue;
      else if (kind === "touch") {
        this.now.set(key, { v, big: row.big });
        add("update", null, [key, v, UNCHANGED]);
      } else if (kind === "delete") {
        this.now.delete(key);
        add("delete", [key, UNCHANGED, UNCHANGED], null);
      } else if (!this.now.has(to)) {
        this.now.delete(key);
        this.now.set(to, { v, big: row.big });
        add("update", [key, UNCHANGED, UNCHANGED], [to, v, UNCHANGED]);
      }
    }
    this.log.push({ id: transaction.id, changes, keys });
  }

  /** Old rows come whole, and a put gives the row its match value, if it is free. */
  #commitFull(
    { kind, key, to, big }: Operation,
    row: Row | undefined,
    v: string,
    free: boolean,
    add: (op: Change["op"], before: Values | null, after: Values | null) => void,
  ): void {
    const old = row === undefined ? null : [key, row.v, row.big];
    if (kind === "put" && free) {
      this.now.set(key, { v, big });
      add(old === null ? "insert" : "update", old, [key, v, big]);
    } else if (row === undefined || kind === "put") return;
    else if (kind === "delete") {
      this.now.delete(key);
      add("delete", old, null);
    } else if (kind === "touch") {
      this.now.set(key, { v, big: row.big });
      add("update", old, [key, v, row.big]);
    } else if (!this.now.has(to)) {
      this.now.delete(key);
      this.now.set(to, { v, big: row.big });
      add("update", old, [to, v, row.big]);
    }
  }

  /** The table as the transactions that are visible now have left it. */
  snapshot(): { readonly table: Table; readonly high: number; sees(id: string): boolean } {
    const seen = new Set([...this.visible].map((index) => this.log[index]!.id));
    const table: Table = new Map();
    let high = 0;
    for (const [index, { id, changes }] of this.log.entries()) {
      if (!seen.has(id)) continue;
      high = index + 1;
      for (const { before, after } of changes) {
        const old = (before?.[0] ?? after?.[0]) as string;
        const big = table.get(old)?.big;
        table.delete(old);
        if (after === null) continue;
        table.set(after[0] as string, {
          v: after[1] as string,
          big: after[2] === UNCHANGED ? big! : (after[2] as string),
        });
      }
    }
    return { table, high, sees: (id) => seen.has(id) };
  }
}

const place = (commit: number, ordinal: number): string =>
  `${String(commit).padStart(4, "0")}-${String(ordinal).padStart(4, "0")}`;

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom("put", "put", "touch", "delete", "rename", "rename"),
  key: fc.constantFrom(...KEYS),
  to: fc.constantFrom(...KEYS),
  big: fc.constantFrom("x", "y", "z"),
});
const move = fc.oneof(
  { weight: 4, arbitrary: fc.record({ commit: fc.array(operation, { minLength: 1, maxLength: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ show: fc.nat({ max: 20 }) }) },
  { weight: 4, arbitrary: fc.constant("stream" as const) },
  { weight: 3, arbitrary: fc.constant("read" as const) },
  { weight: 4, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 3 }), last: fc.boolean() }) },
);

interface Setting {
  readonly partialUpdates: boolean;
  /** The destination finds records by `big`, not by the key. */
  readonly byBig: boolean;
  readonly mode?: "event";
}

async function play({ partialUpdates, byBig, mode }: Setting, moves: readonly unknown[]): Promise<void> {
  const sync = syncWith({ mode: mode ?? "mirror", match: byBig ? "big" : null });
  const database = new Database({ byBig });
  const queue = new KeyedQueue({ merges: mode !== "event" });
  const tracker = new AckTracker("");
  const seam = new Seam();
  const mappings = new Mappings(sync, silent);
  const intake = new Intake({ sync, mappings, relation, queue, tracker, seam, partialUpdates, after: "" });
  let streamed = 0;
  let waiting: (() => void) | null = null;

  const chunkOf = (
    snapshot: ReturnType<Database["snapshot"]>,
    keys: readonly string[],
    next: string | null,
  ): SnapshotChunk => ({
    relation,
    rows: keys.map((key): Values => [key, snapshot.table.get(key)!.v, snapshot.table.get(key)!.big]),
    next: next === null ? null : [next],
    high: place(snapshot.high, 9999),
    sees: (id) => snapshot.sees(id),
  });
  /** What is read is seen at one moment and comes at a later one: when a move says so. */
  const later = <T>(answer: T): Promise<T> => new Promise((resolve) => (waiting = () => resolve(answer)));
  const source = {
    settle: async () => {
      for (const index of database.log.keys()) database.visible.add(index);
    },
    snapshot: (_model: unknown, after: readonly string[] | null) => {
      const snapshot = database.snapshot();
      const keys = [...snapshot.table.keys()].sort().filter((key) => after === null || key > after[0]!);
      const rows = keys.slice(0, 2);
      return later(chunkOf(snapshot, rows, keys.length > 2 ? rows.at(-1)! : null));
    },
    lookup: (_model: unknown, keys: readonly (readonly string[])[]) => {
      const snapshot = database.snapshot();
      const found = keys.map(([key]) => key!).filter((key) => snapshot.table.has(key));
      return later(chunkOf(snapshot, found, null));
    },
  } as unknown as Source;
  const backfill = new Backfill({
    sync,
    source,
    queue,
    seam,
    progress: { generation: 0, after: null, rows: 0 },
    removes: false,
    mappings,
    streamAt: () => place(streamed, 9999),
    wake: () => {},
    log: silent,
  });

  /** Records by what they are found by. */
  const destination = new Map<string, { id: string; v: string; big: string }>();
  /** mode `event`: how often each key was told as new. */
  const told = new Map<string, number>();
  /** Reads for single rows: at this very moment; what was not visible then is soon after. */
  const reader = {
    lookup: async (_model: unknown, keys: readonly (readonly string[])[]) => {
      const snapshot = database.snapshot();
      for (const index of database.log.keys()) database.visible.add(index);
      return chunkOf(
        snapshot,
        keys.map(([key]) => key!).filter((key) => snapshot.table.has(key)),
        null,
      );
    },
  } as unknown as Source;
  const deliver = async (entry: Entry): Promise<void> => {
    const needless = entry.fill ? await fillEntries(reader, sync, mappings, [entry], new AbortController().signal) : [];
    if (entry.op !== "barrier" && needless.length === 0) {
      const { op, key, record, change } = toDelivery("s", entry);
      const [id] = key as [string];
      if (op === "event" && change === "insert") told.set(id, (told.get(id) ?? 0) + 1);
      const [, v, big] = record.values as [Value, Value, Value];
      const name = byBig ? (big as string) : id;
      if (op === "delete" || (op === "event" && change === "delete")) destination.delete(name);
      else {
        const whole = big === UNCHANGED ? (destination.get(name)?.big ?? "?") : (big as string);
        destination.set(name, { id, v: v as string, big: whole });
      }
    }
    queue.finish(entry);
  };
  const stream = (): void => {
    const transaction = database.log[streamed];
    if (transaction === undefined) return;
    streamed += 1;
    intake.accept({ changes: transaction.changes, end: place(streamed, 9999), bytes: 0 });
  };
  const arrive = async (): Promise<void> => {
    const answer = waiting;
    waiting = null;
    answer?.();
    // The backfill goes on in promises of its own; a re-read waits some milliseconds.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };

  // Rows from before, some of them streamed already.
  database.commit([
    { kind: "put", key: "1", to: "1", big: "x" },
    { kind: "put", key: "3", to: "3", big: "y" },
  ]);
  stream();
  const running = backfill.run(new AbortController().signal);
  await arrive();
  const sent: Entry[] = [];
  for (const item of moves as readonly (
    | "stream"
    | "read"
    | { commit: Operation[] }
    | { show: number }
    | { send: number; last: boolean }
  )[]) {
    if (item === "stream") stream();
    else if (item === "read") await arrive();
    else if ("show" in item) {
      if (item.show < database.log.length) database.visible.add(item.show);
    } else if ("commit" in item) {
      // Events of two keys have no order, so that a row that goes from one to the other cannot be followed by them.
      database.commit(mode === "event" ? item.commit.filter(({ kind }) => kind !== "rename") : item.commit);
    } else {
      sent.push(...queue.take(item.send, 1e9));
      if (item.last && sent.length > 0) await deliver(sent.pop()!);
    }
  }
  // Everything comes to its end, still interleaved.
  for (const index of database.log.keys()) database.visible.add(index);
  const end = running.then(() => true);
  const soon = (): Promise<boolean> =>
    new Promise((resolve) => setTimeout(() => resolve(false), waiting === null ? 12 : 0));
  do {
    await arrive();
    // What tells each row once waits for the stream.
    if (mode === "event") stream();
  } while (!(await Promise.race([end, soon()])));
  while (streamed < database.log.length) stream();
  do {
    for (const entry of sent.splice(0)) await deliver(entry);
    sent.push(...queue.take(2, 1e9));
  } while (sent.length > 0);

  const rows = [...database.now].map(([id, row]) => ({ id, ...row }));
  expect([...destination.values()].sort(byId)).toEqual(rows.sort(byId));
  expect(queue.entries).toBe(0);
  expect(tracker.idle).toBe(true);
  expect(backfill.progress).toBe(null);
  if (mode !== "event") return;
  // The stream has brought every insert there was.
  for (const key of KEYS) {
    const inserts = database.log
      .flatMap(({ changes }) => changes)
      .filter(({ op, after }) => op === "insert" && after![0] === key);
    expect([key, told.get(key) ?? 0]).toEqual([key, inserts.length]);
  }
}

/** CAPTURE_RUNS asks for more: 50,000 take about a minute. */
const RUNS = Number(process.env["CAPTURE_RUNS"] ?? 3000);

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);

test.each([
  { partialUpdates: false, byBig: false, what: "takes whole rows" },
  { partialUpdates: true, byBig: false, what: "takes parts of rows" },
  { partialUpdates: true, byBig: true, what: "finds its records by another column than the key" },
  {
    partialUpdates: true,
    byBig: false,
    mode: "event" as const,
    what: "tells each row that is new once, and all events,",
  },
])("a destination that $what ends as the table, whatever meets whatever", { timeout: 60_000 }, async (setting) => {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 4, maxLength: 30, size: "max" }), (moves) => play(setting, moves)),
    { numRuns: RUNS, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
});
