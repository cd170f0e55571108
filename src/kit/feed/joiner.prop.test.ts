import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import { Joiner } from "./joiner.ts";
import type { FeedRow } from "./model-feed.ts";
import { endOf, fromPosition } from "./position.ts";

const column = (name: string) => ({ name, type: "text", json: "string", comparison: "text", nullable: true }) as const;
const RELATION: Relation = {
  id: "t",
  namespace: "s",
  name: "t",
  version: 1,
  columns: [column("id"), column("v")],
  key: [0],
  oldRows: "full",
};

type Rows = Map<string, string | null>;

/** Commits of a table with three possible values, so that a row is often written as it was. */
const history = fc.array(
  fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom(undefined, null, "1", "2"), {
    noNullPrototype: true,
  }),
  { maxLength: 6 },
);
const MARK_DIGITS = 3;
const markOf = (commit: number): string => String(commit).padStart(MARK_DIGITS, "0");

/** What a warehouse tells of these commits: `undefined` deletes, a value that is the same is told too. */
function imagesOf(commits: readonly Readonly<Record<string, string | null | undefined>>[], rows: Rows): FeedRow[] {
  return commits.flatMap((commit, index) => {
    const images: FeedRow[] = [];
    const image = (side: "old" | "new", key: string, value: string | null): void =>
      void images.push({
        mark: markOf(index + 1),
        committedAt: BigInt(index),
        image: side,
        values: [key, value],
        row: null,
      });
    const keys = Object.keys(commit).sort();
    for (const key of keys.filter((each) => commit[each] === undefined))
      if (rows.has(key)) {
        image("old", key, rows.get(key)!);
        rows.delete(key);
      }
    for (const key of keys.filter((each) => commit[each] !== undefined)) {
      if (rows.has(key)) image("old", key, rows.get(key)!);
      image("new", key, commit[key]!);
      rows.set(key, commit[key]!);
    }
    return images;
  });
}

/** Cut into pages of these sizes, over and over. */
function changesOf(images: readonly FeedRow[], sizes: readonly number[], after: string, last: string): Change[] {
  const joiner = new Joiner(after);
  const changes: Change[] = [];
  for (let at = 0, page = 0; at < images.length; page += 1) {
    const rows = images.slice(at, at + sizes[page % sizes.length]!);
    at += rows.length;
    changes.push(...joiner.take({ relation: RELATION, rows, bytes: 1 }));
    const given = changes.at(-1)?.position ?? "";
    // Reading may go on from here: what comes later is behind it, what came is not.
    if (joiner.end !== null) expect(joiner.end >= given).toBe(true);
  }
  changes.push(...joiner.finish(last));
  expect(joiner.end ?? after).toBe(endOf(last));
  return changes;
}

function applied(changes: readonly Change[], rows: Rows): Rows {
  for (const { op, before, after } of changes) {
    if (before !== null) {
      // The old row is told whole, and as it was.
      expect(rows.get(before[0] as string)).toBe(before[1]);
      rows.delete(before[0] as string);
    }
    expect(op).toBe(before === null ? "insert" : after === null ? "delete" : "update");
    if (after !== null) rows.set(after[0] as string, after[1] as string | null);
  }
  return rows;
}

const pageSizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 });

test("any paging of the same images gives the same changes, which make of the old rows the new ones", () => {
  fc.assert(
    fc.property(history, pageSizes, (commits, sizes) => {
      const rows: Rows = new Map([["a", "1"]]);
      const images = imagesOf(commits, rows);
      const last = markOf(commits.length + 1);
      const whole = changesOf(images, [1000], endOf(markOf(0)), last);
      expect(changesOf(images, sizes, endOf(markOf(0)), last)).toEqual(whole);
      expect(applied(whole, new Map([["a", "1"]]))).toEqual(rows);
      const positions = whole.map(({ position }) => position);
      expect(positions).toEqual([...new Set(positions)].sort());
      // Nothing that changed nothing.
      expect(whole.every(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after))).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("reading on from any change, or from the end of any mark, gives exactly the rest, with the same positions", () => {
  fc.assert(
    fc.property(history, pageSizes, fc.nat(), (commits, sizes, choice) => {
      const images = imagesOf(commits, new Map());
      const last = markOf(commits.length + 1);
      const whole = changesOf(images, [1000], endOf(markOf(0)), last);
      const places = [...whole.map(({ position }) => position), ...commits.map((_, index) => endOf(markOf(index)))];
      if (places.length === 0) return;
      const after = places[choice % places.length]!;
      const { mark, side } = fromPosition(after);
      const left = images.filter((image) => (side === "at" ? image.mark >= mark : image.mark > mark));
      expect(changesOf(left, sizes, after, last)).toEqual(whole.filter(({ position }) => position > after));
    }),
    { numRuns: 300 },
  );
});

const image = (mark: string, side: "old" | "new", key: string | null, more: Partial<FeedRow> = {}): FeedRow => ({
  mark,
  committedAt: 1n,
  image: side,
  values: [key, null],
  row: null,
  ...more,
});

test("two images of one row id are one update, whose key changed", () => {
  const rows = [image("1", "old", "a", { row: "r" }), image("1", "new", "b", { row: "r" })];
  expect(changesOf(rows, [1], endOf("0"), "1")).toMatchObject([
    { op: "update", before: ["a", null], after: ["b", null] },
  ]);
  const strangers = rows.map((row) => ({ ...row, row: row.image }));
  expect(changesOf(strangers, [1], endOf("0"), "1").map(({ op }) => op)).toEqual(["delete", "insert"]);
});

test("a new image alone of a row that existed is an update without its old row", () => {
  expect(changesOf([image("1", "new", "a", { existed: true })], [1], endOf("0"), "1")).toMatchObject([
    { op: "update", before: null, after: ["a", null] },
  ]);
});

test("a row without a key is named by its column; marks out of order are a defect", () => {
  const take = (...rows: FeedRow[]) => new Joiner(endOf("0")).take({ relation: RELATION, rows, bytes: 0 });
  expect(() => take(image("1", "new", null))).toThrow(/`id`/);
  expect(() => take(image("2", "new", "a"), image("1", "new", "b"))).toThrow(/order/);
});
