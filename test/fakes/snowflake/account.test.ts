// What the fake holds Snowflake to: each rule with the page of the documentation that says so.
import { afterEach, beforeEach, expect, test } from "vitest";
import { Account } from "./account.ts";
import { Session } from "./session.ts";

let account: Account;
let tailrace: Session;

beforeEach(async () => {
  account = await Account.open();
  tailrace = new Session(1, "TAILRACE", "READER", { warehouse: "WH", database: "D", schema: "PUBLIC" });
  for (const sql of [
    "CREATE DATABASE D",
    "CREATE TABLE D.PUBLIC.T (ID NUMBER(38,0) NOT NULL PRIMARY KEY, NAME VARCHAR) CHANGE_TRACKING = TRUE",
    "CREATE TABLE D.PUBLIC.COPY (ID NUMBER(38,0), NAME VARCHAR)",
    "INSERT INTO D.PUBLIC.T VALUES (1, 'one'), (2, 'two')",
    "CREATE STREAM D.PUBLIC.S ON TABLE D.PUBLIC.T",
  ])
    await account.sql(sql);
});
afterEach(() => account.store.close());

const rows = async (sql: string, session = account.admin) => (await account.execute(session, sql)).rows;
const delta = (stream = "D.PUBLIC.S", session = account.admin) =>
  rows(`SELECT ID, NAME, METADATA$ACTION, METADATA$ISUPDATE FROM ${stream} ORDER BY ID, METADATA$ACTION`, session);
const refusal = (code: string) => expect.objectContaining({ code });
const DAY_MS = 86_400_000;

// https://docs.snowflake.com/en/user-guide/streams-intro#data-flow
test("a stream has the net difference, an update as two rows of one id", async () => {
  await account.sql("UPDATE D.PUBLIC.T SET NAME = 'ONE' WHERE ID = 1");
  await account.sql("DELETE FROM D.PUBLIC.T WHERE ID = 2");
  await account.sql("INSERT INTO D.PUBLIC.T (ID) SELECT 3");
  await account.sql("UPDATE D.PUBLIC.T SET NAME = 'three' WHERE ID = 3");
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (4, 'gone')");
  await account.sql("DELETE FROM D.PUBLIC.T WHERE ID = 4");
  expect(await delta()).toEqual([
    ["1", "one", "DELETE", "1"],
    ["1", "ONE", "INSERT", "1"],
    ["2", "two", "DELETE", "0"],
    ["3", "three", "INSERT", "0"],
  ]);
  const ids = await rows("SELECT METADATA$ROW_ID FROM D.PUBLIC.S WHERE ID = 1");
  expect(ids).toHaveLength(2);
  expect(ids[0]).toEqual(ids[1]);
});

// https://docs.snowflake.com/en/user-guide/streams-intro#table-versioning
test("its offset moves with a committed DML statement that reads it, and with nothing else", async () => {
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  await delta();
  expect(await delta()).toHaveLength(1);
  const session = new Session(2, "A", "ACCOUNTADMIN", { warehouse: "WH", database: "D", schema: "PUBLIC" });
  const run = (sql: string) => account.execute(session, sql);
  await run("BEGIN TRANSACTION");
  await run("INSERT INTO COPY SELECT ID, NAME FROM S");
  await run("ROLLBACK");
  expect(await delta()).toHaveLength(1);
  expect(await rows("SELECT * FROM D.PUBLIC.COPY")).toEqual([]);
  // All of it, whatever the WHERE leaves out.
  await run("INSERT INTO COPY SELECT ID, NAME FROM S WHERE ID = 99");
  expect(await delta()).toEqual([]);
});

// https://docs.snowflake.com/en/user-guide/streams-intro#repeatable-read-isolation
test("in a transaction a stream is read as of its beginning, and what comes meanwhile is there afterwards", async () => {
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  const session = new Session(2, "A", "ACCOUNTADMIN", { warehouse: "WH", database: "D", schema: "PUBLIC" });
  await account.execute(session, "BEGIN TRANSACTION");
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (4, 'four')");
  expect(await delta("S", session)).toEqual([["3", "three", "INSERT", "0"]]);
  await account.execute(session, "INSERT INTO COPY SELECT ID, NAME FROM S");
  await account.execute(session, "COMMIT");
  expect(await rows("SELECT ID FROM D.PUBLIC.COPY")).toEqual([["3"]]);
  expect(await delta()).toEqual([["4", "four", "INSERT", "0"]]);
});

