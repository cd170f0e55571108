import { afterAll, beforeAll, describe as suite, expect, inject, test } from "vitest";
import type { QueryModel } from "../../contracts/model.ts";
import type { ChunkLimit, Cursor, SnapshotChunk, Source } from "../../contracts/source.ts";
import { startServer } from "../../cli/demo/embedded-postgres.ts";
import { type TestDatabase, databaseAt, testDatabase } from "../../../test/support/postgres.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";
import postgres from "./index.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const signal = AbortSignal.timeout(55_000);
const WIDE: ChunkLimit = { rows: 1000, bytes: 1e8 };

const TABLES = `
      CREATE EXTENSION citext;
      CREATE TYPE mood AS ENUM ('ok', 'sad');
      CREATE DOMAIN amount AS numeric(12, 2);
      CREATE TABLE users (id bigint PRIMARY KEY, email citext UNIQUE, plan text, mood mood, active bool);
      CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total amount);
      CREATE INDEX ON orders (user_id);
      INSERT INTO users SELECT i, 'U' || i || '@x.y', CASE i % 2 WHEN 0 THEN 'free' ELSE 'paid' END, 'ok', i % 2 = 0 FROM generate_series(1, 50) i;
      INSERT INTO orders SELECT i, i % 40 + 1, i + 0.5 FROM generate_series(1, 400) i;
      CREATE VIEW paying AS SELECT * FROM users WHERE plan = 'paid'`;
const GOLDEN = queryModel(
  `SELECT u.id, u.email, u.mood, u.active, count(o.id) AS orders, coalesce(sum(o.total), 0) AS ltv
       FROM paying u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, u.email, u.mood, u.active -- golden`,
  { name: "golden", key: ["id"] },
);

