import { afterEach, beforeEach, expect, test } from "vitest";
import type { SnowflakeServer } from "../../../test/fakes/snowflake/server.ts";
import { NEVER, reading } from "../../../test/support/duckdb-source.ts";
import { tableModel } from "../../../test/support/models.ts";
import { changesOf, makeTable, snowflakeAccount, snowflakeSource } from "../../../test/support/snowflake.ts";

const users = tableModel("users");
const DAY_MS = 86_400_000;
let server: SnowflakeServer;

beforeEach(async () => {
  server = await snowflakeAccount({ writes: false });
  await makeTable(server, "USERS", "ID NUMBER(38,0) NOT NULL PRIMARY KEY, NAME VARCHAR");
  await sql("INSERT INTO USERS VALUES (1, 'one'), (2, 'two')");
});
afterEach(() => server[Symbol.asyncDispose]());

const sql = (text: string) => server.account.sql(text.replaceAll("USERS", "SHOP.PUBLIC.USERS"));
const ours = () => server.account.statements.filter(({ user }) => user === "TAILRACE");

test("nothing is written, a sleeping warehouse stays asleep, and a batch of changes is one statement", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const polls = () => ours().filter((each) => each.sql.includes("LAST_CHANGE_COMMIT_TIME")).length;
  const next = log.changed();
  const before = polls();
  await expect.poll(polls, { timeout: 20_000 }).toBeGreaterThan(before + 10);
  expect(ours().filter(({ computes }) => computes)).toEqual([]);
  expect(server.account.warehouse.resumes).toBe(0);
  await sql("UPDATE USERS SET ID = 7 WHERE ID = 1");
  expect(changesOf(await next)).toEqual([["update", ["1", "one"], ["7", "one"]]]);
  expect(ours().filter(({ computes }) => computes)).toHaveLength(1);
  expect(ours().filter((each) => !/^(SELECT|SHOW|DESCRIBE)/.test(each.sql))).toEqual([]);
});

test("where a window begins is stored before its changes are given out: it ends where we looked, and is to end there again", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const next = log.next();
  await sql("INSERT INTO USERS VALUES (3, 'three')");
  const begin = await next;
  expect(begin).toMatchObject({ changes: [], end: expect.stringMatching(/^\d{13}_\d{13}-----------$/) as string });
  let isGivenOut = false;
  const changed = log.next().then((batch) => {
    isGivenOut = true;
    return batch;
  });
  await source.lookup(users, [["1"]], NEVER);
  expect(isGivenOut).toBe(false);
  source.ack(begin.end);
  const { changes } = await changed;
  expect(changes).toHaveLength(1);
  await sql("INSERT INTO USERS VALUES (4, 'four')");
  await using other = snowflakeSource(server);
  const opened = await other.open([users], [{ ...start, position: begin.end }], NEVER);
  await using again = reading(other, opened.position);
  expect((await again.changed()).changes).toEqual(changes);
});

test("two commits of one millisecond: whichever side of a look they are on, each is told once", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  const seen: string[] = [];
  const all = 40;
  const reader = (async () => {
    while (seen.length < all) for (const { after } of (await log.next()).changes) seen.push(after![0] as string);
  })();
  const { account } = server;
  for (let id = 100; id < 100 + all; id += 2) {
    // The clock stands still for both.
    account.frozenMs = account.nowMs();
    await sql(`INSERT INTO USERS VALUES (${id}, 'a')`);
    await sql(`INSERT INTO USERS VALUES (${id + 1}, 'b')`);
    account.frozenMs = null;
  }
  await reader;
  expect(seen.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: all }, (_, n) => 100 + n));
});

test("a table that is quiet for longer than Time Travel keeps its history is no gap", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  let end = start.position;
  for (let day = 0; day < 4; day += 1) {
    server.account.advance(DAY_MS / 2);
    ({ end } = await log.next());
  }
  expect(server.account.warehouse.resumes).toBe(0);
  await sql("INSERT INTO USERS VALUES (3, 'three')");
  expect(changesOf(await log.changed())).toEqual([["insert", null, ["3", "three"]]]);
  await using other = snowflakeSource(server);
  expect((await other.open([users], [{ ...start, position: end }], NEVER)).position).toBe(end);
});

test("what was left off in its midst comes again as it was, also beside others that are elsewhere", async () => {
  let start;
  const batches = [];
  {
    await using source = snowflakeSource(server);
    start = await source.open([users], [], NEVER);
    await using log = reading(source, start.position);
    await log.next();
    await sql("INSERT INTO USERS VALUES (3, 'three'), (4, 'four'), (5, 'five')");
    batches.push(await log.changed());
    await log.next();
    await sql("INSERT INTO USERS VALUES (6, 'six')");
    batches.push(await log.changed());
  }
  const [first, second] = batches as [(typeof batches)[number], (typeof batches)[number]];
  const half = { ...start, position: first.changes[0]!.position };
  await sql("INSERT INTO USERS VALUES (7, 'seven')");
  await using source = snowflakeSource(server);
  // One sync stands in the midst of the first window, another behind the second.
  const opened = await source.open([users], [half, { ...start, position: second.end }], NEVER);
  expect(opened.position).toBe(half.position);
  await using log = reading(source, opened.position);
  const seen = [];
  while (seen.length < 4) seen.push(...(await log.next()).changes);
  expect(seen.map(({ after }) => after![0])).toEqual(["4", "5", "6", "7"]);
  expect(seen[0]!.position).toBe(first.changes[1]!.position);
  expect(seen[2]!.position > first.end && seen[2]!.position < seen[3]!.position).toBe(true);
});

test.each([
  ["is older than Time Travel", "source.gap.purged", async () => server.account.advance(2 * DAY_MS)],
  [
    "belongs to another table",
    "source.gap.replaced",
    () => makeTable(server, "USERS", "ID NUMBER(38,0) PRIMARY KEY, NAME VARCHAR"),
  ],
  ["is not tracked any more", "source.gap.feed", () => sql("ALTER TABLE USERS SET CHANGE_TRACKING = FALSE")],
] as const)("history that %s is a gap", async (_what, code, happen) => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await using log = reading(source, start.position);
  await log.next();
  await happen();
  await sql("INSERT INTO USERS VALUES (3, 'three')");
  await expect(log.changed()).rejects.toMatchObject({ code });
  await using other = snowflakeSource(server);
  await expect(
    other.open([users], [start], NEVER).then(async (opened) => {
      await using again = reading(other, opened.position);
      return await again.changed();
    }),
  ).rejects.toMatchObject({ code });
});

test("where the role may write from one day on, the reading changes by name", async () => {
  await using source = snowflakeSource(server);
  const start = await source.open([users], [], NEVER);
  await server.account.sql("CREATE SCHEMA SHOP.TAILRACE");
  await server.account.sql("GRANT USAGE, CREATE TABLE, CREATE STREAM ON SCHEMA SHOP.TAILRACE TO ROLE TAILRACE_ROLE");
  await using other = snowflakeSource(server);
  await expect(other.open([users], [start], NEVER)).rejects.toMatchObject({ code: "source.gap.feed" });
  await using fixed = snowflakeSource(server, { feed: "changes" });
  expect(await fixed.open([users], [start], NEVER)).toEqual(start);
});