// https://docs.snowflake.com/en/sql-reference/transactions#resource-locking
test("who updates a table that another transaction has updated waits, and sees what that one wrote", async () => {
  const [a, b] = [2, 3].map(
    (id) => new Session(id, "A", "ACCOUNTADMIN", { warehouse: "WH", database: "D", schema: "PUBLIC" }),
  ) as [Session, Session];
  await account.execute(a, "BEGIN TRANSACTION");
  await account.execute(a, "UPDATE T SET NAME = 'a' WHERE NAME = 'one'");
  let isOver = false;
  const waiting = account.execute(b, "UPDATE T SET NAME = 'b' WHERE NAME = 'one'").then((answer) => {
    isOver = true;
    return answer.rows;
  });
  await account.execute(a, "INSERT INTO COPY SELECT 1, 'x'");
  expect(isOver).toBe(false);
  await account.execute(a, "COMMIT");
  expect(await waiting).toEqual([["0"]]);
});

// https://docs.snowflake.com/en/sql-reference/functions/system_stream_has_data
test("STREAM_HAS_DATA never says no to data, and may say yes without any", async () => {
  const has = "SELECT SYSTEM$STREAM_HAS_DATA('D.PUBLIC.S')";
  expect(await rows(has)).toEqual([["false"]]);
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  expect(await rows(has)).toEqual([["true"]]);
  await account.sql("DELETE FROM D.PUBLIC.T WHERE ID = 3");
  expect(await rows(has)).toEqual([["true"]]);
  expect(await delta()).toEqual([]);
});

// https://docs.snowflake.com/en/user-guide/streams-manage#avoiding-stream-staleness
test("a stream is stale when it was not read for as long as its table's history is kept for it; an empty one that is asked for data is not", async () => {
  account.advance(13 * DAY_MS);
  expect(await rows("SELECT SYSTEM$STREAM_HAS_DATA('D.PUBLIC.S')")).toEqual([["false"]]);
  account.advance(13 * DAY_MS);
  expect(await delta()).toEqual([]);
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  account.advance(15 * DAY_MS);
  await expect(delta()).rejects.toEqual(refusal("091905"));
  const { columns, rows: shown } = await account.sql("SHOW STREAMS IN SCHEMA D.PUBLIC");
  expect(shown[0]![columns.findIndex(({ name }) => name === "stale")]).toBe("true");
});

// https://docs.snowflake.com/en/user-guide/streams-intro#data-retention-period-and-staleness
test("a stream is lost with its table, also when that is replaced; a renamed table keeps it", async () => {
  await account.sql("ALTER TABLE D.PUBLIC.T RENAME TO D.PUBLIC.U");
  await account.sql("INSERT INTO D.PUBLIC.U VALUES (3, 'three')");
  expect(await delta()).toHaveLength(1);
  await account.sql("CREATE OR REPLACE TABLE D.PUBLIC.U (ID NUMBER(38,0), NAME VARCHAR)");
  await expect(delta()).rejects.toEqual(refusal("091901"));
});

// https://docs.snowflake.com/en/sql-reference/sql/create-stream
test("another stream can begin where one is, and stays there", async () => {
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  await account.sql("CREATE STREAM D.PUBLIC.PIN ON TABLE D.PUBLIC.T AT(STREAM => 'D.PUBLIC.S')");
  await account.sql("INSERT INTO D.PUBLIC.COPY SELECT ID, NAME FROM D.PUBLIC.S");
  expect(await delta("D.PUBLIC.PIN")).toHaveLength(1);
  expect(await rows("SELECT ID FROM D.PUBLIC.T AT(STREAM => 'D.PUBLIC.PIN') ORDER BY ID")).toEqual([["1"], ["2"]]);
  expect(await rows("SELECT ID FROM D.PUBLIC.T AT(STREAM => 'D.PUBLIC.S') ORDER BY ID")).toEqual([["1"], ["2"], ["3"]]);
});

// https://docs.snowflake.com/en/user-guide/streams-intro#streams-on-views
test("streams on views: tracked before, of projections, filters and inner joins", async () => {
  await account.sql("CREATE TABLE D.PUBLIC.P (TID NUMBER(38,0), PLAN VARCHAR)");
  await account.sql("INSERT INTO D.PUBLIC.P VALUES (1, 'free'), (2, 'pro')");
  await account.sql(
    "CREATE VIEW D.PUBLIC.V AS SELECT T.ID, P.PLAN AS NAME FROM D.PUBLIC.T T JOIN D.PUBLIC.P P ON P.TID = T.ID WHERE T.NAME <> 'hidden'",
  );
  await expect(account.sql("CREATE STREAM D.PUBLIC.SV ON VIEW D.PUBLIC.V")).rejects.toEqual(refusal("091930"));
  await account.sql("ALTER VIEW D.PUBLIC.V SET CHANGE_TRACKING = TRUE");
  await account.sql("CREATE STREAM D.PUBLIC.SV ON VIEW D.PUBLIC.V");
  await account.sql("UPDATE D.PUBLIC.P SET PLAN = 'max' WHERE TID = 2");
  await account.sql("UPDATE D.PUBLIC.T SET NAME = 'hidden' WHERE ID = 1");
  expect(await delta("D.PUBLIC.SV")).toEqual([
    ["1", "free", "DELETE", "0"],
    ["2", "pro", "DELETE", "1"],
    ["2", "max", "INSERT", "1"],
  ]);
  await account.sql("CREATE VIEW D.PUBLIC.G AS SELECT NAME, COUNT(*) AS N FROM D.PUBLIC.T GROUP BY NAME");
  await account.sql("ALTER VIEW D.PUBLIC.G SET CHANGE_TRACKING = TRUE");
  await expect(account.sql("CREATE STREAM D.PUBLIC.SG ON VIEW D.PUBLIC.G")).rejects.toEqual(refusal("000002"));
});

