import { afterEach, beforeEach, expect, test } from "vitest";
import type { SnowflakeServer } from "../../../test/fakes/snowflake/server.ts";
import { LIMIT, NEVER, reading, scanned } from "../../../test/support/duckdb-source.ts";
import { tableModel } from "../../../test/support/models.ts";
import { changesOf, makeTable, snowflakeAccount, snowflakeSource } from "../../../test/support/snowflake.ts";

/** Of a machine that is busy. */
const WAIT = { timeout: 20_000 };
const users = tableModel("users");
let server: SnowflakeServer;

beforeEach(async () => {
  server = await snowflakeAccount({ writes: true });
  await makeTable(server, "USERS", "ID NUMBER(38,0) NOT NULL PRIMARY KEY, NAME VARCHAR");
  await sql("INSERT INTO USERS VALUES (1, 'one'), (2, 'two'), (3, 'three')");
});
afterEach(() => server[Symbol.asyncDispose]());

const sql = (text: string) => server.account.sql(text.replaceAll("USERS", "SHOP.PUBLIC.USERS"));
/** Statements of ours that take a warehouse, since the last call. */
function taken(): string[] {
  const found = server.account.statements.filter(({ user, computes }) => user === "TAILRACE" && computes);
  server.account.statements.length = 0;
  return found.map((statement) => statement.sql);
}

test("a sleeping warehouse stays asleep; a batch of changes is one statement that wakes it", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  taken();
  server.account.suspendWarehouse();
  const { resumes } = server.account.warehouse;
  const polls = () => server.account.statements.filter((each) => each.sql.includes("STREAM_HAS_DATA")).length;
  const next = log.changed();
  await expect.poll(polls, WAIT).toBeGreaterThan(10);
  expect(taken()).toEqual([]);
  expect(server.account.warehouse).toEqual({ running: false, resumes });
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  expect(changesOf(await next)).toEqual([["insert", null, ["4", "four"]]]);
  const last = log.changed();
  await expect.poll(polls, WAIT).toBeGreaterThan(5);
  expect(taken()).toHaveLength(1);
  expect(server.account.warehouse).toEqual({ running: true, resumes: resumes + 1 });
  await sql("DELETE FROM USERS WHERE ID = 4");
  await last;
});

test("nothing else runs in the session of a batch's transaction", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const next = log.changed();
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  await next;
  await scanned(source, users);
  const ours = server.account.statements.filter(({ user }) => user === "TAILRACE");
  const isBlock = (text: string): boolean => text.startsWith("EXECUTE IMMEDIATE");
  const sessions = new Set(ours.filter((each) => isBlock(each.sql)).map(({ session }) => session));
  expect(sessions.size).toBe(1);
  expect(ours.filter((each) => sessions.has(each.session) && !isBlock(each.sql))).toEqual([]);
});

test("updates, changed keys, keys that change hands, and what changes nothing", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const next = async (text: string) => {
    const changed = log.changed();
    for (const each of text.split(";")) await sql(each);
    return changesOf(await changed);
  };
  server.account.falsePositives = 1;
  expect(await next("UPDATE USERS SET NAME = 'ONE' WHERE ID = 1")).toEqual([["update", ["1", "one"], ["1", "ONE"]]]);
  expect(await next("UPDATE USERS SET ID = 7 WHERE ID = 1")).toEqual([["update", ["1", "ONE"], ["7", "ONE"]]]);
  // One statement, so that no batch lies between.
  expect(await next("UPDATE USERS SET ID = IFF(ID = 2, 3, 2) WHERE ID IN (2, 3)")).toEqual([
    ["update", ["2", "two"], ["2", "three"]],
    ["update", ["3", "three"], ["3", "two"]],
  ]);
  // 2 is gone, 3 takes its key: first what no row has any more.
  const session = server.account.admin;
  await server.account.execute(session, "BEGIN TRANSACTION");
  const changed = log.changed();
  await sql("DELETE FROM USERS WHERE ID = 2");
  await sql("UPDATE USERS SET ID = 2 WHERE ID = 3");
  await sql("UPDATE USERS SET NAME = NAME WHERE ID = 7");
  await sql("INSERT INTO USERS VALUES (9, NULL)");
  await server.account.execute(session, "COMMIT");
  expect(changesOf(await changed)).toEqual([
    ["delete", ["3", "two"], null],
    ["update", ["2", "three"], ["2", "two"]],
    ["insert", null, ["9", null]],
  ]);
});

