import { expect, test } from "vitest";
import type { Target, Writer } from "../../contracts/destination.ts";
import type { Log } from "../../contracts/log.ts";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import { lockFile } from "../../kit/duckdb/file-locks.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { duckdb, holdOpen, type TestFolder, testFolder } from "../../../test/support/duckdb.ts";
import connector from "./index.ts";

const NEVER = new AbortController().signal;
const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };

function destination(folder: TestFolder, settings: Record<string, unknown> = {}) {
  const checked = connector.settings.parse({ path: "w.duckdb", hold_ms: 0, ...settings });
  return connector.create(checked, { name: "d", log: LOG, baseDirectory: folder.path });
}

function target(spec: Partial<Target> & Pick<Target, "shape">): Target {
  const match = [spec.shape.fields[0]!.name];
  return { sync: "s", object: "t", mode: "mirror", onDelete: { kind: "delete" }, match, options: {}, ...spec };
}

let steps = 0;
const writeWith = (writer: Writer, batch: Parameters<Writer["write"]>[0], progress = `p${(steps += 1)}`) =>
  writer.transactional!.writeWith(batch, progress, NEVER);

const failure = (work: Promise<unknown>): Promise<Error & { code: string }> =>
  work.then(
    () => expect.fail("it did not fail"),
    (error: Error & { code: string }) => error,
  );

/** As a person would run it, once the destination lets go of the file. */
async function sql(folder: TestFolder, ...statements: string[]) {
  const path = folder.file("w.duckdb");
  const unlock = await lockFile(path, "write", NEVER);
  return duckdb(path, ...statements).finally(unlock);
}

test("each text becomes what its column holds", async () => {
  await using folder = await testFolder();
  await sql(
    folder,
    "CREATE TABLE t (id UBIGINT PRIMARY KEY, seen TIMESTAMP, tz TIMESTAMPTZ, day DATE, raw BLOB, tags VARCHAR[], pair STRUCT(a INTEGER), doc JSON, price DECIMAL(30,10), f DOUBLE, word VARCHAR, flag BOOLEAN)",
  );
  const shape = shapeOf({
    id: "numeric",
    seen: "timestamp with time zone",
    tz: "timestamp with time zone",
    day: "date",
    raw: "bytea",
    tags: "text[]",
    pair: "json",
    doc: "jsonb",
    price: "numeric",
    f: "double precision",
    word: "text",
    flag: "boolean",
  });
  await using sink = destination(folder);
  const writer = await sink.open(target({ shape }), NEVER);
  const row = (...values: Value[]) => delivery({ shape, values });
  await writeWith(writer, [
    row(
      "18446744073709551615",
      "2026-01-02 03:04:05.123456+05:30",
      "2026-01-02 03:04:05.123456+05:30",
      "2026-02-28",
      "\\x00ff61",
      '["a\\"b"]',
      '{"a":1}',
      '{"n": 12345678901234567890.10}',
      "12345678901234567890.0123456789",
      "-Infinity",
      "a\0😀",
      "true",
    ),
    row("0", "infinity", null, null, "text", "[]", null, "7", "-0.1", "NaN", "", "false"),
  ]);
  expect(
    await sql(
      folder,
      "SELECT COLUMNS(*)::VARCHAR FROM (SELECT * REPLACE (hex(raw) AS raw, hex(word) AS word) FROM t ORDER BY id)",
    ),
  ).toEqual([
    {
      id: "0",
      seen: "infinity",
      tz: null,
      day: null,
      raw: "74657874",
      tags: "[]",
      pair: null,
      doc: "7",
      price: "-0.1000000000",
      f: "nan",
      word: "",
      flag: "false",
    },
    {
      id: "18446744073709551615",
      seen: "2026-01-01 21:34:05.123456",
      tz: "2026-01-01 21:34:05.123456+00",
      day: "2026-02-28",
      raw: "00FF61",
      tags: "['a\"b']",
      pair: "{'a': 1}",
      doc: '{"n": 12345678901234567890.10}',
      price: "12345678901234567890.0123456789",
      f: "-inf",
      word: "6100F09F9880",
      flag: "true",
    },
  ]);
});

test("partial rows, updates, deletes and a key that comes again in one batch", async () => {
  await using folder = await testFolder();
  await sql(
    folder,
    "CREATE TABLE t (id BIGINT, name VARCHAR, n INTEGER)",
    "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)",
    "ALTER TABLE t ADD PRIMARY KEY (id)",
  );
  const shape = shapeOf({ id: "bigint", name: "text", n: "integer" });
  await using sink = destination(folder, { add_columns: true });
  const writer = await sink.open(target({ shape }), NEVER);
  const row = (op: "upsert" | "update" | "delete", ...values: Value[]) => delivery({ shape, op, values });
  await writeWith(writer, [
    row("update", "1", UNCHANGED, "10"),
    row("update", "9", "never", "1"),
    row("delete", "3", UNCHANGED, UNCHANGED),
    row("upsert", "2", "B", UNCHANGED),
    row("delete", "1", UNCHANGED, UNCHANGED),
    row("upsert", "1", "again", null),
  ]);
  const wide = shapeOf({ id: "bigint", extra: "numeric(10,2)" });
  await writeWith(writer, [delivery({ shape: wide, values: ["2", "1.5"] })]);
  expect(await sql(folder, "SELECT COLUMNS(*)::VARCHAR FROM (FROM t ORDER BY id)")).toEqual([
    { id: "1", name: "again", n: null, extra: null },
    { id: "2", name: "B", n: "2", extra: "1.50" },
  ]);
});