suite.each([
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
])("queries on $server", ({ url: serverUrl }) => {
  const missing = serverUrl === "";
  let database: TestDatabase;
  let source: Source;

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(serverUrl);
    source = postgres.create(postgres.settings.parse({ url: database.url }), {
      name: database.name,
      project: "tailrace",
      log,
    });
    await database.sql(TABLES);
  });
  afterAll(async () => {
    if (missing) return;
    await source[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  const problem = (of: QueryModel) =>
    source.describe(of, signal).then(
      () => null,
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    );

  async function chunksOf(of: Parameters<Source["scan"]>[0], limit: ChunkLimit, after: Cursor | null = null) {
    const chunks: SnapshotChunk[] = [];
    for await (const chunk of source.scan(of, after, limit, signal)) chunks.push(chunk);
    return chunks;
  }

  test.skipIf(missing)("columns and types are those of the result", async () => {
    const relation = await source.describe(GOLDEN, signal);
    expect(relation.columns.map(({ name, type, nullable }) => `${name} ${type} ${nullable}`)).toEqual([
      "id bigint true",
      "email public.citext true",
      "mood public.mood true",
      "active boolean true",
      "orders bigint true",
      "ltv numeric true",
    ]);
    expect(relation).toMatchObject({ id: "query/golden", name: "golden", key: [0], oldRows: "key" });
    expect(await source.describe(GOLDEN, signal)).toBe(relation);
  });

  test.skipIf(missing)("what is wrong with a query is said with its place and what would help", async () => {
    const of = (sql: string, key = ["id"]) => problem(queryModel(sql, { key }));
    expect(await of("SELECT id\n  FORM users")).toBe(
      'source.model: model m: syntax error at or near "users" at line 2, column 8 of its SQL (SQLSTATE 42601)',
    );
    expect(await of("SELECT idd AS id FROM users")).toMatch(
      /^source.model: model m: column "idd" does not exist at line 1, column 8 of its SQL. Perhaps you meant .*"users.id"/,
    );
    expect(await of("SELECT id FROM nowhere")).toMatch(
      /^source.model: .*relation "nowhere" does not exist at line 1, column 16/,
    );
    expect(await of("SELECT id FROM users; DROP TABLE users")).toMatch(/^source.model: .*syntax error at or near ";"/);
    expect(await of("SELECT id, id FROM users")).toBe(
      "source.model: model m: two columns of its result are called id: name them apart with AS, or leave one out",
    );
    expect(await of("SELECT id, 1 + 1 FROM users")).toBe(
      "source.model: model m: column 2 of its result has no name: give it one with AS",
    );
    expect(await of("SELECT id, email FROM users", ["emial"])).toBe(
      "source.model: model m: its result has no column emial (did you mean email?), which is named as its key",
    );
    expect(await of("SELECT '{}'::json AS id")).toBe(
      "source.model: model m: its key column id has the type json, which has no order: cast it to text",
    );
    expect(await database.rows("SELECT count(*) FROM users")).toEqual([{ count: "50" }]);
  });

  test.skipIf(missing)("a query cannot write", async () => {
    await database.sql(`CREATE FUNCTION clear() RETURNS int LANGUAGE sql AS 'DELETE FROM orders; SELECT 1'`);
    await expect(chunksOf(queryModel("SELECT clear() AS id", { key: ["id"] }), WIDE)).rejects.toMatchObject({
      code: "source.config",
    });
    expect(await database.rows("SELECT count(*) FROM orders")).toEqual([{ count: "400" }]);
  });

  test.skipIf(missing)("a scan gives all rows in key order, in chunks, from one snapshot", async () => {
    const scanning = source.scan(GOLDEN, null, { rows: 4, bytes: 1e8 }, signal)[Symbol.asyncIterator]();
    const chunks = [(await scanning.next()).value as SnapshotChunk];
    // Lookups and commits go on beside it.
    await database.sql(
      "UPDATE users SET mood = 'sad' WHERE id >= 49; INSERT INTO users VALUES (1001, 'new', 'paid', 'ok', true)",
    );
    expect((await source.lookup(GOLDEN, [["49"]], signal)).rows).toEqual([["49", "U49@x.y", "sad", "false", "0", "0"]]);
    for (let next = await scanning.next(); !next.done; next = await scanning.next()) chunks.push(next.value);
    const rows = chunks.flatMap((chunk) => chunk.rows);
    expect(rows.map(([id]) => id)).toEqual(Array.from({ length: 25 }, (_, i) => String(i * 2 + 1)));
    expect(rows[24]).toEqual(["49", "U49@x.y", "ok", "false", "0", "0"]);
    expect(chunks.map((chunk) => chunk.rows.length)).toEqual([4, 4, 4, 4, 4, 4, 1]);
    expect(chunks.map((chunk) => chunk.next)).toEqual([["7"], ["15"], ["23"], ["31"], ["39"], ["47"], null]);
    await database.sql("DELETE FROM users WHERE id = 1001; UPDATE users SET mood = 'ok' WHERE mood = 'sad'");
  });

  test.skipIf(missing)("a scan goes on after a key", async () => {
    const [chunk, ...others] = await chunksOf(GOLDEN, WIDE, ["43"]);
    expect(others).toEqual([]);
    expect(chunk!.rows.map(([id]) => id)).toEqual(["45", "47", "49"]);
    expect(chunk!.next).toBeNull();
    const pairs = queryModel("SELECT email, plan FROM users", { key: ["plan", "email"] });
    const [after] = await chunksOf(pairs, { rows: 2, bytes: 1e8 }, ["paid", "u47@X.y"]);
    expect(after!.rows).toEqual([
      ["U49@x.y", "paid"],
      ["U5@x.y", "paid"],
    ]);
  });

  test.skipIf(missing)(
    "chunks keep to their bytes though rows differ much in size, and a row may be larger than that",
    async () => {
      const sized = queryModel(
        "SELECT i AS id, repeat('x', CASE WHEN i <= 3000 THEN 10 ELSE 100000 END) AS t FROM generate_series(1, 3200) i",
        {
          key: ["id"],
        },
      );
      const chunks = await chunksOf(sized, { rows: 100_000, bytes: 150_000 });
      const rows = chunks.flatMap((chunk) => chunk.rows);
      expect(rows.map(([id]) => Number(id))).toEqual(Array.from({ length: 3200 }, (_, i) => i + 1));
      for (const chunk of chunks) {
        const bytes = chunk.rows.reduce((sum, row) => sum + (row[1] as string).length, 0);
        expect(bytes <= 150_000).toBe(true);
      }
    },
  );

  test.skipIf(missing)(
    "a scan that nobody reads makes the server wait; one that is left ends its session and its transaction",
    async () => {
      const big = queryModel("SELECT i AS id, repeat('x', 1000) AS t FROM generate_series(1, 60000) i", {
        key: ["id"],
      });
      const running = () =>
        database.rows(`SELECT wait_event FROM pg_stat_activity
                      WHERE datname = current_database() AND query LIKE '%repeat%60000%' AND pid <> pg_backend_pid()`);
      for await (const chunk of source.scan(big, null, { rows: 10, bytes: 1e6 }, signal)) {
        expect(chunk.rows).toHaveLength(10);
        // Nobody asks for more, so the server waits.
        await expect.poll(running, { timeout: 10_000 }).toEqual([{ wait_event: "ClientWrite" }]);
        break;
      }
      await expect.poll(running, { timeout: 10_000 }).toEqual([]);
      const aborting = new AbortController();
      const reading = source.scan(big, null, { rows: 10, bytes: 1e6 }, aborting.signal)[Symbol.asyncIterator]();
      await reading.next();
      aborting.abort(new Error("enough"));
      await expect(async () => {
        for (let next = await reading.next(); !next.done; next = await reading.next());
      }).rejects.toThrow("enough");
      await expect.poll(running, { timeout: 10_000 }).toEqual([]);
    },
  );

  test.skipIf(missing)("rows without a key, and keys that come twice, are in the scan", async () => {
    const loose = queryModel("SELECT * FROM (VALUES (1), (1), (NULL), (2)) v (id)", { key: ["id"] });
    const [chunk] = await chunksOf(loose, WIDE);
    expect(chunk!.rows).toEqual([["1"], ["1"], ["2"], [null]]);
    expect((await source.lookup(loose, [["1"], ["2"], ["1"]], signal)).rows.map(String).toSorted()).toEqual([
      "1",
      "1",
      "2",
    ]);
  });

  test.skipIf(missing)("rows of a query that is compared may take long: live ones do not wait for them", async () => {
    const slow = queryModel("SELECT id, (SELECT pg_advisory_xact_lock_shared(4711))::text AS held FROM users", {
      name: "slow",
      key: ["id"],
    });
    await database.sql("ALTER TABLE orders REPLICA IDENTITY FULL; SELECT pg_advisory_lock(4711)");
    expect(await source.capture(GOLDEN, signal)).toMatchObject({ kind: "live" });
    const waiting = source.lookup(slow, [["1"]], signal);
    const blocked = () => database.rows("SELECT 1 AS n FROM pg_stat_activity WHERE wait_event = 'advisory'");
    await expect.poll(blocked, { timeout: 10_000 }).toHaveLength(1);
    expect((await source.lookup(GOLDEN, [["3"]], signal)).rows).toHaveLength(1);
    expect(await blocked()).toHaveLength(1);
    await database.sql("SELECT pg_advisory_unlock(4711)");
    expect((await waiting).rows).toEqual([["1", ""]]);
  });

  test.skipIf(missing)("keys of several columns and of any type find their rows", async () => {
    const typed = queryModel(
      "SELECT u.email, u.mood, u.active, o.total, date '2024-01-01' + o.id::int AS day FROM users u JOIN orders o ON o.user_id = u.id WHERE o.id < 10",
      { key: ["day", "email", "mood", "total", "active"] },
    );
    const [all] = await chunksOf(typed, WIDE);
    expect(all!.rows).toHaveLength(9);
    const keys = all!.rows.map((row) => all!.relation.key.map((place) => row[place] as string));
    const found = await source.lookup(typed, keys, signal);
    expect(found.rows.map(String).toSorted()).toEqual(all!.rows.map(String).toSorted());
  });

  test.skipIf(missing)(
    "a view that is replaced is noticed by the next lookup, a column that changed its type too",
    async () => {
      await database.sql(
        "CREATE TABLE base (id int PRIMARY KEY, n int); INSERT INTO base VALUES (1, 1); CREATE VIEW shown AS SELECT id, n FROM base",
      );
      const shown = queryModel("SELECT * FROM shown", { name: "shown", key: ["id"] });
      const first = await source.lookup(shown, [["1"]], signal);
      expect(first.rows).toEqual([["1", "1"]]);
      await database.sql("CREATE OR REPLACE VIEW shown AS SELECT id, n + 1 AS n, 'x'::text AS more FROM base");
      const second = await source.lookup(shown, [["1"]], signal);
      expect(second.rows).toEqual([["1", "2", "x"]]);
      expect(second.relation.version).toBe(first.relation.version + 1);
      await database.sql(
        "DROP VIEW shown; ALTER TABLE base ALTER n TYPE numeric USING n + 0.25; CREATE VIEW shown AS SELECT * FROM base",
      );
      const third = await source.lookup(shown, [["1"]], signal);
      expect(third.rows).toEqual([["1", "1.25"]]);
      expect(third.relation.columns[1]!.type).toBe("numeric");
      await database.sql("DROP VIEW shown");
      await expect(source.lookup(shown, [["1"]], signal)).rejects.toMatchObject({
        code: "source.model",
        message: expect.stringContaining('relation "shown" does not exist'),
      });
    },
  );

  test.skipIf(missing)("names without a schema are found in the configured one, then in public", async () => {
    await database.sql(
      "CREATE SCHEMA shop; CREATE TABLE shop.users (id int PRIMARY KEY); INSERT INTO shop.users VALUES (9)",
    );
    const settings = postgres.settings.parse({ url: database.url, schema: "shop" });
    await using other = postgres.create(settings, { name: database.name, project: "tailrace", log });
    const of = queryModel(
      "SELECT u.id, count(o.id) AS n FROM users u LEFT JOIN orders o ON o.id = u.id GROUP BY u.id",
      { key: ["id"] },
    );
    expect((await other.lookup(of, [["9"]], signal)).rows).toEqual([["9", "1"]]);
  });

  test.skipIf(missing)("the planner's guess of the rows is the estimate", async () => {
    await database.sql("ANALYZE users");
    expect(await source.estimate(queryModel("SELECT id FROM users", { key: ["id"] }), signal)).toBe(50);
  });

  test.skipIf(missing)("a table is scanned by its key's index, from one snapshot, beside lookups", async () => {
    const limit = { rows: 7, bytes: 1e8 };
    const scanning = source.scan(tableModel("orders"), null, limit, signal)[Symbol.asyncIterator]();
    const chunks = [(await scanning.next()).value as SnapshotChunk];
    await database.sql("DELETE FROM orders WHERE id = 400");
    expect((await source.lookup(tableModel("orders"), [["400"]], signal)).rows).toEqual([]);
    for (let next = await scanning.next(); !next.done; next = await scanning.next()) chunks.push(next.value);
    expect(chunks.flatMap((chunk) => chunk.rows.map(([id]) => Number(id)))).toEqual(
      Array.from({ length: 400 }, (_, i) => i + 1),
    );
    const [rest] = await chunksOf(tableModel("orders"), WIDE, ["390"]);
    expect(rest!.rows.map(([id]) => id)).toEqual(Array.from({ length: 9 }, (_, i) => String(391 + i)));
    const xid = (
      await database.rows(
        "WITH d AS (DELETE FROM orders WHERE id = 399 RETURNING 1) SELECT pg_current_xact_id()::text AS id FROM d",
      )
    )[0]!.id!;
    expect(chunks[0]!.sees(xid)).toBe(false);
    expect(chunks[0]!.high < (await source.lookup(tableModel("orders"), [], signal)).high).toBe(true);
  });
});

// It holds a transaction open, which keeps every other test of the server from making a slot.
test("keys are looked up in one statement that says what its snapshot sees", async () => {
  await using server = await startServer();
  await using database = await testDatabase(server.url());
  const settings = postgres.settings.parse({ url: database.url });
  await using source = postgres.create(settings, { name: database.name, project: "tailrace", log });
  await database.sql(TABLES);
  await using other = await databaseAt(database.url);
  await other.sql("BEGIN; UPDATE users SET plan = 'paid' WHERE id = 2");
  const [open] = await other.rows("SELECT pg_current_xact_id()::text AS id");
  const before = await source.lookup(GOLDEN, [["2"], ["3"], ["777"]], signal);
  expect(before.rows.map(([id]) => id)).toEqual(["3"]);
  expect(before.sees(open!.id!)).toBe(false);
  await other.sql("COMMIT");
  const after = await source.lookup(GOLDEN, [["2"], ["777"]], signal);
  expect(after.rows.map(([id]) => id)).toEqual(["2"]);
  expect(after.sees(open!.id!)).toBe(true);
  expect(after.high > before.high).toBe(true);
  expect((await source.lookup(GOLDEN, [["777"]], signal)).sees(open!.id!)).toBe(true);
  const mark = await source.lookup(GOLDEN, [], signal);
  expect(mark.rows).toEqual([]);
  expect(mark.high > after.high).toBe(true);
});
