import { describe, expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import type { HeldDeletes } from "../../contracts/state.ts";
import type { MaxDeletes } from "../../contracts/sync.ts";
import { compileMapping } from "../mapping/compile.ts";
import { DeleteGuard, tooManyDeletes } from "./delete-guard.ts";
import { Entry } from "./entry.ts";

const relation = relationWith({ id: "bigint" });
const mapping = compileMapping(syncWith(), relation);
const nowhere = { tracker: {}, done: () => {}, alsoWaits: () => {}, suppose: () => {} };
const NOON = 12 * 3_600_000;
const HOUR = 3_600_000;

function removals(count: number, committedAt = 1n, half: Entry["half"] = ""): Entry[] {
  return Array.from({ length: count }, () => {
    const entry = new Entry("delete", mapping, nowhere, 0, false);
    entry.half = half;
    entry.transaction = { id: "1", committedAt };
    return entry;
  });
}

function guardOf(rows: number, max: MaxDeletes = { kind: "share", share: 0.3 }): DeleteGuard {
  const guard = new DeleteGuard(max);
  guard.begin(rows, null, NOON);
  return guard;
}

function remove(guard: DeleteGuard, entries: readonly Entry[], atMs = NOON): ReturnType<DeleteGuard["ask"]> {
  const tooMany = guard.ask(entries, atMs);
  if (tooMany === null) for (const entry of entries) guard.finished(entry, true);
  return tooMany;
}

const held = (rows: number, of: number, approved: boolean): HeldDeletes => {
  return { by: "live", rows, of, generation: 0, until: "5", approved };
};

describe("deletes of a running mirror", () => {
  test("up to the share pass; the first beyond it does not, however they come", () => {
    for (const batch of [1, 7, 50]) {
      const guard = guardOf(1000);
      let sent = 0;
      for (; remove(guard, removals(batch)) === null; sent += batch);
      expect(sent).toBeGreaterThan(300 - batch);
      expect(sent).toBeLessThanOrEqual(300);
    }
  });

  test("those on their way count, and once only, however often they are sent; those that are refused do not", () => {
    const guard = guardOf(1000);
    const first = removals(300);
    expect(guard.ask(first, NOON)).toBeNull();
    expect(guard.ask(first, NOON)).toBeNull();
    expect(guard.ask(removals(1), NOON)).toEqual({ rows: 301, of: 1000 });
    for (const entry of first) guard.finished(entry, false);
    expect(remove(guard, removals(300))).toBeNull();
  });

  test("of a small table a hundred may always go; a number of rows is just that", () => {
    expect(remove(guardOf(120), removals(100))).toBeNull();
    expect(remove(guardOf(120), removals(101))).toEqual({ rows: 101, of: 120 });
    expect(remove(guardOf(120, { kind: "rows", rows: 3 }), removals(4))).toEqual({ rows: 4, of: 120 });
    expect(remove(guardOf(120, { kind: "rows", rows: 0 }), removals(1))).not.toBeNull();
    expect(remove(guardOf(5000, { kind: "share", share: 1 }), removals(5000))).toBeNull();
  });

  test("rows that come and go are no loss, nor are rows that only change their key", () => {
    const guard = guardOf(1000);
    for (let round = 0; round < 50; round += 1) {
      guard.added(200);
      expect(remove(guard, removals(200))).toBeNull();
    }
    expect(remove(guard, removals(1000, 1n, "-old"))).toBeNull();
    guard.added(1000);
    expect(remove(guard, removals(300))).toBeNull();
    expect(remove(guard, removals(300))).not.toBeNull();
  });

  test("after an hour it begins anew", () => {
    const guard = guardOf(1000);
    expect(remove(guard, removals(300))).toBeNull();
    expect(remove(guard, removals(1), NOON + HOUR - 1)).not.toBeNull();
    const later = guardOf(1000);
    expect(remove(later, removals(300))).toBeNull();
    expect(remove(later, removals(200), NOON + 2 * HOUR)).toBeNull();
  });

  test("what was held is held again in a new process, until it is approved; what is deleted later is not approved", () => {
    const again = new DeleteGuard({ kind: "share", share: 0.3 });
    again.begin(700, held(900, 1000, false), NOON);
    expect(remove(again, removals(1))).toEqual({ rows: 301, of: 1000 });
    again.begin(700, held(900, 1000, true), NOON);
    expect(remove(again, removals(600, 5n))).toBeNull();
    expect(remove(again, removals(100, 6n))).toBeNull();
    const others = new DeleteGuard({ kind: "share", share: 0.3 });
    others.begin(1000, held(900, 1000, true), NOON);
    expect(remove(others, removals(301, 6n))).toEqual({ rows: 301, of: 1000 });
  });
});

test("what it says names how many of how many", () => {
  const resync = { ...held(4000, 10_000, false), by: "resync" as const };
  expect(tooManyDeletes(resync, { kind: "share", share: 0.3 }).message).toBe(
    "the resync would remove 4000 of 10000 records (40 %) whose rows are gone; `max_deletes` is 30 %",
  );
  expect(tooManyDeletes(held(501, 1000, false), { kind: "rows", rows: 500 }).message).toContain(
    "about 501 of 1000 records (50.1 %)",
  );
});
