import fc from "fast-check";
import { expect, test } from "vitest";
import type { Relation } from "../../contracts/relation.ts";
import type { SnapshotChunk } from "../../contracts/source.ts";
import { Seam } from "./seam.ts";

// A small model of a database with a log: a transaction sets keys to the next versions; its commit is in the log
// before it becomes visible, and it becomes visible in any order with others. Two transactions that change one key follow each
// other (the second begins when the first is visible), as row locks make it.
class Database {
  readonly log: { readonly id: string; readonly changes: ReadonlyMap<string, number>; readonly partial: boolean }[] =
    [];
  readonly #visible = new Set<number>();
  readonly #versions = new Map<string, number>();

  commit(keys: readonly string[], partial: boolean): void {
    for (const key of keys) this.#showAll((changes) => changes.has(key));
    const changes = new Map(keys.map((key) => [key, (this.#versions.get(key) ?? 0) + 1]));
    for (const [key, version] of changes) this.#versions.set(key, version);
    this.log.push({ id: `x${this.log.length}`, changes, partial });
  }

  show(index: number): void {
    if (index < this.log.length) this.#visible.add(index);
  }

  #showAll(which: (changes: ReadonlyMap<string, number>) => boolean): void {
    for (const [index, { changes }] of this.log.entries()) if (which(changes)) this.#visible.add(index);
  }

  settle(): void {
    this.#showAll(() => true);
  }

  snapshot(): { rows: ReadonlyMap<string, number>; chunk: SnapshotChunk } {
    const seen = new Set([...this.#visible].map((index) => this.log[index]!.id));
    const rows = new Map<string, number>();
    let high = 0;
    for (const [index, { id, changes }] of this.log.entries()) {
      if (!seen.has(id)) continue;
      high = index + 1;
      for (const [key, version] of changes) rows.set(key, Math.max(version, rows.get(key) ?? 0));
    }
    const chunk = {
      relation: {} as Relation,
      rows: [],
      next: null,
      high: place(high),
      sees: (id: string) => seen.has(id),
    };
    return { rows, chunk };
  }
}

const place = (index: number): string => String(index).padStart(6, "0");

const key = fc.constantFrom("a", "b", "c", "d");
const move = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ commit: fc.uniqueArray(key, { minLength: 1, maxLength: 2 }), partial: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ show: fc.nat({ max: 20 }) }) },
  { weight: 4, arbitrary: fc.constant("deliver" as const) },
  { weight: 2, arbitrary: fc.constant("read" as const) },
  { weight: 2, arbitrary: fc.constant("admit" as const) },
);

test("rows that are read and changes that are streamed never set a key back, and end in the present state", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), fc.nat({ max: 6 }), (moves, earlier) => {
      const database = new Database();
      const seam = new Seam();
      let delivered = 0;
      /** What the destination was told last, and whether it ever had the whole row. */
      const told = new Map<string, { version: number; whole: boolean }>();
      let reading: ReturnType<Database["snapshot"]> | null = null;
      let again: string[] = [];

      const send = (name: string, version: number, whole: boolean): void => {
        const before = told.get(name);
        expect(version, `${name} is set back`).toBeGreaterThanOrEqual(before?.version ?? 0);
        told.set(name, { version, whole: whole || (before?.whole ?? false) });
      };
      const deliver = (): void => {
        const transaction = database.log[delivered];
        if (transaction === undefined) return;
        delivered += 1;
        for (const [name, version] of transaction.changes) {
          seam.observe(transaction.id, name, transaction.partial);
          if (!seam.suppresses(transaction.id, name)) send(name, version, !transaction.partial);
        }
        seam.passed(place(delivered));
      };
      const admit = (only: readonly string[] | null): void => {
        if (reading === null) return;
        const { rows, chunk } = reading;
        reading = null;
        const names = [...rows.keys()].filter((name) => only === null || only.includes(name));
        const { fresh, stale } = seam.admit(chunk, names);
        for (const name of fresh) send(name, rows.get(name)!, true);
        again = [...new Set([...again.filter((name) => !fresh.has(name)), ...stale])];
      };

      // Some history from before the backfill begins, delivered or not.
      for (let i = 0; i < earlier; i += 1) {
        database.commit(["a"], false);
        if (i % 2 === 0) deliver();
      }
      seam.begin();
      database.settle();
      for (const item of moves) {
        if (item === "deliver") deliver();
        else if (item === "read") reading ??= database.snapshot();
        else if (item === "admit") admit(null);
        else if ("show" in item) database.show(item.show);
        else database.commit(item.commit, item.partial);
      }
      // The backfill's last chunk, and what it found stale.
      admit(null);
      reading = database.snapshot();
      admit(null);
      database.settle();
      while (again.length > 0) {
        const only = again;
        again = [];
        reading = database.snapshot();
        admit(only);
      }
      seam.end();
      while (delivered < database.log.length) deliver();
      // An idle log still says that it has moved on.
      seam.passed(place(delivered));

      const { rows } = database.snapshot();
      for (const [name, version] of rows) {
        expect(told.get(name)?.version, `${name} is lost`).toBe(version);
      }
      expect(seam.active).toBe(false);
    }),
    { numRuns: 3000 },
  );
});
