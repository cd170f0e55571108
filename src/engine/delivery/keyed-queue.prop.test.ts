import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { overlay } from "../../contracts/values.ts";
import { newEntry } from "../capture/rows.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Entry } from "./entry.ts";
import { KeyedQueue } from "./keyed-queue.ts";

const relation: Relation = {
  id: "1",
  namespace: "public",
  name: "t",
  version: 1,
  key: [0],
  oldRows: "key",
  columns: ["id", "a", "b"].map((name) => ({ name, type: "text", json: "string", comparison: "text", nullable: true })),
};
const mapping = { relation, incomplete: (row: Values) => row.includes(UNCHANGED) } as unknown as Mapping;

interface Rename {
  readonly from: string;
  readonly to: string;
}

interface Take {
  readonly take: number;
  readonly finish: boolean;
}

interface Step {
  readonly key: string;
  readonly op: "upsert" | "delete";
  readonly a: Value;
  readonly b: Value;
  readonly live: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  key: fc.constantFrom("k1", "k2", "k3"),
  op: fc.constantFrom("upsert", "upsert", "upsert", "delete"),
  a: fc.constantFrom<Value[]>("x", "y", null, UNCHANGED),
  b: fc.constantFrom<Value[]>("1", "2", UNCHANGED),
  live: fc.boolean(),
});
const rename: fc.Arbitrary<Rename> = fc
  .uniqueArray(fc.constantFrom("k1", "k2", "k3"), { minLength: 2, maxLength: 2 })
  .map(([from, to]) => ({ from: from!, to: to! }));
const take: fc.Arbitrary<Take> = fc.record({ take: fc.integer({ min: 1, max: 3 }), finish: fc.boolean() });
const move: fc.Arbitrary<Step | Rename | Take> = fc.oneof(
  { weight: 3, arbitrary: step },
  { weight: 1, arbitrary: rename },
  { weight: 2, arbitrary: take },
);

function entryOf({ key, op, a, b, live }: Step, done: () => void): Entry {
  const group = { tracker: {}, done, alsoWaits: () => {}, suppose: () => {} };
  const row: Values = [key, a, b];
  const change = {
    op: "update",
    relation,
    before: null,
    after: row,
    position: "0",
    transaction: { id: "1", committedAt: 0n },
  } as const;
  const entry = newEntry(
    mapping,
    op,
    change,
    op === "delete" ? [key, UNCHANGED, UNCHANGED] : null,
    op === "delete" ? null : row,
    group,
    0,
  );
  entry.key = key;
  entry.live = live;
  return entry;
}

describe.each([{ merges: true }, { merges: false }])("with merges: $merges", ({ merges }) => {
  test("one delivery a key at a time, in order, and the destination ends in the same state", () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const queue = new KeyedQueue({ merges });
        const source = new Map<string, Values | null>();
        const destination = new Map<string, Values | null>();
        const sent: Entry[] = [];
        let added = 0;
        let done = 0;
        const apply = (rows: Map<string, Values | null>, key: string, row: Values | null): void => {
          rows.set(key, row === null ? null : overlay(row, rows.get(key) ?? [key, null, null]));
        };
        const finish = (entry: Entry): void => {
          apply(destination, entry.key, entry.after);
          sent.splice(sent.indexOf(entry), 1);
          queue.finish(entry);
        };
        const take = (rows: number): void => {
          for (const entry of queue.take(rows, 1e9)) {
            expect(sent.map(({ key }) => key)).not.toContain(entry.key);
            sent.push(entry);
          }
        };
        for (const item of moves) {
          if ("take" in item) {
            take(item.take);
            if (item.finish) while (sent.length > 0) finish(sent.at(-1)!);
          } else if ("from" in item) {
            // The row's key changes: what was under the old one is removed first, then the row comes under the new one.
            added += 2;
            const group = (): void => void (done += 1);
            const removal = entryOf({ key: item.from, op: "delete", a: null, b: null, live: true }, group);
            const row = entryOf({ key: item.to, op: "upsert", a: "r", b: "9", live: true }, group);
            removal.followedBy = row;
            row.waits = 1;
            queue.add(removal);
            queue.add(row);
            apply(source, item.from, null);
            apply(source, item.to, [item.to, "r", "9"]);
          } else {
            added += 1;
            queue.add(entryOf(item, () => (done += 1)));
            apply(source, item.key, item.op === "delete" ? null : [item.key, item.a, item.b]);
          }
        }
        for (;;) {
          take(3);
          if (sent.length === 0) break;
          while (sent.length > 0) finish(sent[0]!);
        }
        expect(done).toBe(added);
        expect(queue.entries).toBe(0);
        expect(queue.bytes).toBe(0);
        expect(queue.readyBytes).toBe(0);
        expect(queue.readyLive + queue.readyBackfill).toBe(0);
        expect(destination).toEqual(source);
      }),
      { numRuns: 1000 },
    );
  });
});

