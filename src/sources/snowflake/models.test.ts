// How models are read, what check and explain say of them, and queries.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Model } from "../../contracts/model.ts";
import type { SnowflakeServer } from "../../../test/fakes/snowflake/server.ts";
import { NEVER, reading, scanned } from "../../../test/support/duckdb-source.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";
import { makeTable, snowflakeAccount, snowflakeSource } from "../../../test/support/snowflake.ts";

const users = tableModel("users");
let server: SnowflakeServer;

beforeEach(async () => {
  server = await snowflakeAccount({ writes: true });
  await makeTable(server, "USERS", "ID NUMBER(38,0) NOT NULL PRIMARY KEY, NAME VARCHAR");
  await server.account.sql("INSERT INTO SHOP.PUBLIC.USERS VALUES (1, 'one'), (2, 'two'), (3, 'three')");
});
afterEach(() => server[Symbol.asyncDispose]());

const needs = (model: Model) => [{ model, oldColumns: [], deletes: true }];

test("a query is compared when a table that it reads was written to, which its plan names", async () => {
  const { account } = server;
  await account.sql("CREATE VIEW SHOP.PUBLIC.NAMED AS SELECT ID, NAME FROM SHOP.PUBLIC.USERS");
  await account.sql("GRANT SELECT ON TABLE SHOP.PUBLIC.NAMED TO ROLE TAILRACE_ROLE");
  const model = queryModel("SELECT ID, UPPER(NAME) AS LOUD FROM NAMED WHERE ID <> 2", { key: ["ID"] });
  await using source = snowflakeSource(server);
  const capture = await source.capture(model, NEVER);
  expect(capture).toMatchObject({ kind: "diff", timeDependent: false });
  expect(capture.kind === "diff" && capture.triggers).not.toBeNull();
  expect((await scanned(source, model, { rows: 1 })).rows).toEqual([
    ["1", "ONE"],
    ["3", "THREE"],
  ]);
  expect((await scanned(source, model, { after: ["1"] })).rows).toEqual([["3", "THREE"]]);
  expect((await source.lookup(model, [["1"], ["2"]], NEVER)).rows).toEqual([["1", "ONE"]]);
  const start = await source.open([model], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const changed = log.changed();
  await account.sql("DELETE FROM SHOP.PUBLIC.USERS WHERE ID = 3");
  expect((await changed).changes).toMatchObject([{ op: "touched" }]);
  const now = await source.capture(
    queryModel("SELECT ID, CURRENT_TIMESTAMP() AS AT FROM USERS", { name: "other", key: ["ID"] }),
    NEVER,
  );
  expect(now).toMatchObject({ timeDependent: true });
});

test("keys of several columns, of any type that tells rows apart, in order", async () => {
  await makeTable(server, "MANY", "A VARCHAR, B NUMBER(38,0), C TIMESTAMP_NTZ, PRIMARY KEY (A, B, C)");
  const values = [
    "('b', 1, '2026-01-01 00:00:00.000000000')",
    "('a', 10, '2026-01-01 00:00:00.000000000')",
    "('a', 9, '2026-01-01 00:00:00.000000001')",
    "('a', 9, '2026-01-01 00:00:00.000000000')",
  ];
  await server.account.sql(`INSERT INTO SHOP.PUBLIC.MANY VALUES ${values.join(", ")}`);
  await using source = snowflakeSource(server);
  const model = tableModel("many");
  const start = await source.open([model], [], NEVER);
  const { rows } = await scanned(source, model, { rows: 1 });
  expect(rows.map((row) => row.join(" "))).toEqual([
    "a 9 2026-01-01 00:00:00.000000000",
    "a 9 2026-01-01 00:00:00.000000001",
    "a 10 2026-01-01 00:00:00.000000000",
    "b 1 2026-01-01 00:00:00.000000000",
  ]);
  for (const [at, row] of rows.entries())
    expect((await scanned(source, model, { after: row as string[] })).rows).toEqual(rows.slice(at + 1));
  expect(
    (await source.lookup(model, [rows[1] as string[], ["a", "9", "2026-01-01 00:00:00.000000009"]], NEVER)).rows,
  ).toEqual([rows[1]]);
  await using log = reading(source, start.position);
  await log.next();
  const changed = log.changed();
  await server.account.sql("UPDATE SHOP.PUBLIC.MANY SET B = B + 1 WHERE A = 'a'");
  // The key 10 goes from one row to another, which is as it was: nothing to tell of it.
  expect(
    (await changed).changes.map(({ op, before, after }) => [op, before?.slice(1).join(" "), after?.slice(1).join(" ")]),
  ).toEqual([
    ["delete", "9 2026-01-01 00:00:00.000000000", undefined],
    ["update", "9 2026-01-01 00:00:00.000000001", "10 2026-01-01 00:00:00.000000001"],
    ["insert", undefined, "11 2026-01-01 00:00:00.000000000"],
  ]);
});

test("a table of another database has its stream in ours", async () => {
  const { account } = server;
  await account.sql("CREATE DATABASE RAW");
  await account.sql("CREATE TABLE RAW.PUBLIC.EVENTS (ID NUMBER(38,0) NOT NULL PRIMARY KEY) CHANGE_TRACKING = TRUE");
  await account.sql("GRANT SELECT ON TABLE RAW.PUBLIC.EVENTS TO ROLE TAILRACE_ROLE");
  const model = tableModel("events", { namespace: "raw.public" });
  await using source = snowflakeSource(server);
  const start = await source.open([model], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const changed = log.changed();
  await account.sql("INSERT INTO RAW.PUBLIC.EVENTS VALUES (1)");
  expect((await changed).changes).toMatchObject([{ op: "insert", after: ["1"] }]);
  const streams = [...account.catalogue.objects.values()].filter(({ kind }) => kind === "stream");
  expect(streams).toMatchObject([{ database: "SHOP", schema: "TAILRACE" }]);
});

test.each([
  [tableModel("nope"), "source.model", 'there is no "SHOP"."PUBLIC"."NOPE"'],
  [tableModel("users", { key: ["id"] }), "source.model", "there is no column id for its key; did you mean ID?"],
  [tableModel("users", { key: ["nmae"] }), "source.model", "there is no column nmae for its key"],
  [queryModel("SELECT 1.5::FLOAT AS F", { key: ["F"] }), "source.model", "its key F is of type real"],
])("a model that cannot be read says why: %#", async (model, code, message) => {
  await using source = snowflakeSource(server);
  await expect(source.describe(model, NEVER)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message) as string,
  });
  const findings = await source.check(needs(model), NEVER);
  expect(findings).toMatchObject([{ level: "error", code: "snowflake.model" }]);
});

