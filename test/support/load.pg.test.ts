import { expect, test } from "vitest";
import type { LedgerEntry } from "./ledger.ts";
import { forkLoad } from "./load-process.ts";
import { run } from "./load.ts";
import { compare, compareStates, tableState } from "./oracle.ts";
import { testDatabase } from "./postgres.ts";

const QUERY = { table: "public.load", key: ["id"] };

test("commits what it says, and the same again for the same seed", async () => {
  await using first = await testDatabase();
  await using second = await testDatabase();
  const options = { changes: 1500, keys: 200, seed: 7, connections: 1 };
  const committed = await run({ ...options, url: first.url });
  expect(committed.changes).toBeGreaterThanOrEqual(1500);
  expect(committed.inserts + committed.updates + committed.deletes + committed.keyChanges).toBe(committed.changes);
  expect(committed.inserts - committed.deletes).toBe(committed.rows);
  expect(Math.min(committed.inserts, committed.updates, committed.deletes, committed.keyChanges)).toBeGreaterThan(20);
  expect(committed.rolledBack).toBeGreaterThan(5);
  expect(committed.unknown).toBe(0);
  expect(await run({ ...options, url: second.url })).toEqual(committed);
  const state = await tableState(first, QUERY);
  expect(state.size).toBe(committed.rows);
  expect(compareStates(state, await tableState(second, QUERY))).toMatchObject({ equal: true });
  // Values that go wrong elsewhere are among them.
  const rows = [...state.values()];
  expect(rows.some(({ note }) => (note?.length ?? 0) > 4000)).toBe(true);
  expect(rows.some(({ name }) => name?.includes("日本語"))).toBe(true);
  expect(new Set(rows.map(({ version }) => version)).size).toBe(rows.length);
});

test("goes on after the server threw it out", async () => {
  await using database = await testDatabase();
  await run({ url: database.url, changes: 1, seed: 1 });
  const load = run({ url: database.url, changes: 3000, keys: 300, seed: 2 });
  let terminated = 0;
  while (terminated < 3) {
    const rows = await database.rows(
      "SELECT pg_terminate_backend(pid)::text AS done FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'BEGIN;%' LIMIT 1",
    );
    terminated += rows.length;
  }
  const committed = await load;
  expect(committed.unknown).toBeGreaterThan(0);
  expect(committed.changes).toBeGreaterThanOrEqual(3000);
});

test("runs in its own process, paced, and stops when told", async () => {
  await using database = await testDatabase();
  await using load = forkLoad({ url: database.url, changes: 1_000_000, ratePerSecond: 500, seed: 3 });
  let rows = 0;
  const giveUpAt = performance.now() + 20_000;
  while (rows === 0 && performance.now() < giveUpAt) {
    const there = await database.rows("SELECT to_regclass('public.load')::text AS there");
    if (there[0]?.["there"] === null) continue;
    rows = Number((await database.rows("SELECT count(*)::text AS count FROM public.load"))[0]?.["count"]);
  }
  load.stop();
  const committed = await load.done;
  expect(committed.changes).toBeGreaterThan(0);
  expect(committed.changes).toBeLessThan(1_000_000);
});

test("the oracle finds what is lost, extra and different", async () => {
  await using database = await testDatabase();
  await database.sql(
    "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric); INSERT INTO t VALUES (1, 'a', 1.50), (2, 'b', NULL), (3, 'c', 3)",
  );
  const send = (key: string, op: string, record: Record<string, string | null>, acknowledged = true): LedgerEntry => ({
    kind: "request",
    method: "POST",
    path: "/",
    headers: {},
    seq: 0,
    arrivedNs: 0n,
    bodyEndNs: 0n,
    attempt: null,
    bodyBytes: 0,
    bodySha1: null,
    body: null,
    rows: [{ id: key, key, op, version: null, position: null, committedAt: null, record, acknowledged }],
    action: "answer",
    status: 200,
    answeredNs: 0n,
    endedNs: 0n,
    retryAfterMs: null,
  });
  const good = [
    send("1", "upsert", { id: "1", name: "a", n: "9" }),
    // A field that is left out keeps its value.
    send("1", "upsert", { id: "1", n: "1.50" }),
    send("2", "upsert", { id: "2", name: "b", n: null }),
    send("4", "upsert", { id: "4" }),
    send("4", "delete", { id: "4" }),
    send("3", "upsert", { id: "3", name: "c", n: "3" }),
  ];
  const query = { table: "public.t", key: ["id"] };
  expect(await compare(good, database, query)).toEqual({ rows: 3, lost: [], extra: [], different: [], equal: true });
  const bad = [...good.slice(0, 4), send("2", "upsert", { n: "0" }), send("3", "upsert", { id: "3" }, false)];
  expect(await compare(bad, database, query)).toEqual({
    rows: 3,
    lost: ["3"],
    extra: ["4"],
    different: [{ key: "2", field: "n", expected: null, actual: "0" }],
    equal: false,
  });
  expect(await compare(bad, database, { ...query, count: "received" })).toMatchObject({ lost: [] });
  const mapped = { ...query, mapping: { name: "upper(name)" }, where: "id = 1" };
  expect(await compare(good, database, mapped)).toMatchObject({
    different: [{ expected: "A", actual: "a" }],
    extra: ["2", "3"],
  });
});
