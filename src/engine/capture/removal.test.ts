import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import { silent } from "../../../test/support/webhook.ts";
import type { SentIndex, SentRecord } from "../../contracts/sent-index.ts";
import type { SnapshotChunk, Source } from "../../contracts/source.ts";
import { DeleteGuard } from "../delivery/delete-guard.ts";
import type { Entry } from "../delivery/entry.ts";
import { KeyedQueue } from "../delivery/keyed-queue.ts";
import { SentKeeper } from "../delivery/sent-keeper.ts";
import { AckTracker } from "../progress/ack-tracker.ts";
import { Backfill } from "./backfill.ts";
import { Mappings } from "./mappings.ts";
import { Removal } from "./removal.ts";
import { readEntry } from "./rows.ts";
import { Seam } from "./seam.ts";

const relation = relationWith({ id: "bigint", plan: "text" });

/** What a resync of generation 1 finds that has read its rows: the index holds ten records of generation 0. */
function afterBackfill(options: { readonly onPage?: () => void; readonly allowed?: number } = {}) {
  const sync = syncWith();
  const queue = new KeyedQueue({ merges: true });
  const mappings = new Mappings(sync, silent);
  const mapping = mappings.for(relation);
  const held = new Map<string, number>();
  for (let id = 0; id < 10; id += 1) held.set(String(id), 0);
  let page = 0;
  const index: Pick<SentIndex, "announce" | "known" | "forget" | "others"> = {
    announce: (records, generation) => {
      const added = records.filter(({ key }) => !held.has(key)).length;
      for (const { key } of records) held.set(key, generation);
      return Promise.resolve({ added });
    },
    known: (keys) => Promise.resolve(keys.filter((key) => held.has(key))),
    forget: (keys) => {
      for (const key of keys) held.delete(key);
      return Promise.resolve();
    },
    others: (generation) => {
      const records: SentRecord[] = [];
      for (const [key, sent] of held) if (sent !== generation) records.push({ key, identity: null });
      page += 1;
      // Between the index's answer to the second question (the first one counts) and its arrival.
      if (page === 2) options.onPage?.();
      return Promise.resolve({ records, covered: held.size, next: null });
    },
  };
  const guard = new DeleteGuard(sync.maxDeletes);
  guard.begin(10, null, 0);
  const sent = new SentKeeper({
    index: index as SentIndex,
    generation: 1,
    guard,
    hold: () => Promise.reject(new Error("held")),
    thereAgain: () => Promise.resolve([]),
  });
  const chunk = { relation, rows: [], next: null, high: "5", sees: () => true } satisfies SnapshotChunk;
  const source: Pick<Source, "lookup" | "describe"> = {
    lookup: () => Promise.resolve(chunk),
    describe: () => Promise.resolve(relation),
  };
  const backfill = new Backfill({
    sync,
    source: source as Source,
    queue,
    seam: new Seam(),
    progress: { generation: 1, after: ["9"], rows: 10, removing: true },
    removes: true,
    mappings,
    streamAt: () => "5",
    wake: () => {},
    log: silent,
  });
  const at = { stream: "5" };
  const removal = new Removal({
    sync,
    source: source as Source,
    queue,
    mappings,
    sent,
    backfill,
    streamAt: () => at.stream,
    wake: () => {},
    allowed: () => options.allowed ?? 100,
    hold: (_by, { rows, of }) => Promise.reject(new Error(`${rows} of ${of}`)),
    log: silent,
  });
  const tracker = new AckTracker("");
  const live = (id: string): Entry => {
    const group = tracker.add(1, () => "", "");
    const row = { key: id, recordKey: id, values: [id, "new"], id: `live-${id}`, at: "6" };
    return readEntry(mapping, "upsert", row, { group, index: 0 });
  };
  return { removal, backfill, queue, sent, live, held, at };
}

const keys = (entries: readonly Entry[]): string[] => entries.map(({ key, op }) => `${op} ${key}`);

test("removes what was not sent again, by ids that say which; the backfill is over when all are done", async () => {
  const { removal, backfill, queue, sent } = afterBackfill();
  await sent.announce([], new AbortController().signal);
  await removal.run(new AbortController().signal);
  const taken = queue.take(100, 1e9);
  expect(keys(taken)).toEqual(Array.from({ length: 10 }, (_, id) => `delete ${id}`));
  expect(new Set(taken.map(({ readId }) => readId)).size).toBe(10);
  expect(taken[0]!.readId).toMatch(/^users_to_crm-gone1-[\w-]{22}$/);
  expect(backfill.progress).toMatchObject({ removing: true });
  for (const entry of taken) queue.finish(entry);
  expect(backfill.progress).toBeNull();
});

test("leaves alone what a change that is waiting, or was sent while the index answered, is about", async () => {
  let begin: () => void = () => {};
  const set = afterBackfill({ onPage: () => begin() });
  const { removal, queue, sent, live } = set;
  queue.add(live("3"));
  const [sending] = queue.take(1, 1e9);
  queue.add(live("4"));
  // Announced, sent and finished before the page is here.
  begin = () => {
    void sent.announce([live("5")], new AbortController().signal);
  };
  await removal.run(new AbortController().signal);
  expect(keys(queue.take(100, 1e9)).sort()).toEqual([
    "delete 0",
    "delete 1",
    "delete 2",
    "delete 6",
    "delete 7",
    "delete 8",
    "delete 9",
    "upsert 4",
  ]);
  queue.finish(sending!);
  expect(queue.has("3")).toBe(false);
});

test("waits for the stream to come to where the log was, and asks before it removes too many", async () => {
  const { removal, queue, at } = afterBackfill({ allowed: 9 });
  at.stream = "4";
  const stop = new AbortController();
  const run = removal.run(stop.signal);
  const early = await Promise.race([run.then(() => "ended"), new Promise((resolve) => setImmediate(resolve, "waits"))]);
  expect(early).toBe("waits");
  at.stream = "5";
  await expect(run).rejects.toThrow("10 of 10");
  expect(queue.entries).toBe(0);
});
