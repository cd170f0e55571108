// What every index of what was sent must do. Part of a state store's suite.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SentIndex, SentRecord } from "../../src/contracts/sent-index.ts";
import { checkpointAt } from "../support/state-values.ts";
import { eventually, never, type StateHarness } from "./state-harness.ts";

const OF = '["crm","contacts"]';

export function sentIndexSuite(open: () => Promise<StateHarness>): void {
  test("index: knows what was announced until it is forgotten, whichever comes first", async () => {
    await using harness = await open();
    const store = await harness.open();
    const lease = await store.acquire("s", never);
    const index = await lease.openSentIndex(OF);
    expect(index).toMatchObject({ isNew: true, rows: 0 });
    expect(await index.announce([plain("a"), plain("ü'\"\\"), detailed("3:x,y,1:z", ["x,y", "z"])], 0)).toEqual({
      added: 3,
    });
    expect(await index.announce([plain("a"), plain("b")], 0)).toEqual({ added: 1 });
    expect([...(await index.known(["b", "a", "nobody"]))].sort()).toEqual(["a", "b"]);
    // Without waiting between them: the calls take effect in their order.
    await Promise.all([index.forget(["a", "b"]), index.announce([plain("b")], 1), index.forget(["nobody"])]);
    expect(await all(index, 1)).toEqual([plain("ü'\"\\"), detailed("3:x,y,1:z", ["x,y", "z"])].sort(byKey));
    expect(await index.known(["a", "b"])).toEqual(["b"]);
  });

  test("index: a record that is sent again has its new generation and its new identity", async () => {
    await using harness = await open();
    const lease = await (await harness.open()).acquire("s", never);
    const index = await lease.openSentIndex(OF);
    await index.announce([detailed("mail", ["1", "mail"]), plain("a"), plain("b")], 0);
    expect(await index.announce([detailed("mail", ["2", "mail"]), plain("a")], 1)).toEqual({ added: 0 });
    expect(await all(index, 1)).toEqual([plain("b")]);
    expect(await all(index, 0)).toEqual([plain("a"), detailed("mail", ["2", "mail"])]);
    await index.announce([plain("mail")], 1);
    expect(await all(index, 0)).toEqual([plain("a"), plain("mail")]);
  });

  test("index: what was announced outlives the process; another identity begins anew; a sync that is forgotten has none", async () => {
    await using harness = await open();
    const store = await harness.open();
    const index = await (await store.acquire("s", never)).openSentIndex(OF);
    await index.announce([plain("a"), plain("b")], 0);
    const other = await (await store.acquire("t", never)).openSentIndex(OF);
    await other.announce([plain("a")], 0);
    await harness.crash();
    const again = await harness.open();
    await harness.outdate("s");
    const lease = await again.acquire("s", never);
    expect(await lease.openSentIndex(OF)).toMatchObject({ isNew: false, rows: 2 });
    const anew = await lease.openSentIndex('["crm","companies"]');
    expect(anew).toMatchObject({ isNew: true, rows: 0 });
    expect(await all(anew, 9)).toEqual([]);
    await anew.announce([plain("c")], 0);
    await lease[Symbol.asyncDispose]();
    await again.forget("s");
    const fresh = await again.acquire("s", never);
    expect(await fresh.openSentIndex(OF)).toMatchObject({ isNew: true, rows: 0 });
    await harness.outdate("t");
    expect(await (await again.acquire("t", never)).openSentIndex(OF)).toMatchObject({ isNew: false, rows: 1 });
  });

  test("index: a holder that was succeeded changes nothing any more", async () => {
    await using harness = await open();
    const old = await (await harness.open()).acquire("s", never);
    const index = await old.openSentIndex(OF);
    await index.announce([plain("a")], 0);
    await harness.outdate("s");
    const successor = await (await harness.open()).acquire("s", never);
    await expect(index.forget(["a"])).rejects.toMatchObject({ code: "state.lease_lost" });
    await expect(index.announce([plain("b")], 0)).rejects.toMatchObject({ code: "state.lease_lost" });
    await eventually(() => Promise.resolve(old.lost.aborted));
    const theirs = await successor.openSentIndex(OF);
    expect(await theirs.known(["a", "b"])).toEqual(["a"]);
  });

  test("index: pages cover everything once, however many records there are", { timeout: 60_000 }, async () => {
    await using harness = await open();
    const lease = await (await harness.open()).acquire("s", never);
    const index = await lease.openSentIndex(OF);
    const keys = Array.from({ length: 50_000 }, (_, n) => String(n));
    for (let from = 0; from < keys.length; from += 5_000)
      await index.announce(keys.slice(from, from + 5_000).map(plain), 0);
    await index.announce(keys.filter((key) => key.endsWith("7")).map(plain), 1);
    // A commit beside it does not wait for ever, and nothing is lost by it.
    await lease.commit({ checkpoint: checkpointAt(1) });
    const found: string[] = [];
    let covered = 0;
    for (let after: string | null = null, last = false; !last;) {
      const page = await index.others(1, after);
      covered += page.covered;
      found.push(...page.records.map(({ key }) => key));
      after = page.next;
      last = after === null;
    }
    expect(covered).toBe(50_000);
    expect(found).toHaveLength(45_000);
    expect(new Set(found).size).toBe(45_000);
  });

  test("index: is what a map would be, whatever it is asked", { timeout: 60_000 }, async () => {
    const key = fc.constantFrom("1", "10", "2", "é", "a b", "");
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("announce" as const),
        keys: fc.uniqueArray(key, { minLength: 1 }),
        generation: fc.nat({ max: 2 }),
        detail: fc.option(fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 2 })),
      }),
      fc.record({ kind: fc.constant("forget" as const), keys: fc.uniqueArray(key, { minLength: 1 }) }),
    );
    await using harness = await open();
    const store = await harness.open();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        number += 1;
        await using lease = await store.acquire(`s${number}`, never);
        const index = await lease.openSentIndex(OF);
        const model = new Map<string, { generation: number; record: SentRecord }>();
        for (const made of steps) {
          if (made.kind === "forget") {
            await index.forget(made.keys);
            for (const name of made.keys) model.delete(name);
            continue;
          }
          const records = made.keys.map((name) => ({ key: name, identity: made.detail?.map(withoutNul) ?? null }));
          const added = records.filter(({ key: name }) => !model.has(name)).length;
          expect(await index.announce(records, made.generation)).toEqual({ added });
          for (const record of records) model.set(record.key, { generation: made.generation, record });
        }
        for (const generation of [0, 1]) {
          const expected = [...model.values()].filter((held) => held.generation !== generation);
          expect(await all(index, generation)).toEqual(expected.map(({ record }) => record).sort(byKey));
        }
      }),
      { numRuns: 30 },
    );
  });
}

/** A database's text holds none. */
function withoutNul(text: string): string {
  return text.replaceAll("\u0000", "");
}

function plain(key: string): SentRecord {
  return { key, identity: null };
}

function detailed(key: string, identity: readonly string[]): SentRecord {
  return { key, identity };
}

function byKey(a: SentRecord, b: SentRecord): number {
  return Buffer.compare(Buffer.from(a.key), Buffer.from(b.key));
}

async function all(index: SentIndex, generation: number): Promise<readonly SentRecord[]> {
  const found: SentRecord[] = [];
  for (let after: string | null = null, last = false; !last;) {
    const page = await index.others(generation, after);
    found.push(...page.records);
    after = page.next;
    last = after === null;
  }
  return found;
}
