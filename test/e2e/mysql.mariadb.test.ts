// The whole command, from MariaDB's binary log to a receiver.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { orderOf, overlaps, rowsOf } from "../support/ledger-order.ts";
import { MARIADB_INSTALLED, type Mariadb, type MariadbDatabase, mariadbDatabase } from "../support/mariadb.ts";
import { startBinlogServer } from "../support/mysql-source.ts";
import { fold } from "../support/oracle.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const project = (database: MariadbDatabase, receiver: Receiver, syncs: string): string => `
sources: { db: { type: mysql, url: "${database.url}" } }
models:
  t: { source: db, table: t }
  u: { source: db, table: ${database.name}.u }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
${syncs}
`;

const MIRROR = "  t: { model: t, destination: receiver, mode: mirror, max_deletes: 100% }";

/** What the receiver holds and the table, as texts by key. */
async function both(receiver: Receiver, database: MariadbDatabase) {
  const rows = await database.rows("SELECT * FROM t ORDER BY id");
  const table = Object.fromEntries(rows.map((row) => [row["id"]!, { ...row }]));
  return { held: heldBy(receiver), table };
}

function heldBy(receiver: Receiver) {
  return Object.fromEntries([...fold(receiver.ledger.entries)].map(([key, row]) => [key, { ...row }]));
}

/** Runs it so many times, and kills it each time after so many rows. */
async function killed(
  folder: string,
  receiver: Receiver,
  { times, rows }: { readonly times: number; readonly rows: number },
): Promise<void> {
  for (let kills = 0; kills < times; kills += 1) {
    const before = receiver.counts.acknowledgedRows;
    await using engine = startCli(["run", "-c", folder], { cwd: folder });
    await receiver.until(({ counts }) => counts.acknowledgedRows > before + rows, 30_000);
    engine.kill("SIGKILL");
    await engine.exit;
    await receiver.restart();
  }
}

async function catchUp(folder: string): Promise<void> {
  const { code, stderr } = await runCli(["run", "--once", "-c", folder], { cwd: folder });
  expect(code, stderr).toBe(0);
}

describe.skipIf(!MARIADB_INSTALLED)("MariaDB to a webhook", () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startBinlogServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test("check, plan, rows that exist, live changes, explain, a truncated table", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (id bigint unsigned PRIMARY KEY, name varchar(20), at datetime(6)); CREATE TABLE u (id int PRIMARY KEY);" +
        "INSERT INTO t VALUES (18446744073709551615, 'Ann', '2026-11-24 01:02:03.456789')",
    );
    await using receiver = await startReceiver();
    await using at = await testProject(
      project(database, receiver, `${MIRROR}\n  u: { model: u, destination: receiver, mode: mirror }`),
    );
    const inFolder = { cwd: at.folder };
    expect((await runCli(["check", "-c", at.folder], inFolder)).code).toBe(0);
    const explained = await runCli(["explain", "t", "-c", at.folder], inFolder);
    expect(explained.stdout).toContain("binary log");
    await using engine = startCli(["run", "-c", at.folder], inFolder);
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 1, 30_000);
    await database.sql("INSERT INTO t VALUES (2, 'Bob ☃', NULL); UPDATE t SET name = 'Ann ☃' WHERE id > 2");
    await database.sql("DELETE FROM t WHERE id = 2");
    await receiver.until(({ ledger }) => {
      const state = fold(ledger.entries);
      return state.size === 1 && state.get("18446744073709551615")?.["name"] === "Ann ☃";
    });
    const { held, table } = await both(receiver, database);
    expect(held).toEqual(table);

    // A truncated table stops its own sync, and no other.
    await database.sql("TRUNCATE TABLE t");
    await engine.waitFor(/source\.gap\.truncate/);
    await database.sql("INSERT INTO u VALUES (77)");
    await receiver.until(({ ledger }) => [...rowsOf(ledger.entries)].some(({ key }) => key === "77"), 30_000);
    engine.kill("SIGTERM");
    // Not all is well: one sync waits for a person.
    expect(await engine.exit).toEqual({ code: 1, signal: null });
  }, 90_000);

  test("killed again and again under load, with a backfill under way: nothing lost, no key out of order", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, version int, pad varchar(100)); CREATE TABLE u (id int PRIMARY KEY)",
    );
    await database.sql("INSERT INTO t SELECT seq, 0, REPEAT('x', 80) FROM seq_1_to_6000");
    await using receiver = await startReceiver();
    await using at = await testProject(project(database, receiver, MIRROR));
    const stop = new AbortController();
    await using writer = await mariadbDatabase(server);
    let version = 0;
    const write = async (): Promise<void> => {
      await writer.sql(`USE ${database.name}`);
      while (!stop.signal.aborted) {
        version += 1;
        const of = (version * 37) % 6000;
        await writer.sql(`UPDATE t SET version = ${version} WHERE id BETWEEN ${of} AND ${of + 5}`);
        if (version % 5 === 0) await writer.sql(`DELETE FROM t WHERE id = ${(version * 11) % 6000}`);
        if (version % 7 === 0) await writer.sql(`REPLACE INTO t VALUES (${(version * 11) % 6000}, ${version}, 'new')`);
        if (version % 50 === 0)
          await writer.sql(`BEGIN; UPDATE t SET version = ${version} WHERE id % 100 < 20; COMMIT`);
      }
    };
    const writing = write();
    await killed(at.folder, receiver, { times: 4, rows: 700 });
    stop.abort();
    await writing;
    await catchUp(at.folder);
    const { held, table } = await both(receiver, database);
    expect(held).toEqual(table);
    const { entries } = receiver.ledger;
    expect(orderOf(entries).inversions).toEqual([]);
    expect(overlaps(entries)).toEqual([]);
  }, 180_000);

  test("what was committed while nobody ran, and while the server was away, arrives", async () => {
    await using own = await startBinlogServer();
    const database = await mariadbDatabase(own);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, version int); CREATE TABLE u (id int PRIMARY KEY)");
    await using receiver = await startReceiver();
    await using at = await testProject(project(database, receiver, MIRROR));
    await catchUp(at.folder);
    await database.sql("INSERT INTO t SELECT seq, 1 FROM seq_1_to_1000");
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 1000, 30_000);
    await own.crash();
    await engine.waitFor(/goes on where it was/);
    await own.start();
    await using again = await mariadbDatabase(own);
    await again.sql(`UPDATE ${database.name}.t SET version = 2; DELETE FROM ${database.name}.t WHERE id > 500`);
    await receiver.until(({ ledger }) => {
      const state = fold(ledger.entries);
      return state.size === 500 && state.get("1")?.["version"] === "2";
    }, 60_000);
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  }, 120_000);

  test("a query is compared with what was last sent", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT seq, seq % 3 FROM seq_1_to_10",
    );
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: mysql, url: "${database.url}" } }
models: { q: { source: db, sql: q.sql, key: v } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { q: { model: q, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
    await writeFile(join(at.folder, "q.sql"), "SELECT v, COUNT(*) AS n FROM t GROUP BY v -- all");
    await catchUp(at.folder);
    expect(receiver.counts.acknowledgedRows).toBe(3);
    await database.sql("DELETE FROM t WHERE v = 1; INSERT INTO t VALUES (99, 2)");
    await catchUp(at.folder);
    const rows = [...rowsOf(receiver.ledger.entries)].slice(3).map(({ op, key }) => `${op} ${key}`);
    expect(rows.toSorted()).toEqual(["delete 1", "upsert 2"]);
  }, 60_000);

  test("a live query, killed again and again under load: what is sent is the model", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE users (id int PRIMARY KEY, name varchar(20), plan varchar(9));" +
        "CREATE TABLE orders (id int PRIMARY KEY, user_id int, total decimal(10,2), INDEX (user_id));" +
        "CREATE TABLE tickets (id int PRIMARY KEY, user_id int, state varchar(9), INDEX (user_id));" +
        "CREATE VIEW open_tickets AS SELECT user_id, COUNT(*) AS n FROM tickets WHERE state = 'open' GROUP BY user_id;" +
        "INSERT INTO users SELECT seq, CONCAT('user ', seq), IF(seq % 3, 'pro', 'free') FROM seq_1_to_300;" +
        "INSERT INTO orders SELECT seq, seq % 300, seq % 100 FROM seq_1_to_2000;" +
        "INSERT INTO tickets SELECT seq, seq % 300, IF(seq % 2, 'open', 'done') FROM seq_1_to_400",
    );
    const golden = `SELECT u.id, u.name, o.orders, o.spent, COALESCE(t.n, 0) AS open_tickets
      FROM users u JOIN (SELECT user_id, COUNT(*) AS orders, SUM(total) AS spent FROM orders GROUP BY user_id) o ON o.user_id = u.id
      LEFT JOIN open_tickets t ON t.user_id = u.id WHERE u.plan = 'pro'`;
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: mysql, url: "${database.url}" } }
models: { golden: { source: db, sql: golden.sql, key: id } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { golden: { model: golden, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
    await writeFile(join(at.folder, "golden.sql"), golden);
    const explained = await runCli(["explain", "golden", "-c", at.folder], { cwd: at.folder });
    expect(explained.stdout).toContain("live query");
    const stop = new AbortController();
    await using writer = await mariadbDatabase(server);
    let round = 0;
    const write = async (): Promise<void> => {
      await writer.sql(`USE ${database.name}`);
      while (!stop.signal.aborted) {
        round += 1;
        const user = (round * 37) % 300;
        await writer.sql(`UPDATE orders SET total = total + 1 WHERE user_id = ${user}`);
        if (round % 3 === 0) await writer.sql(`DELETE FROM orders WHERE user_id = ${(round * 11) % 300}`);
        if (round % 4 === 0) await writer.sql(`REPLACE INTO orders VALUES (${round % 2000}, ${(round * 7) % 300}, 5)`);
        if (round % 5 === 0) {
          await writer.sql(
            `BEGIN; UPDATE users SET plan = IF(plan = 'pro', 'free', 'pro') WHERE id = ${user}; UPDATE tickets SET user_id = ${user} WHERE id = ${round % 400}; COMMIT`,
          );
        }
        if (round % 7 === 0) await writer.sql(`UPDATE tickets SET state = 'open' WHERE id = ${(round * 13) % 400}`);
      }
    };
    const writing = write();
    await killed(at.folder, receiver, { times: 3, rows: 250 });
    stop.abort();
    await writing;
    await catchUp(at.folder);
    const rows = await database.rows(golden);
    const wanted = Object.fromEntries(rows.map((row) => [row["id"]!, { ...row }]));
    expect(heldBy(receiver)).toEqual(wanted);
    const { entries } = receiver.ledger;
    expect(overlaps(entries)).toEqual([]);
  }, 180_000);

  test("a live query whose view is replaced, and whose table is altered and truncated, goes on", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, v int, w int); INSERT INTO t SELECT seq, seq, seq FROM seq_1_to_5;" +
        "CREATE VIEW high AS SELECT id, v FROM t WHERE v > 3",
    );
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: mysql, url: "${database.url}" } }
models: { q: { source: db, sql: q.sql, key: id } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { q: { model: q, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
    await writeFile(join(at.folder, "q.sql"), "SELECT id, v FROM high");
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    const held = (wanted: string) =>
      receiver.until(({ ledger }) => {
        const state = [...fold(ledger.entries)].map(([key, row]) => `${key}=${row["v"]}`);
        return state.sort().join(" ") === wanted;
      }, 30_000);
    await held("4=4 5=5");
    await database.sql("CREATE OR REPLACE VIEW high AS SELECT id, v * 2 AS v FROM t WHERE v > 1");
    await held("2=4 3=6 4=8 5=10");
    await database.sql("ALTER TABLE t DROP COLUMN w, ADD COLUMN x int FIRST; UPDATE t SET v = 7 WHERE id = 5");
    await held("2=4 3=6 4=8 5=14");
    await database.sql("TRUNCATE TABLE t; INSERT INTO t VALUES (0, 9, 2)");
    await held("9=4");
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  }, 90_000);

  test("a sync whose destination is down reads for itself, holds back nobody, and catches up", async () => {
    await using database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)");
    await using well = await startReceiver();
    await using ill = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: mysql, url: "${database.url}" } }
models: { t: { source: db, table: t }, u: { source: db, table: u } }
destinations:
  well: { type: webhook, url: "${well.url}", allow_private: true, batch: { format: array, rows: 500 } }
  ill: { type: webhook, url: "${ill.url}", allow_private: true, batch: { format: array, rows: 500 } }
syncs:
  t: { model: t, destination: well, mode: mirror }
  u: { model: u, destination: ill, mode: mirror }
`);
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await engine.waitFor(/"started"/);
    await database.sql("INSERT INTO t VALUES (0, 'a'); INSERT INTO u VALUES (0, 'a')");
    await Promise.all([well, ill].map((each) => each.until(({ counts }) => counts.acknowledgedRows >= 1, 30_000)));
    await ill.down();
    for (let i = 0; i < 10; i += 1)
      for (const table of ["u", "t"])
        await database.sql(
          `INSERT INTO ${table} SELECT seq, REPEAT('x', 2000) FROM seq_${1 + i * 1000}_to_${(i + 1) * 1000}`,
        );
    await well.until(({ counts }) => counts.acknowledgedRows >= 10_001, 60_000);
    await engine.waitFor(/of its own|detached/);
    engine.kill("SIGKILL");
    await engine.exit;
    await ill.up();
    await using again = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await ill.until(({ ledger }) => fold(ledger.entries).size === 10_001, 60_000);
    expect(fold(well.ledger.entries).size).toBe(10_001);
    again.kill("SIGTERM");
    expect(await again.exit).toEqual({ code: 0, signal: null });
  }, 150_000);
});
