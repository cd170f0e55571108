import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import type { SentIndex } from "../../contracts/sent-index.ts";
import type { MaxDeletes } from "../../contracts/sync.ts";
import { compileMapping } from "../mapping/compile.ts";
import { DeleteGuard } from "./delete-guard.ts";
import { Entry } from "./entry.ts";
import { SentKeeper } from "./sent-keeper.ts";

const relation = relationWith({ id: "bigint" });
const mapping = compileMapping(syncWith(), relation);
const nowhere = { tracker: {}, done() {}, alsoWaits() {}, suppose() {} };
const { signal } = new AbortController();

/** A keeper of 1,000 records, of which `there` have their rows; it counts how many it asked about. */
function keeperOf(max: MaxDeletes, there: (id: number) => boolean) {
  const held = new Set(Array.from({ length: 1000 }, (_, id) => String(id)));
  const index: Pick<SentIndex, "known" | "forget"> = {
    known: async (keys) => keys.filter((key) => held.has(key)),
    forget: async (keys) => {
      for (const key of keys) held.delete(key);
    },
  };
  const guard = new DeleteGuard(max);
  guard.begin(1000, null, Date.now());
  let asked = 0;
  const keeper = new SentKeeper({
    index: index as SentIndex,
    generation: 0,
    guard,
    hold: (_, { rows, of }) => Promise.reject(new Error(`${rows} of ${of}`)),
    thereAgain: async (removals) => {
      asked += removals.length;
      return removals.filter(({ key }) => there(Number(key)));
    },
  });
  /** Removes the records, as a lane does; how many were really removed. */
  const remove = async (from: number, to: number, batch = 50): Promise<number> => {
    const before = held.size;
    for (let id = from; id < to; id += batch) {
      const entries = Array.from({ length: Math.min(batch, to - id) }, (_, place) => removalOf(String(id + place)));
      const needless = new Set(await keeper.announce(entries, signal));
      keeper.accepted(entries.filter((entry) => !needless.has(entry)));
    }
    return before - held.size;
  };
  return { remove, asked: () => asked };
}

function removalOf(key: string): Entry {
  const entry = new Entry("delete", mapping, nowhere, 0, false);
  entry.before = [key];
  entry.rowKey = key;
  entry.key = key;
  entry.transaction = { id: "1", committedAt: 1n };
  return entry;
}

const THIRD: MaxDeletes = { kind: "share", share: 0.3 };

test("rows that are all there again are not asked about at first, and then their records stay", async () => {
  const { remove, asked } = keeperOf(THIRD, () => true);
  expect(await remove(0, 1000, 10)).toBe(30);
  expect(asked()).toBe(970);
});

test("those that stay away are removed up to what is allowed, however many are there again between them", async () => {
  const few = keeperOf(THIRD, (id) => id % 4 > 0);
  expect(await few.remove(0, 1000)).toBe(250);
  const many = keeperOf(THIRD, (id) => id % 2 > 0);
  await expect(many.remove(0, 1000)).rejects.toThrow(/^3\d\d of 1000$/);
});

test("nothing is asked where everything may go", async () => {
  const { remove, asked } = keeperOf({ kind: "share", share: 1 }, () => true);
  expect(await remove(0, 1000)).toBe(1000);
  expect(asked()).toBe(0);
});
