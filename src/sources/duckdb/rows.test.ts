import { readdir, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { duckdb, holdOpen, testFolder } from "../../../test/support/duckdb.ts";
import { duckdbSource, LIMIT, NEVER, scanned } from "../../../test/support/duckdb-source.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";

test("every type is the text that DuckDB prints, lists and structs are JSON, bytes are hex", async () => {
  await using folder = await testFolder();
  await duckdb(
    folder.file("w.duckdb"),
    "CREATE TYPE mood AS ENUM ('sad', 'it''s')",
    `CREATE TABLE t (id UBIGINT PRIMARY KEY, huge HUGEINT, price DECIMAL(38,10), f FLOAT, d DOUBLE, flag BOOLEAN, day DATE NOT NULL, seen TIMESTAMP,
       tz TIMESTAMPTZ, ns TIMESTAMP_NS, t TIME, span INTERVAL, u UUID, raw BLOB, list BIGINT[], pair STRUCT(a DECIMAL(30,2), b VARCHAR), map MAP(VARCHAR, INTEGER), doc JSON, m mood, v VARCHAR)`,
    `INSERT INTO t VALUES (18446744073709551615, 170141183460469231731687303715884105727, 1234567890123456789012345678.0123456789, 0.1, 'nan', true, '2026-02-28', '2026-01-02 03:04:05.123456',
       '2026-01-02 03:04:05.123456+05:30', '2026-01-02 03:04:05.123456789', '03:04:05', INTERVAL '1 month 2 days', '6f8fe9ad-6b14-4d8c-9b4b-0d3ff0f1a111', '\\x00\\xFFa', [9223372036854775807, NULL], {'a': 12345678901234567890123.45, 'b': 'x"y'}, MAP{'k': 1}, '{"n": 12345678901234567890.10}', 'it''s', 'a''b')`,
    "INSERT INTO t (id, day, seen) VALUES (0, '1999-12-31', 'infinity')",
  );
  await using source = duckdbSource(folder, { path: "w.duckdb" });
  const model = tableModel("t");
  const relation = await source.describe(model, NEVER);
  expect(relation.key).toEqual([0]);
  expect(relation.columns.filter(({ nullable }) => !nullable).map(({ name }) => name)).toEqual(["id", "day"]);
  const { rows } = await scanned(source, model);
  const whole = Object.fromEntries(
    relation.columns.map(({ name, type, json }, place) => [name, [type, json, rows[1]![place]]]),
  );
  expect(whole).toEqual({
    id: ["numeric(20,0)", "number", "18446744073709551615"],
    huge: ["numeric(39,0)", "number", "170141183460469231731687303715884105727"],
    price: ["numeric(38,10)", "number", "1234567890123456789012345678.0123456789"],
    f: ["real", "number", "0.1"],
    d: ["double precision", "number", "nan"],
    flag: ["boolean", "boolean", "true"],
    day: ["date", "string", "2026-02-28"],
    seen: ["timestamp without time zone", "string", "2026-01-02 03:04:05.123456"],
    tz: ["timestamp with time zone", "string", "2026-01-01 21:34:05.123456+00"],
    ns: ["text", "string", "2026-01-02 03:04:05.123456789"],
    t: ["time without time zone", "string", "03:04:05"],
    span: ["interval", "string", "1 month 2 days"],
    u: ["uuid", "string", "6f8fe9ad-6b14-4d8c-9b4b-0d3ff0f1a111"],
    raw: ["bytea", "string", "\\x00ff61"],
    list: ["json", "json", "[9223372036854775807,null]"],
    pair: ["json", "json", '{"a":12345678901234567890123.45,"b":"x\\"y"}'],
    map: ["json", "json", '{"k":1}'],
    doc: ["json", "json", '{"n": 12345678901234567890.10}'],
    m: ["text", "string", "it's"],
    v: ["text", "string", "a'b"],
  });
  expect(rows[0]!.slice(0, 8)).toEqual(["0", null, null, null, null, null, "1999-12-31", "infinity"]);
});

test("rows come in the order of the key, in chunks, from after a cursor, and by their keys", async () => {
  await using folder = await testFolder();
  await duckdb(
    folder.file("w.duckdb"),
    "CREATE TABLE t (a BIGINT, b VARCHAR, raw BLOB, v VARCHAR, PRIMARY KEY (a, b))",
    "INSERT INTO t SELECT i // 3, chr(97 + (i % 3)::INTEGER), encode('r' || i), repeat('x', (i % 50)::INTEGER) FROM range(5000) r(i) ORDER BY hash(i)",
  );
  await using source = duckdbSource(folder, { path: "w.duckdb" });
  const model = tableModel("t");
  const whole = await scanned(source, model, { rows: 700 });
  const keys = Array.from({ length: 5000 }, (_, i) => [String(Math.floor(i / 3)), "abc"[i % 3]]);
  expect(whole.rows.map((row) => row.slice(0, 2))).toEqual(keys);
  expect(whole.chunks.map(({ rows }) => rows.length)).toEqual([700, 700, 700, 700, 700, 700, 700, 100]);
  expect(whole.chunks.map(({ next }) => next)).toEqual([
    ...[700, 1400, 2100, 2800, 3500, 4200, 4900].map((n) => keys[n - 1]),
    null,
  ]);
  const from = await scanned(source, model, { after: ["9", "b"] });
  expect(from.rows[0]!.slice(0, 2)).toEqual(["9", "c"]);
  expect(from.rows).toHaveLength(5000 - 29);
  const small = await source.snapshot(model, ["9", "b"], { rows: 10, bytes: 1_000_000 }, NEVER);
  expect([small.rows.length, small.rows[0], small.next]).toEqual([10, from.rows[0], ["12", "c"]]);
  const tight = await source.snapshot(model, null, { rows: 100, bytes: 1 }, NEVER);
  expect(tight.rows).toHaveLength(1);
  const last = await source.snapshot(model, ["1665", "c"], LIMIT, NEVER);
  expect([last.rows.length, last.next]).toEqual([2, null]);
  const found = await source.lookup(
    model,
    [
      ["0", "a"],
      ["9", "zz"],
      ["no number", "a"],
      ["1666", "b"],
    ],
    NEVER,
  );
  expect(new Set(found.rows.map((row) => row.slice(0, 2).join(" ")))).toEqual(new Set(["0 a", "1666 b"]));
  expect((await source.lookup(model, [], NEVER)).rows).toEqual([]);
  const byBytes = queryModel("SELECT raw, a FROM t", { key: ["raw"] });
  expect((await source.lookup(byBytes, [["\\x7235"]], NEVER)).rows).toEqual([["\\x7235", "1"]]);
  expect(await source.estimate(model, NEVER)).toBe(5000);
});

test("a query reads tables, views and files; rows without a key come last", async () => {
  await using folder = await testFolder();
  await duckdb(
    folder.file("w.duckdb"),
    "CREATE TABLE users (id INTEGER, name VARCHAR)",
    "INSERT INTO users VALUES (1, 'a'), (2, 'b'), (NULL, 'c')",
  );
  await duckdb(
    folder.file("crm.duckdb"),
    "CREATE TABLE plans (id INTEGER, plan VARCHAR)",
    "INSERT INTO plans VALUES (1, 'pro')",
  );
  await writeFile(folder.file("orders.csv"), "id,user_id,amount\n1,1,10.5\n2,1,0.25\n3,2,7\n");
  await writeFile(folder.file("notes.json"), '[{"id": 2, "note": "n"}]');
  await using source = duckdbSource(folder, {
    path: "w.duckdb",
    views: { orders: { files: "orders.csv", options: { types: { amount: "DECIMAL(10,2)" } } } },
    attach: { crm: "crm.duckdb" },
  });
  const model = queryModel(
    `SELECT u.id, u.name, sum(o.amount) AS spent, any_value(plan) AS plan, any_value(note) AS note
     FROM users u LEFT JOIN orders o ON o.user_id = u.id LEFT JOIN crm.plans p ON p.id = u.id LEFT JOIN 'notes.json' n ON n.id = u.id GROUP BY ALL -- a comment`,
    { key: ["id"] },
  );
  expect((await scanned(source, model)).rows).toEqual([
    ["1", "a", "10.75", "pro", null],
    ["2", "b", "7.00", null, "n"],
    [null, "c", null, null, null],
  ]);
  const capture = await source.capture(model, NEVER);
  expect(capture).toMatchObject({ kind: "diff", timeDependent: false });
  expect(capture.kind === "diff" && [...capture.triggers!].sort()).toEqual([
    "attached:crm",
    "database:w.duckdb",
    "file:notes.json",
    "view:orders",
  ]);
  const timed = await source.capture(
    queryModel("SELECT id, current_date AS d, random() AS r FROM users", { key: ["id"] }),
    NEVER,
  );
  expect(timed).toMatchObject({
    timeDependent: true,
    because: [expect.any(String), expect.stringContaining("current_date(), random()")],
  });
  expect((await source.explain(model, NEVER)).why).toContain("view:orders");
});

test("a folder is a table for each file and each folder in it; patterns, endings and compression are known", async () => {
  await using folder = await testFolder();
  await duckdb(
    ":memory:",
    `COPY (SELECT 1 AS id, 'p' AS v) TO '${folder.file("users.parquet")}'`,
    `COPY (SELECT i AS id, i % 2 AS part FROM range(4) r(i)) TO '${folder.file("events")}' (FORMAT parquet, PARTITION_BY part)`,
    `COPY (SELECT 7 AS id) TO '${folder.file("zipped.csv.gz")}' (FORMAT csv, COMPRESSION gzip, HEADER)`,
  );
  await writeFile(folder.file("it's.ndjson"), '{"id": 3, "tags": ["a"]}\n{"id": 4, "tags": null}\n');
  await writeFile(folder.file("readme.txt"), "no table");
  await using source = duckdbSource(folder, { path: ".", views: { all: "*.parquet" } });
  const rows = async (name: string) => (await scanned(source, tableModel(name, { key: ["id"] }))).rows;
  expect(await rows("users")).toEqual([["1", "p"]]);
  expect((await rows("events")).map(([id]) => id)).toEqual(["0", "1", "2", "3"]);
  expect(await rows("zipped")).toEqual([["7"]]);
  expect(await rows("it's")).toEqual([
    ["3", '["a"]'],
    ["4", null],
  ]);
  expect(await rows("all")).toEqual([["1", "p"]]);
  await expect(rows("readme")).rejects.toMatchObject({ code: "source.model" });
});

test("while rows are given out, others may write to the database", async () => {
  await using folder = await testFolder();
  const path = folder.file("w.duckdb");
  await duckdb(path, "CREATE TABLE t AS SELECT i AS id FROM range(3000) r(i)");
  await using source = duckdbSource(folder, { path: "w.duckdb" });
  const seen: string[] = [];
  for await (const { rows } of source.scan(
    tableModel("t", { key: ["id"] }),
    null,
    { rows: 1000, bytes: 1_000_000 },
    NEVER,
  )) {
    if (seen.length === 0) {
      const release = await holdOpen(path);
      await release();
      await duckdb(path, "DELETE FROM t WHERE id >= 1000");
    }
    seen.push(...rows.map(([id]) => id as string));
  }
  expect(seen).toHaveLength(3000);
});

test("a database that another process writes to is waited for, by name", async () => {
  await using folder = await testFolder();
  const path = folder.file("w.duckdb");
  await duckdb(path, "CREATE TABLE t AS SELECT 1 AS id");
  const release = await holdOpen(path);
  await using source = duckdbSource(folder, { path: "w.duckdb" });
  const model = tableModel("t", { key: ["id"] });
  await expect(scanned(source, model)).rejects.toMatchObject({
    code: "source.blocked",
    message: expect.stringMatching(/model t: another process \(\d+\) has the database file open/),
  });
  const needs = [{ model, oldColumns: [], deletes: true }];
  expect(await source.check(needs, NEVER)).toMatchObject([{ level: "error", code: "duckdb.blocked" }]);
  await release();
  expect((await scanned(source, model)).rows).toEqual([["1"]]);
  expect(await source.check(needs, NEVER)).toEqual([]);
});

test("what is wrong is told apart, and no value is in it", async () => {
  await using folder = await testFolder();
  await duckdb(
    folder.file("w.duckdb"),
    "CREATE TABLE t (id INTEGER, v VARCHAR)",
    "INSERT INTO t VALUES (1, 'CANARY'), (1, 'b'), (NULL, 'c')",
  );
  await writeFile(folder.file("half.parquet"), "PAR1CANARY");
  await writeFile(folder.file("bad.csv"), "id,n\n1,CANARY\n");
  await using source = duckdbSource(folder, {
    path: "w.duckdb",
    views: {
      half: "half.parquet",
      bad: { files: "bad.csv", options: { types: { n: "INTEGER" }, header: true } },
      none: "none/*.parquet",
    },
  });
  const failure = async (model: ReturnType<typeof tableModel> | ReturnType<typeof queryModel>) =>
    scanned(source, model).then(
      () => expect.fail("it did not fail"),
      (error: Error & { code: string; cause?: unknown }) => {
        expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain("CANARY");
        return [error.code, error.message];
      },
    );
  const table = (name: string) => tableModel(name, { key: ["id"] });
  expect(await failure(tableModel("t"))).toEqual(["source.model", expect.stringContaining("give the model a `key`")]);
  expect(await failure(tableModel("t", { key: ["idd"] }))).toEqual([
    "source.model",
    expect.stringContaining("did you mean id?"),
  ]);
  expect(await failure(table("tt"))).toEqual([
    "source.model",
    expect.stringContaining("Table with name tt does not exist"),
  ]);
  expect(await failure(queryModel("SELECT nope FROM t", { key: ["nope"] }))).toEqual([
    "source.model",
    expect.stringContaining('"nope" not found'),
  ]);
  expect(await failure(queryModel("SELECT\nFROM WHERE", { key: ["id"] }))).toEqual([
    "source.model",
    expect.stringContaining("Parser"),
  ]);
  expect(await failure(queryModel("SELECT CAST(v AS INTEGER) AS id FROM t", { key: ["id"] }))).toEqual([
    "source.data",
    expect.stringContaining("Conversion"),
  ]);
  expect(await failure(table("half"))).toEqual(["source.data", expect.stringContaining("table half")]);
  expect(await failure(table("bad"))).toEqual(["source.data", expect.any(String)]);
  expect(await failure(table("none"))).toEqual(["source.data", expect.stringContaining("there is no file at")]);
  await using absent = duckdbSource(folder, { path: "absent.duckdb" });
  await expect(scanned(absent, table("t"))).rejects.toMatchObject({ code: "source.unreachable" });
  expect(await source.check([{ model: table("t"), oldColumns: [], deletes: true }], NEVER)).toMatchObject([
    { code: "duckdb.duplicate_key", message: expect.stringContaining("1 keys (id)") },
    { code: "duckdb.null_key", message: expect.stringContaining("1 rows") },
  ]);
});

test("a scan that is given up leaves nothing behind", async () => {
  await using folder = await testFolder();
  await duckdb(
    folder.file("w.duckdb"),
    "CREATE TABLE t AS SELECT i AS id, repeat('x', 100) AS v FROM range(200000) r(i)",
  );
  await using temporary = await testFolder();
  await using source = duckdbSource(folder, { path: "w.duckdb", temp_directory: temporary.path });
  const model = tableModel("t", { key: ["id"] });
  for await (const _chunk of source.scan(model, null, LIMIT, NEVER)) break;
  const stop = new AbortController();
  const slow = queryModel("SELECT a.id FROM t a, t b WHERE a.v < b.v || a.id AND b.id = -1", { key: ["id"] });
  const cut = scanned(source, slow, { signal: stop.signal });
  stop.abort(new Error("stopped"));
  await expect(cut).rejects.toThrow("stopped");
  expect(await readdir(temporary.path)).toEqual([]);
});