test("check wakes no warehouse, and tells what is about to be lost", async () => {
  const { account } = server;
  await using source = snowflakeSource(server);
  expect(await source.check(needs(users), NEVER)).toEqual([]);
  expect(account.warehouse.resumes).toBe(0);
  await source.open([users], [], NEVER);
  expect(await source.check(needs(users), NEVER)).toEqual([]);
  await account.sql("DELETE FROM SHOP.PUBLIC.USERS WHERE ID = 1");
  await account.sql("ALTER TABLE SHOP.PUBLIC.USERS SET MAX_DATA_EXTENSION_TIME_IN_DAYS = 1");
  expect(await source.check(needs(users), NEVER)).toMatchObject([{ level: "warning", code: "snowflake.stale_soon" }]);
  account.advance(2 * 86_400_000);
  expect(await source.check(needs(users), NEVER)).toMatchObject([{ level: "error", code: "snowflake.stale" }]);
  await using reader = snowflakeSource(server, { feed: "changes" });
  expect(await reader.check(needs(users), NEVER)).toMatchObject([{ level: "warning", code: "snowflake.retention" }]);
});

test("the way is chosen by what the role may do, and explained with what it costs", async () => {
  const { account } = server;
  const explained = async () => {
    await using source = snowflakeSource(server, { poll: { fastest_ms: 1000, slowest_ms: 10_000 } });
    return { ...(await source.explain(users, NEVER)), capture: (await source.capture(users, NEVER)).kind };
  };
  const resumes = account.warehouse.resumes;
  expect(await explained()).toMatchObject({
    kind: "feed",
    capture: "log",
    why: expect.stringContaining("may make streams and tables") as string,
  });
  expect((await explained()).cost).toContain("360 to 3600 metadata requests an hour");
  await account.sql("REVOKE CREATE STREAM ON SCHEMA SHOP.TAILRACE FROM ROLE TAILRACE_ROLE");
  expect(await explained()).toMatchObject({
    kind: "feed",
    why: expect.stringContaining("has no CREATE STREAM") as string,
  });
  await account.sql("ALTER TABLE SHOP.PUBLIC.USERS SET CHANGE_TRACKING = FALSE");
  expect(await explained()).toMatchObject({
    kind: "diff",
    capture: "diff",
    why: expect.stringContaining("SET CHANGE_TRACKING = TRUE") as string,
  });
  await using source = snowflakeSource(server);
  expect(await source.check(needs(users), NEVER)).toMatchObject([{ code: "snowflake.compared" }]);
  expect(account.warehouse.resumes).toBe(resumes);
});