test("live entries leave before rows of a backfill, and take a waiting row of their key along", () => {
  const queue = new KeyedQueue({ merges: false });
  const add = (key: string, live: boolean): Entry => {
    const entry = entryOf({ key, op: "upsert", a: "x", b: "1", live }, () => {});
    queue.add(entry);
    return entry;
  };
  const first = add("k1", false);
  const second = add("k2", false);
  const third = add("k3", true);
  const behindSecond = add("k2", true);
  expect(queue.take(10, 1e9)).toEqual([third, second, first]);
  queue.finish(second);
  expect(queue.take(10, 1e9)).toEqual([behindSecond]);
});

test("what must follow another key waits for it", () => {
  const queue = new KeyedQueue({ merges: true });
  const old = entryOf({ key: "k1", op: "delete", a: null, b: "1", live: true }, () => {});
  const renamed = entryOf({ key: "k2", op: "upsert", a: "x", b: "1", live: true }, () => {});
  old.followedBy = renamed;
  renamed.waits = 1;
  queue.add(old);
  queue.add(renamed);
  expect(queue.take(10, 1e9)).toEqual([old]);
  expect(queue.take(10, 1e9)).toEqual([]);
  queue.finish(old);
  expect(queue.take(10, 1e9)).toEqual([renamed]);
});

test("closed, it lets out what fills holes and nothing else: what is finished is a prefix", () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(
        fc.oneof(
          { weight: 4, arbitrary: fc.record({ step, late: fc.boolean() }) },
          { weight: 2, arbitrary: fc.integer({ min: 1, max: 3 }) },
        ),
        { maxLength: 50 },
      ),
      (merges, moves) => {
        const queue = new KeyedQueue({ merges });
        const done: boolean[] = [];
        const sent: Entry[] = [];
        const late: Entry[] = [];
        for (const item of moves) {
          if (typeof item === "number") sent.push(...queue.take(item, 1e9));
          else {
            const place = done.push(false) - 1;
            const entry = entryOf({ ...item.step, live: true }, () => (done[place] = true));
            if (item.late) {
              entry.order = queue.reserve();
              late.push(entry);
            } else queue.add(entry);
          }
          // Some are finished out of order, some stay on their way.
          if (sent.length > 2) queue.finish(sent.pop()!);
        }
        for (const entry of late) queue.add(entry);
        queue.close();
        for (;;) {
          while (sent.length > 0) queue.finish(sent.pop()!);
          const more = queue.take(2, 1e9);
          // Taking an entry that was merged may open holes of its own: they are looked for again.
          queue.close();
          sent.push(...more);
          if (more.length === 0) break;
        }
        expect(done.lastIndexOf(true)).toBeLessThan(done.includes(false) ? done.indexOf(false) : done.length);
      },
    ),
    { numRuns: 1000 },
  );
});

test("closed, it lets out the second half of a change whose first half was taken, and what comes before that", () => {
  const queue = new KeyedQueue({ merges: true });
  const add = (key: string, op: Step["op"]): Entry => entryOf({ key, op, a: "x", b: "1", live: true }, () => {});
  const earlier = add("k2", "upsert");
  const old = add("k1", "delete");
  const renamed = add("k2", "upsert");
  old.followedBy = renamed;
  renamed.waits = 1;
  const later = add("k3", "upsert");
  queue.add(old);
  for (const entry of [earlier, renamed, later]) queue.add(entry);
  expect(queue.take(1, 1e9)).toEqual([old]);
  queue.close();
  queue.finish(old);
  expect(queue.take(10, 1e9)).toEqual([earlier]);
  queue.finish(earlier);
  expect(queue.take(10, 1e9)).toEqual([renamed]);
  queue.finish(renamed);
  expect(queue.take(10, 1e9)).toEqual([]);
});

test("in order, everything leaves as it came, and a barrier is no hindrance", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(step, rename), { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (moves, rows) => {
      const queue = new KeyedQueue({ merges: false, inOrder: true });
      const added: Entry[] = [];
      let done = 0;
      const add = (entry: Entry): void => {
        queue.add(entry);
        if (entry.op !== "barrier") added.push(entry);
      };
      for (const item of moves) {
        if (!("from" in item)) {
          add(entryOf({ ...item, live: true }, () => (done += 1)));
          continue;
        }
        const barrier = entryOf({ key: item.from, op: "delete", a: null, b: null, live: true }, () => (done += 1));
        const row = entryOf({ key: item.to, op: "upsert", a: "r", b: "9", live: true }, () => (done += 1));
        barrier.op = "barrier";
        barrier.followedBy = row;
        row.waits = 1;
        add(barrier);
        add(row);
      }
      const taken: Entry[] = [];
      for (let batch = queue.take(rows, 1e9); batch.length > 0; batch = queue.take(rows, 1e9)) {
        taken.push(...batch);
        for (const entry of batch) queue.finish(entry);
      }
      expect(taken).toEqual(added);
      expect(queue.entries).toBe(0);
      expect(done).toBe(moves.reduce((sum, item) => sum + ("from" in item ? 2 : 1), 0));
    }),
  );
});