test("an answer that is lost, an expired token: one batch, nothing lost, nothing twice", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const isBlock = ({ sql: text }: { sql: string }) => text.startsWith("EXECUTE IMMEDIATE");
  const expired = {
    success: false,
    code: "390112",
    message: "Your session has expired.",
    data: { errorCode: "390112", sqlState: "08001" },
  };
  for (const [id, fault] of [
    [10, { kind: "lost" }],
    [12, { kind: "answer", answer: expired }],
  ] as const) {
    const next = log.changed();
    server.faults.add(isBlock, fault);
    await sql(`INSERT INTO USERS VALUES (${id}, 'x')`);
    expect(changesOf(await next)).toEqual([["insert", null, [String(id), "x"]]]);
  }
  expect(server.faults.done).toBe(true);
  expect((await server.account.sql("SELECT COUNT(*) FROM SHOP.PUBLIC.USERS")).rows).toEqual([["5"]]);
});

test("sessions that are gone in the midst of the block's transaction leave nothing of it", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  await server.loseSessions();
  expect(changesOf(await log.changed())).toEqual([["insert", null, ["4", "four"]]]);
});

test("a restart goes on in the midst of a batch, with the same positions; what is delivered is deleted", async () => {
  let start;
  let first;
  {
    await using source = snowflakeSource(server);
    start = await source.open([users], [], NEVER);
    await using log = reading(source, start.position);
    await log.next();
    await sql("UPDATE USERS SET NAME = 'x'");
    first = await log.changed();
    expect(first.changes).toHaveLength(3);
  }
  const half = { ...start, position: first.changes[1]!.position };
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  for (const [stored, expected] of [
    [start, ["1", "2", "3", "4"]],
    [half, ["3", "4"]],
  ] as const) {
    await using source = snowflakeSource(server);
    const opened = await source.open([users], [stored], NEVER);
    await using log = reading(source, opened.position);
    const seen = [];
    while (seen.length < expected.length) seen.push(...(await log.next()).changes);
    expect(seen.map(({ after }) => after![0])).toEqual(expected);
    expect(seen[0]).toMatchObject({ position: first.changes[3 - (expected.length - 1)]!.position });
    if (stored === half) {
      const outbox = async () =>
        (
          await server.account.sql(`SELECT ROW_KEY FROM ${outboxName()} WHERE ACTION = 'INSERT' ORDER BY ROW_KEY`)
        ).rows.flat();
      expect(await outbox()).toEqual(["1", "2", "3", "4"]);
      const { end } = await log.next();
      source.ack(end);
      await sql("INSERT INTO USERS VALUES (5, 'five')");
      await log.changed();
      expect(await outbox()).toEqual(["5"]);
    }
  }
  // A state from before: what was deleted is missing.
  await using source = snowflakeSource(server);
  await expect(source.open([users], [half], NEVER)).rejects.toMatchObject({ code: "source.gap.purged" });
});

function outboxName(): string {
  const found = [...server.account.catalogue.objects.values()].find(({ name }) => name.startsWith("OUTBOX_"));
  return `SHOP.TAILRACE.${found!.name}`;
}

test("a batch that is taken late, by a process that was killed, is told by its successor", async () => {
  await using killed = snowflakeSource(server);
  await using successor = snowflakeSource(server);
  const start = await killed.open([users], [], NEVER);
  await successor.open([users], [start], NEVER);
  await using log = reading(successor, start.position);
  await log.next();
  const next = log.changed();
  // Its statement had waited for the warehouse; the stream has nothing any more.
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  await killed.settle(NEVER);
  expect(changesOf(await next)).toEqual([["insert", null, ["4", "four"]]]);
});

