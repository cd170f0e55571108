// What every index of the rows of a model must do. Part of a state store's suite.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { IndexedRow, RowIndex, RowIndexOptions, SentRow } from "../../src/contracts/row-index.ts";
import { rowHash } from "../../src/kit/row-hash.ts";
import { checkpointAt } from "../support/state-values.ts";
import { RowIndexModel } from "./row-index-model.ts";
import { eventually, never, type StateHarness } from "./state-harness.ts";

const OF: RowIndexOptions = { identity: '["crm","contacts"]', content: "map", parts: [] };

export function rowIndexSuite(open: () => Promise<StateHarness>): void {
  test("row index: a row is found as it was announced, before and after it was accepted", async () => {
    await using harness = await open();
    const lease = await (await harness.open()).acquire("s", never);
    const index = await lease.openRowIndex(OF);
    expect(index).toMatchObject({ isNew: true, rows: 0 });
    expect(await index.find(["a"])).toEqual([null]);
    const rows = [row("a", "1"), { ...row("ü'\"\\", "1"), recordKey: '["x,y"]', identity: ["x,y", "z"] }];
    const versions = await index.announce(rows);
    expect(index.rows).toBe(2);
    const found = rows.map((sent, place) => ({ ...sent, place, version: versions[place], confirmed: false }));
    expect(await index.find(["nobody", "ü'\"\\", "a"])).toEqual([null, found[1], found[0]]);
    await index.confirm([{ key: "a", version: versions[0]! }]);
    expect(await index.find(["a", "a"])).toMatchObject([{ ...found[0], confirmed: true }, { key: "a" }]);
    expect(await index.find([])).toEqual([]);
    expect(await index.announce([])).toEqual([]);
  });

  test("row index: the same that was not accepted has the same version, anything else a greater one", async () => {
    await using harness = await open();
    const lease = await (await harness.open()).acquire("s", never);
    const index = await lease.openRowIndex(OF);
    const announce = async (sent: SentRow): Promise<number> => (await index.announce([sent]))[0]!;
    const first = await announce(row("a", "1"));
    expect(await announce(row("a", "1"))).toBe(first);
    const other = await announce({ ...row("a", "1"), recordKey: "r" });
    const changed = await announce({ ...row("a", "2"), recordKey: "r" });
    // What was announced anew since is not accepted by an answer to what was before.
    await index.confirm([{ key: "a", version: other }]);
    expect(await index.find(["a"])).toMatchObject([{ version: changed, confirmed: false }]);
    await index.confirm([{ key: "a", version: changed }]);
    const again = await announce({ ...row("a", "2"), recordKey: "r" });
    const back = await announce(row("a", "1"));
    const gone = await announce(removal("a"));
    expect(await announce(removal("a"))).toBe(gone);
    const beside = await announce(row("b", "1"));
    const all = [first, other, changed, again, back, gone, beside];
    expect(all).toEqual([...new Set(all)].sort((a, b) => a - b));
  });

  test("row index: a removal leaves it when it was accepted, and its place is taken again, but no version", async () => {
    await using harness = await open();
    const lease = await (await harness.open()).acquire("s", never);
    const index = await lease.openRowIndex(OF);
    const [, b] = await index.announce([row("a", "1"), row("b", "1"), row("c", "1")]);
    const [gone] = await index.announce([removal("b")]);
    await index.confirm([{ key: "b", version: b! }]);
    expect(await index.find(["b"])).toEqual([{ ...removal("b"), place: 1, version: gone, confirmed: false }]);
    expect(index.rows).toBe(3);
    await index.confirm([{ key: "b", version: gone! }]);
    await index.confirm([{ key: "b", version: gone! }]);
    expect(await index.find(["b"])).toEqual([null]);
    expect(index.rows).toBe(2);
    const [, again] = await index.announce([row("d", "1"), row("b", "1")]);
    expect(again).toBeGreaterThan(gone!);
    expect((await index.find(["a", "b", "c", "d"])).map((found) => found?.place)).toEqual([0, 3, 2, 1]);
  });

  test("row index: outlives the process; another identity begins anew, and goes on with the versions", async () => {
    await using harness = await open();
    const store = await harness.open();
    const index = await (await store.acquire("s", never)).openRowIndex(OF);
    const [a] = await index.announce([row("a", "1"), row("b", "1")]);
    await index.confirm([{ key: "a", version: a! }]);
    const other = await (await store.acquire("t", never)).openRowIndex(OF);
    await other.announce([row("a", "1")]);
    await harness.crash();
    const again = await harness.open();
    await harness.outdate("s");
    const lease = await again.acquire("s", never);
    const kept = await lease.openRowIndex(OF);
    expect(kept).toMatchObject({ isNew: false, rows: 2 });
    expect(await kept.find(["a", "b"])).toMatchObject([{ confirmed: true }, { confirmed: false }]);
    const [, b] = await kept.announce([row("a", "2"), row("b", "1")]);
    const known = { identity: OF.identity, content: "map", rows: 2 };
    expect([await lease.knownRows(), await again.knownRows("s")]).toEqual([known, known]);
    expect(await lease.openRowIndex({ ...OF, content: "other" })).toMatchObject({ isNew: false, rows: 2 });
    expect(await again.knownRows("s")).toEqual({ ...known, content: "other" });
    expect(await again.knownRows("nobody")).toBeNull();
    const anew = await lease.openRowIndex({ ...OF, identity: '["crm","companies"]' });
    expect(anew).toMatchObject({ isNew: true, rows: 0 });
    expect(await all(anew)).toEqual([]);
    const [next] = await anew.announce([row("a", "2")]);
    expect(next).toBeGreaterThan(b!);
    expect((await anew.find(["a"]))[0]?.place).toBe(0);
    await lease[Symbol.asyncDispose]();
    await again.forget("s");
    const fresh = await (await again.acquire("s", never)).openRowIndex(OF);
    expect(fresh).toMatchObject({ isNew: true, rows: 0 });
    // Nothing is known of what was before, and yet it is not given again.
    expect((await fresh.announce([row("a", "2")]))[0]).toBeGreaterThan(next!);
    await harness.outdate("t");
    expect(await (await again.acquire("t", never)).openRowIndex(OF)).toMatchObject({ isNew: false, rows: 1 });
  });

  test("row index: a holder that was succeeded changes nothing any more", async () => {
    await using harness = await open();
    const old = await (await harness.open()).acquire("s", never);
    const index = await old.openRowIndex(OF);
    const [version] = await index.announce([row("a", "1")]);
    await harness.outdate("s");
    const successor = await (await harness.open()).acquire("s", never);
    await expect(index.confirm([{ key: "a", version: version! }])).rejects.toMatchObject({ code: "state.lease_lost" });
    await expect(index.announce([row("b", "1")])).rejects.toMatchObject({ code: "state.lease_lost" });
    await eventually(() => Promise.resolve(old.lost.aborted));
    const theirs = await successor.openRowIndex(OF);
    expect(await theirs.find(["a", "b"])).toMatchObject([{ version, confirmed: false }, null]);
  });

  test("row index: pages cover everything once, while rows come and go", { timeout: 60_000 }, async () => {
    await using harness = await open();
    const lease = await (await harness.open()).acquire("s", never);
    const index = await lease.openRowIndex(OF);
    const keys = Array.from({ length: 30_000 }, (_, n) => String(n));
    for (let from = 0; from < keys.length; from += 5_000)
      await index.announce(keys.slice(from, from + 5_000).map((key) => row(key, "1")));
    await lease.commit({ checkpoint: checkpointAt(1) });
    const found: IndexedRow[] = [];
    for (let after: string | null = null, number = 0, last = false; !last; number += 1) {
      const page = await index.page(after);
      found.push(...page.rows);
      after = page.next;
      last = after === null;
      const gone = removal(`gone ${number}`);
      const [, version] = await index.announce([row(`new ${number}`, "1"), gone]);
      await index.confirm([{ key: gone.key, version: version! }]);
    }
    const known = found.filter(({ key }) => !/^(?:new|gone)/.test(key));
    expect(known.map(({ key }) => key).sort()).toEqual(keys.sort());
    expect(new Set(known.map(({ place }) => place))).toEqual(new Set(Array.from({ length: 30_000 }, (_, n) => n)));
    expect(new Set(found.map(({ key }) => key)).size).toBe(found.length);
  });

  test("row index: is what a map would be, whatever it is asked, over crashes too", { timeout: 120_000 }, async () => {
    const place = fc.constantFrom("", "1", "10", "é", "a,b", "1:a");
    const key = fc.tuple(place, place).map(keyOf);
    const content = fc.record({
      key,
      hash: fc.constantFrom(null, rowHash(["1"]), rowHash([null])),
      recordKey: fc.constantFrom(null, "r", '["s"]'),
      identity: fc.option(fc.array(fc.string({ unit: "grapheme" }).map(withoutNul), { minLength: 1, maxLength: 2 })),
    });
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant("announce" as const),
          rows: fc.uniqueArray(content, { selector: (sent) => sent.key, minLength: 1, maxLength: 8 }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("confirm" as const), share: fc.nat({ max: 3 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const), parts: fc.subarray([[0], [1]]) }) },
    );
    await using harness = await open();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 16 }), async (steps) => {
        number += 1;
        const sync = `s${number}`;
        let parts: readonly (readonly number[])[] = [[0], [1]];
        let index = await (await (await harness.open()).acquire(sync, never)).openRowIndex({ ...OF, parts });
        const model = new RowIndexModel();
        for (const made of steps) {
          if (made.kind === "announce") model.announced(made.rows, await index.announce(made.rows));
          else if (made.kind === "confirm") {
            const announced = model.announcements.filter((_, at) => at % 4 <= made.share);
            const last = new Map(announced.map((one) => [one.key, one]));
            await index.confirm([...last.values()]);
            model.confirmed([...last.values()]);
          } else {
            ({ parts } = made);
            await harness.crash();
            await harness.outdate(sync);
            index = await (await (await harness.open()).acquire(sync, never)).openRowIndex({ ...OF, parts });
            expect(index.isNew).toBe(false);
          }
          const rows = await all(index);
          model.check(rows);
          expect(index.rows).toBe(rows.length);
          const asked = [...rows.map((held) => held.key), "nobody"];
          expect(await index.find(asked)).toEqual([...rows, null]);
          for (const [at] of parts)
            for (const texts of [[["a,b"]], [["1"], [""], ["no"]]])
              expect([...(await index.matching([at!], texts))].sort()).toEqual(model.matching(at!, texts.flat()));
        }
        await harness.crash();
      }),
      { numRuns: 25 },
    );
  });
}

/** The text of a key of two columns. */
function keyOf(texts: readonly [string, string]): string {
  return texts.map((text) => `${text.length}:${text}`).join(",");
}

/** A database's text holds none. */
function withoutNul(text: string): string {
  return text.replaceAll("\u0000", "");
}

function row(key: string, content: string): SentRow {
  return { key, recordKey: null, identity: null, hash: rowHash([content]) };
}

function removal(key: string): SentRow {
  return { key, recordKey: null, identity: null, hash: null };
}

async function all(index: RowIndex): Promise<readonly IndexedRow[]> {
  const found: IndexedRow[] = [];
  for (let after: string | null = null, last = false; !last;) {
    const page = await index.page(after);
    found.push(...page.rows);
    after = page.next;
    last = after === null;
  }
  return found;
}
