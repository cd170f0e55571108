import { expect, test } from "vitest";
import type { SnapshotChunk } from "../../contracts/source.ts";
import { Seam } from "./seam.ts";

/** A snapshot that sees these transactions. */
const chunkOf = (...seen: string[]): SnapshotChunk => ({
  relation: { id: "t", namespace: "", name: "t", version: 1, columns: [], key: [], oldRows: "key" },
  rows: [],
  next: null,
  high: "0",
  sees: (transaction) => seen.includes(transaction),
});

test("a chunk that was read before a change is older than it, also when one that another read later is taken first", () => {
  const seam = new Seam();
  seam.begin();
  seam.begin();
  seam.observe("t1", "a", false);
  expect(seam.admit(chunkOf("t1"), ["a"])).toEqual({ fresh: new Set(["a"]), stale: [] });
  seam.end();
  expect(seam.admit(chunkOf(), ["a", "b"])).toEqual({ fresh: new Set(["b"]), stale: [] });
});

test("what one reader alone has seen is forgotten: each of its snapshots sees what the one before saw", () => {
  const seam = new Seam();
  seam.begin();
  seam.observe("t1", "a", false);
  seam.observe("t2", "a", false);
  seam.admit(chunkOf("t1"), []);
  expect(seam.noted).toBe(1);
  seam.admit(chunkOf("t1", "t2"), []);
  expect(seam.noted).toBe(0);
});