// https://docs.snowflake.com/en/user-guide/dynamic-tables-create-streams: what a refresh changed.
test("a stream on a dynamic table tells what a refresh changed", async () => {
  await account.sql(
    "CREATE DYNAMIC TABLE D.PUBLIC.DT TARGET_LAG = '1 minute' WAREHOUSE = WH AS SELECT ID, UPPER(NAME) AS NAME FROM D.PUBLIC.T",
  );
  await account.sql("CREATE STREAM D.PUBLIC.SD ON DYNAMIC TABLE D.PUBLIC.DT");
  await account.sql("UPDATE D.PUBLIC.T SET NAME = 'uno' WHERE ID = 1");
  expect(await delta("D.PUBLIC.SD")).toEqual([]);
  await account.sql("ALTER DYNAMIC TABLE D.PUBLIC.DT REFRESH");
  expect(await delta("D.PUBLIC.SD")).toEqual([
    ["1", "ONE", "DELETE", "0"],
    ["1", "UNO", "INSERT", "0"],
  ]);
});

// https://docs.snowflake.com/en/sql-reference/constructs/changes
test("CHANGES: END is inclusive and exact to the millisecond; two commits of one cannot be told apart", async () => {
  const at = (ms: number) => `'${new Date(ms).toISOString().replace("T", " ").replace("Z", " +0000")}'::TIMESTAMP_TZ`;
  const changes = (from: number, to: number) =>
    rows(
      `SELECT ID, METADATA$ACTION FROM D.PUBLIC.T CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => ${at(from)}) END(TIMESTAMP => ${at(to)}) ORDER BY ID`,
    );
  const start = account.nowMs();
  account.frozenMs = start + 10;
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  expect(await changes(start, start + 10)).toEqual([["3", "INSERT"]]);
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (4, 'four')");
  account.frozenMs = start + 20;
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (5, 'five')");
  expect(await changes(start + 10, start + 20)).toEqual([["5", "INSERT"]]);
  expect(await changes(start, start + 10)).toEqual([
    ["3", "INSERT"],
    ["4", "INSERT"],
  ]);
  expect(await rows(`SELECT COUNT(*) FROM D.PUBLIC.T AT(TIMESTAMP => ${at(start + 10)})`)).toEqual([["4"]]);
  await expect(changes(start, start + 60_000)).rejects.toEqual(refusal("000707"));
  // Past Time Travel, although a stream can still be read.
  account.frozenMs = null;
  account.advance(2 * DAY_MS);
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (6, 'six')");
  await expect(changes(start + 10, start + 20)).rejects.toEqual(refusal("000707"));
  expect(await delta()).toHaveLength(4);
  await expect(
    rows("SELECT ID FROM D.PUBLIC.T AT(TIMESTAMP => '2026-01-01 00:00:00.000 +0000') ORDER BY ID"),
  ).rejects.toEqual(refusal("002048"));
});

test("CHANGES only of what is tracked, from when it is tracked", async () => {
  await account.sql("CREATE TABLE D.PUBLIC.N (ID NUMBER(38,0))");
  const ms = account.nowMs();
  const at = `'${new Date(ms).toISOString().replace("T", " ").replace("Z", " +0000")}'::TIMESTAMP_TZ`;
  const sql = `SELECT ID FROM D.PUBLIC.N CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => ${at})`;
  await expect(rows(sql)).rejects.toEqual(refusal("091930"));
});

// https://docs.snowflake.com/en/sql-reference/functions/system_last_change_commit_time
test("LAST_CHANGE_COMMIT_TIME grows with every write to the table, or to one beneath the view", async () => {
  await account.sql("CREATE VIEW D.PUBLIC.V AS SELECT ID FROM D.PUBLIC.T");
  const token = async (name: string) =>
    Number((await rows(`SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('D.PUBLIC.${name}')`))[0]![0]);
  const before = [await token("T"), await token("V")];
  expect([await token("T"), await token("V")]).toEqual(before);
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  expect(await token("T")).toBeGreaterThan(before[0]!);
  expect(await token("V")).toBeGreaterThan(before[1]!);
});