test("errors say what to do, and never hold a value; nothing of a refused batch is written", async () => {
  await using folder = await testFolder();
  await sql(
    folder,
    "CREATE TYPE mood AS ENUM ('sad')",
    "CREATE TABLE t (id BIGINT PRIMARY KEY, n INTEGER, d DATE, m mood, j JSON, u VARCHAR UNIQUE, c VARCHAR CHECK (length(c) < 3), r VARCHAR NOT NULL DEFAULT '')",
    "INSERT INTO t (id, u) VALUES (100, 'CANARY')",
  );
  await using sink = destination(folder);
  const writer = await sink.open(target({ shape: shapeOf({ id: "bigint" }) }), NEVER);
  const cases: [Record<string, Value>, string, RegExp][] = [
    [{ n: "CANARY" }, "destination.refused", /Conversion/],
    [{ n: "99999999999" }, "destination.refused", /Conversion/],
    [{ n: "1.5" }, "destination.refused", /"n" has a fraction/],
    [{ d: "2026-02-30" }, "destination.refused", /Conversion/],
    [{ m: "CANARY" }, "destination.refused", /Conversion/],
    [{ j: '{"CANARY' }, "destination.refused", /Conversion/],
    [{ u: "CANARY" }, "destination.refused", /another row has this value/],
    [{ c: "CANARY" }, "destination.refused", /a check of table t/],
    [{ r: null }, "destination.refused", /column t.r must not be null/],
    [{ c: "CANARY\ud800" }, "destination.refused", /"c".*Unicode/],
    [{ id: null }, "delivery.no_match", /"id"/],
    [{ nope: "CANARY" }, "destination.config", /no column "nope"/],
  ];
  for (const [fields, code, message] of cases) {
    const values = { id: "1", ...fields };
    const shape = shapeOf(Object.fromEntries(Object.keys(values).map((name) => [name, "text"])));
    const good = delivery({ shape: shapeOf({ id: "bigint" }), values: ["7"] });
    const error = await failure(writeWith(writer, [good, delivery({ shape, values: Object.values(values) })]));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain("CANARY");
  }
  expect(await sql(folder, "SELECT id::VARCHAR AS id FROM t")).toEqual([{ id: "100" }]);
  expect(await writer.transactional!.load(NEVER)).toBeNull();
});

test("of two that loaded the same progress, one alone can go on; the very same batch is written once", async () => {
  await using folder = await testFolder();
  await sql(folder, "CREATE TABLE t (id BIGINT, name VARCHAR)");
  const shape = shapeOf({ id: "bigint", name: "text" });
  const batch = (...ids: string[]) => ids.map((id) => delivery({ shape, op: "event", values: [id, "x"] }));
  await using first = destination(folder);
  await using second = destination(folder);
  const [a, b] = [
    await first.open(target({ shape, mode: "event" }), NEVER),
    await second.open(target({ shape, mode: "event" }), NEVER),
  ];
  const load = (writer: Writer) => writer.transactional!.load(NEVER);
  expect([await load(a), await load(b)]).toEqual([null, null]);
  await writeWith(a, batch("1"), "one");
  expect((await failure(writeWith(b, batch("1", "2"), "two"))).code).toBe("state.lease_lost");
  expect(await load(b)).toBe("one");
  const same = batch("2", "3");
  await writeWith(b, same, "two");
  expect(await writeWith(b, same, "two")).toHaveLength(2);
  expect((await failure(writeWith(a, batch("4"), "three"))).code).toBe("state.lease_lost");
  expect(await load(a)).toBe("two");
  await writeWith(a, batch("4"), "three");
  expect(await sql(folder, "SELECT id::VARCHAR AS id FROM t ORDER BY id")).toEqual(
    ["1", "2", "3", "4"].map((id) => ({ id })),
  );
});

test("check names what is missing, with the statement that mends it, and makes nothing", async () => {
  await using folder = await testFolder();
  const shape = shapeOf({ emial: "text", id: "bigint" });
  await using sink = destination(folder);
  const check = (of = sink) =>
    of.check([target({ shape, object: "users", match: ["id"] }), target({ shape, object: "user" })], NEVER);
  expect(await check()).toMatchObject([{ level: "info", code: "duckdb.create_file" }]);
  await using nowhere = destination(folder, { path: "no/where.duckdb" });
  expect(await check(nowhere)).toMatchObject([{ level: "error", code: "duckdb.no_file" }]);
  await sql(folder, "CREATE TABLE users (id BIGINT, email VARCHAR, must VARCHAR NOT NULL)");
  const findings = await check();
  expect(findings.map(({ code }) => code)).toEqual([
    "duckdb.no_column",
    "duckdb.not_null",
    "duckdb.no_unique_index",
    "duckdb.no_table",
  ]);
  expect(findings[0]!.message).toContain("did you mean email?");
  expect(findings[3]!.message).toContain("did you mean main.users?");
  // What they print can be run.
  await sql(
    folder,
    findings[1]!.fix!.slice(findings[1]!.fix!.indexOf("ALTER")),
    findings[2]!.fix!,
    findings[3]!.fix!.split("run:\n")[1]!,
    "ALTER TABLE users ADD COLUMN emial VARCHAR",
  );
  expect(await check()).toEqual([]);
  const release = await holdOpen(folder.file("w.duckdb"));
  expect(await check()).toMatchObject([
    { level: "error", code: "duckdb.unavailable", message: expect.stringContaining("has the database file open") },
  ]);
  await release();
});