test("two who take a batch at the same time take one; a sync that is apart reads the same", async () => {
  await using one = snowflakeSource(server);
  await using two = snowflakeSource(server);
  const start = await one.open([users], [], NEVER);
  expect(await two.open([users], [start], NEVER)).toEqual(start);
  const count = 30;
  for (let id = 100; id < 100 + count; id += 1) {
    await sql(`INSERT INTO USERS VALUES (${id}, 'x')`);
    // One who lost its lease and does not know it yet, and its successor.
    await Promise.all([one.settle(NEVER), two.settle(NEVER)]);
  }
  const branch = two.branch("b");
  const ids = [];
  for (const source of [one, two, branch]) {
    const { position } = await source.open([users], [start], NEVER);
    await using log = reading(source, position);
    const seen: [string, string][] = [];
    while (seen.length < count)
      for (const change of (await log.next()).changes) seen.push([change.position, change.after![0] as string]);
    ids.push(seen);
  }
  expect(ids[0]!.map(([, id]) => Number(id))).toEqual(Array.from({ length: count }, (_, n) => 100 + n));
  expect(ids[1]).toEqual(ids[0]);
  expect(ids[2]).toEqual(ids[0]);
});

test("rows are read as of where the stream is, whatever is written meanwhile", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  // Not read from the stream yet, so not in a snapshot either, or in both.
  const next = log.changed();
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  const first = await source.snapshot(users, null, { ...LIMIT, rows: 2 }, NEVER);
  const change = (await next).changes[0]!;
  await sql("UPDATE USERS SET NAME = 'later' WHERE ID = 3");
  await log.changed();
  const rows = [...first.rows];
  let { next: cursor } = first;
  while (cursor !== null) {
    const chunk = await source.snapshot(users, cursor, { ...LIMIT, rows: 2 }, NEVER);
    rows.push(...chunk.rows);
    cursor = chunk.next;
    if (rows.some(([id]) => id === "4")) expect(chunk.sees(change.transaction.id)).toBe(true);
  }
  expect(rows.map(([id]) => id).slice(0, 3)).toEqual(["1", "2", "3"]);
  const { rows: now } = await source.lookup(users, [["3"], ["8"]], NEVER);
  expect(now).toEqual([["3", "later"]]);
  expect((await scanned(source, users)).rows).toHaveLength(4);
  const pins = [...server.account.catalogue.objects.values()].filter(({ name }) => name.startsWith("PIN_"));
  await expect
    .poll(
      () => pins.filter((pin) => server.account.catalogue.objects.has(`"SHOP"."TAILRACE"."${pin.name}"`)).length,
      WAIT,
    )
    .toBeLessThan(2);
});

test.each([
  ["is stale", "source.gap.purged", () => server.account.advance(15 * 86_400_000)],
  [
    "was replaced",
    "source.gap.replaced",
    () => makeTable(server, "USERS", "ID NUMBER(38,0) PRIMARY KEY, NAME VARCHAR"),
  ],
  [
    "lost its stream",
    "source.gap.replaced",
    () => server.account.sql(`DROP STREAM ${outboxName().replace("OUTBOX", "STREAM")}`),
  ],
] as const)(
  "a table whose history %s is a gap, while it is read and at the start; a resync begins anew",
  async (_what, code, happen) => {
    await using source = snowflakeSource(server);
    const start = await source.open([users], [], NEVER);
    {
      await using log = reading(source, start.position);
      await log.next();
      await sql("INSERT INTO USERS VALUES (4, 'four')");
      await log.changed();
      const next = log.changed();
      await sql("INSERT INTO USERS VALUES (5, 'five')");
      await next;
    }
    await sql("INSERT INTO USERS VALUES (6, 'six')");
    await happen();
    await using log = reading(source, start.position);
    await expect(
      log
        .changed()
        .then(() => log.changed())
        .then(() => log.changed()),
    ).rejects.toMatchObject({ code });
    await using other = snowflakeSource(server);
    await expect(other.open([users], [start], NEVER)).rejects.toMatchObject({ code });
    await expect(other.plan([users], [start], NEVER)).rejects.toMatchObject({ code });
    const again = await other.open([users], [], NEVER);
    expect(again.position > start.position).toBe(true);
    await using anew = reading(other, again.position);
    await anew.next();
    await sql("INSERT INTO USERS VALUES (7, 'seven')");
    expect(changesOf(await anew.changed())).toEqual([["insert", null, ["7", "seven"]]]);
  },
);