test("what is metadata takes no warehouse; the first statement that reads a table wakes it", async () => {
  await account.sql("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE READER");
  for (const sql of [
    "SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('T'), CURRENT_TIMESTAMP()",
    "SHOW TABLES IN SCHEMA D.PUBLIC STARTS WITH 'T'",
    "DESCRIBE TABLE T",
    "EXPLAIN USING JSON SELECT ID FROM T",
  ])
    await account.execute(tailrace, sql);
  await account.execute(tailrace, "SELECT * FROM T", { describeOnly: true });
  expect(account.warehouse).toEqual({ running: false, resumes: 0 });
  await account.execute(tailrace, "SELECT * FROM T");
  await account.execute(tailrace, "SELECT ID FROM T");
  expect(account.warehouse).toEqual({ running: true, resumes: 1 });
  tailrace.warehouse = null;
  await expect(account.execute(tailrace, "SELECT ID FROM T")).rejects.toEqual(refusal("000606"));
});

// https://docs.snowflake.com/en/sql-reference/sql/create-stream#access-control-requirements
test("who may do what", async () => {
  await expect(account.execute(tailrace, "SELECT ID FROM T")).rejects.toEqual(refusal("002003"));
  await account.sql("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE READER");
  await account.execute(tailrace, "SELECT ID FROM T");
  await expect(account.execute(tailrace, "INSERT INTO T VALUES (9, 'x')")).rejects.toEqual(refusal("003001"));
  const make = "CREATE STREAM MINE ON TABLE T";
  await expect(account.execute(tailrace, make)).rejects.toEqual(refusal("003001"));
  await account.sql("GRANT CREATE STREAM ON SCHEMA D.PUBLIC TO ROLE READER");
  await account.execute(tailrace, make);
  // Only its owner makes the first stream on a table that is not tracked yet.
  await account.sql("CREATE TABLE D.PUBLIC.N (ID NUMBER(38,0))");
  await account.sql("GRANT SELECT ON TABLE D.PUBLIC.N TO ROLE READER");
  await expect(account.execute(tailrace, "CREATE STREAM NS ON TABLE N")).rejects.toEqual(refusal("003001"));
  await expect(account.execute(tailrace, "ALTER TABLE N SET CHANGE_TRACKING = TRUE")).rejects.toEqual(
    refusal("003001"),
  );
});

// https://docs.snowflake.com/en/developer-guide/snowflake-scripting/blocks
test("a block is one request; what it raises takes its transaction back", async () => {
  await account.sql("INSERT INTO D.PUBLIC.T VALUES (3, 'three')");
  const block = (table: string) => `EXECUTE IMMEDIATE $$
DECLARE
  FOUND RESULTSET;
BEGIN
  BEGIN TRANSACTION;
  UPDATE D.PUBLIC.T SET NAME = 'uno' WHERE ID = 1;
  IF (SQLROWCOUNT = 1) THEN
    INSERT INTO D.PUBLIC.${table} SELECT ID, NAME FROM D.PUBLIC.S;
  END IF;
  COMMIT;
  FOUND := (SELECT ID FROM D.PUBLIC.COPY ORDER BY ID);
  RETURN TABLE(FOUND);
EXCEPTION
  WHEN OTHER THEN
    ROLLBACK;
    RAISE;
END;
$$`;
  await expect(account.sql(block("NOWHERE"))).rejects.toEqual(refusal("002003"));
  expect(await rows("SELECT NAME FROM D.PUBLIC.T WHERE ID = 1")).toEqual([["one"]]);
  expect((await account.sql(block("COPY"))).rows).toEqual([["3"]]);
});

test.each([
  ["MERGE INTO T USING S ON T.ID = S.ID WHEN MATCHED THEN DELETE", "001003"],
  ["SELECT ID FROM T AT(OFFSET => -60)", "000002"],
  [
    "SELECT ID FROM T CHANGES(INFORMATION => APPEND_ONLY) AT(TIMESTAMP => '2026-01-01 00:00:00 +0000'::TIMESTAMP_TZ)",
    "000002",
  ],
  ["SELECT NOPE FROM T", "000904"],
  ["SELECT ID FROM NOPE", "002003"],
  ["SELECT ID FRM T", "001003"],
])("refuses %s", async (sql, code) => {
  await account.sql("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE READER");
  await expect(account.execute(tailrace, sql)).rejects.toEqual(refusal(code));
});