test("a column that is added while it is read comes with the next batch; one that is dropped leaves", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const changed = async (...texts: string[]) => {
    const next = log.changed();
    for (const text of texts) await sql(text);
    const { changes } = await next;
    return changes.map(({ relation, after }) =>
      Object.fromEntries(relation.columns.map(({ name }, place) => [name, after![place]])),
    );
  };
  expect(
    await changed("ALTER TABLE USERS ADD COLUMN PLAN VARCHAR", "INSERT INTO USERS VALUES (4, 'four', 'pro')"),
  ).toEqual([{ ID: "4", NAME: "four", PLAN: "pro" }]);
  expect(await changed("ALTER TABLE USERS DROP COLUMN NAME", "INSERT INTO USERS (ID, PLAN) SELECT 5, 'free'")).toEqual([
    { ID: "5", PLAN: "free" },
  ]);
});

test("views and dynamic tables", async () => {
  const { account } = server;
  await account.sql("CREATE VIEW SHOP.PUBLIC.NAMED AS SELECT ID, NAME FROM SHOP.PUBLIC.USERS WHERE NAME <> 'hidden'");
  await account.sql("ALTER VIEW SHOP.PUBLIC.NAMED SET CHANGE_TRACKING = TRUE");
  await account.sql(
    "CREATE DYNAMIC TABLE SHOP.PUBLIC.LOUD TARGET_LAG = '1 minute' WAREHOUSE = WH AS SELECT ID, UPPER(NAME) AS NAME FROM SHOP.PUBLIC.USERS",
  );
  for (const name of ["NAMED", "LOUD"])
    await account.sql(`GRANT SELECT ON TABLE SHOP.PUBLIC.${name} TO ROLE TAILRACE_ROLE`);
  for (const [name, refresh, expected] of [
    [
      "named",
      null,
      [
        ["delete", ["2", "two"], null],
        ["update", ["1", "one"], ["1", "uno"]],
      ],
    ],
    ["loud", "ALTER DYNAMIC TABLE SHOP.PUBLIC.LOUD REFRESH", [["update", ["1", "UNO"], ["1", "EINS"]]]],
  ] as const) {
    const model = tableModel(name, { key: ["ID"] });
    if (refresh !== null) await account.sql(refresh);
    await using source = snowflakeSource(server);
    const start = await source.open([model], [], NEVER);
    expect((await scanned(source, model)).rows.length).toBeGreaterThan(1);
    await using log = reading(source, start.position);
    await log.next();
    const next = log.changed();
    await account.execute(account.admin, "BEGIN TRANSACTION");
    await sql(`UPDATE USERS SET NAME = '${name === "named" ? "uno" : "eins"}' WHERE ID = 1`);
    if (name === "named") await sql("UPDATE USERS SET NAME = 'hidden' WHERE ID = 2");
    await account.execute(account.admin, "COMMIT");
    if (refresh !== null) await account.sql(refresh);
    expect(changesOf(await next)).toEqual(expected);
  }
});

test("slots lists our stream, and releases it with its tables", async () => {
  await using source = snowflakeSource(server);
  await source.open([users], [], NEVER);
  const [held, ...others] = await source.holdings([], NEVER);
  expect(others).toEqual([]);
  expect(held).toMatchObject({ kind: "stream", used: true });
  expect(held!.detail).toContain("SHOP.PUBLIC.USERS");
  await source.release(held!.name, NEVER);
  expect(await source.holdings([], NEVER)).toEqual([]);
  expect([...server.account.catalogue.objects.values()].filter(({ schema }) => schema === "TAILRACE")).toEqual([]);
});

test("what would be made is told, and not made", async () => {
  await using source = snowflakeSource(server);
  const planned = await source.plan([users], [], NEVER);
  expect(planned.map((statement) => statement.split(" ").slice(0, 5).join(" "))).toEqual([
    "CREATE OR REPLACE TRANSIENT TABLE",
    "CREATE OR REPLACE TRANSIENT TABLE",
    expect.stringContaining("INSERT INTO"),
    expect.stringContaining("CREATE OR REPLACE STREAM"),
  ]);
  expect([...server.account.catalogue.objects.values()].filter(({ schema }) => schema === "TAILRACE")).toEqual([]);
  await source.open([users], [], NEVER);
  expect(await source.plan([users], [], NEVER)).toEqual([]);
});
