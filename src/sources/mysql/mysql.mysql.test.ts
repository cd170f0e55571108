// What is MySQL's alone, against a server that is there already: TEST_MYSQL_PORT is its port on 127.0.0.1, with a user
// `tailrace`, password `tailrace`, who may do everything; gtid_mode ON, binlog_row_metadata FULL. No package of Debian
// stable has one, so these tests are skipped otherwise.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Mariadb, type MariadbDatabase, mariadbDatabase } from "../../../test/support/mariadb.ts";
import { count, mysqlSource, plain, readUntil, tableModel } from "../../../test/support/mysql-source.ts";
import { JSON_VALUES, TYPE_CASES } from "../../../test/support/mysql-types.ts";
import { UNCHANGED } from "../../contracts/values.ts";

const port = Number(process.env["TEST_MYSQL_PORT"] ?? 0);
const { signal } = new AbortController();
const ALL = { rows: 10_000, bytes: 1e8 };
const T = tableModel("t");
const server = {
  port,
  url: (database = "") => `mysql://tailrace:tailrace@127.0.0.1:${port}/${database}`,
} as Mariadb;

describe.skipIf(port === 0)("MySQL", () => {
  let database: MariadbDatabase;
  beforeAll(async () => {
    database = await mariadbDatabase(server);
  });
  afterAll(() => database?.[Symbol.asyncDispose]());

  test.each(["FULL", "MINIMAL"])(
    "every type has the same texts from the log as from a query, metadata %s",
    async (metadata) => {
      const cases = TYPE_CASES.filter(({ type }) => !/^(uuid|inet)|uca1400|^json/.test(type));
      const columns = cases.map(({ type }, i) => `c${i} ${type}`).join(", ");
      await database.sql(
        `SET sql_mode = ''; DROP TABLE IF EXISTS types; CREATE TABLE types (id int PRIMARY KEY, ${columns}, j json)`,
      );
      await database.sql(`SET GLOBAL binlog_row_metadata = ${metadata}`);
      const model = tableModel("types");
      await using source = mysqlSource(database.url);
      const start = await source.open([model], [], signal);
      const most = Math.max(JSON_VALUES.length, ...cases.map(({ values }) => values.length));
      await using writer = await mariadbDatabase(server);
      await writer.sql(`USE ${database.name}; SET sql_mode = ''`);
      for (let i = 0; i <= most; i += 1) {
        const values = cases.map(({ values: each }) => each[i] ?? "NULL");
        await writer.sql(`INSERT INTO types VALUES (${[i, ...values, JSON_VALUES[i] ?? "NULL"].join(", ")})`);
      }
      await database.sql("SET GLOBAL binlog_row_metadata = FULL");
      const { changes } = await readUntil(source, start.position, count(most + 1));
      const { rows, relation } = await source.snapshot(model, null, ALL, signal);
      expect(relation).toBe(changes[0]!.relation);
      const byColumn = (values: readonly unknown[]) =>
        Object.fromEntries([...cases, { type: "json" }].map(({ type }, i) => [`${i} ${type}`, values[i + 1]]));
      for (const [i, row] of rows.entries()) expect(byColumn(changes[i]!.after!)).toEqual(byColumn(row));
    },
  );

  test.each(["OFF", "ON"])("rows in order, compression %s; resumed within a transaction", async (compression) => {
    await database.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v varchar(200))");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql(`SET binlog_transaction_compression = ${compression}, cte_max_recursion_depth = 100000`);
    const rows = 20_000;
    await database.sql(
      `INSERT INTO t WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < ${rows}) SELECT n, REPEAT('x', 50) FROM s`,
    );
    await database.sql("BEGIN; UPDATE t SET v = id WHERE id = 5; DELETE FROM t WHERE id = 6; COMMIT; TRUNCATE TABLE t");
    const { changes } = await readUntil(source, start.position, count(rows + 3));
    expect(plain(changes.slice(-3))).toEqual([
      { op: "update", before: ["5", "x".repeat(50)], after: ["5", "5"] },
      { op: "delete", before: ["6", "x".repeat(50)], after: null },
      { op: "truncate", before: null, after: null },
    ]);
    const positions = changes.map(({ position }) => position);
    expect(positions).toEqual(positions.toSorted());
    for (const at of [0, 12_345, rows - 1, rows, rows + 1]) {
      const again = await readUntil(source, positions[at]!, count(rows + 2 - at));
      expect(again.changes[0]!.position).toBe(positions[at + 1]);
      expect(again.changes.at(-1)!.position).toBe(positions.at(-1));
    }
    await database.sql("SET binlog_transaction_compression = OFF");
    const [last] = changes.slice(-1);
    expect(last!.transaction.id).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}:\d+$/);
    expect(Math.abs(Number(last!.transaction.committedAt) / 1000 - Date.now())).toBeLessThan(60_000);
  });

  test("by GTID, as after a change of servers", async () => {
    await database.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    for (const id of [1, 2]) await database.sql(`INSERT INTO t VALUES (${id})`);
    await database.sql("INSERT INTO t VALUES (3), (4)");
    const { changes } = await readUntil(source, start.position, count(4));
    const elsewhere = start.incarnation.replace(/"server":"[^"]*"/, '"server":"another"');
    const from = async (position: string): Promise<readonly unknown[]> => {
      await using promoted = mysqlSource(database.url);
      await promoted.open([T], [{ position, incarnation: elsewhere }], signal);
      const found = await readUntil(promoted, position, (all) => all.at(-1)?.after?.[0] === "4");
      expect(found.changes.every((change) => change.position > changes.at(-1)!.position)).toBe(true);
      return found.changes.map(({ after }) => after![0]);
    };
    expect(await from(start.position)).toEqual(["1", "2", "3", "4"]);
    expect(await from(changes[1]!.position)).toEqual(["2", "3", "4"]);
    expect(await from(changes[2]!.position)).toEqual(["3", "4"]);
  });

  test("MINIMAL images, partial JSON refused", async () => {
    await database.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v varchar(9), j json)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql(
      `SET binlog_row_image = MINIMAL; INSERT INTO t VALUES (1, 'a', '{"a": 1}'); UPDATE t SET v = 'b'; DELETE FROM t`,
    );
    const { changes, end } = await readUntil(source, start.position, count(3));
    expect(plain(changes)).toEqual([
      { op: "insert", before: null, after: ["1", "a", '{"a": 1}'] },
      { op: "update", before: null, after: ["1", "b", UNCHANGED] },
      { op: "delete", before: ["1", UNCHANGED, UNCHANGED], after: null },
    ]);
    await database.sql("SET binlog_row_image = FULL, binlog_row_value_options = PARTIAL_JSON");
    await database.sql(
      `INSERT INTO t VALUES (1, 'a', '{"a": "x", "b": "yyyyyyyyyyyyyyyyyyyyyyyy"}'); UPDATE t SET j = JSON_SET(j, '$.a', 'z')`,
    );
    await database.sql("SET binlog_row_value_options = ''");
    await expect(readUntil(source, end, count(2))).rejects.toMatchObject({ code: "source.gap.unreadable" });
  });

  test("beside many writers, a snapshot never claims to see what it does not", async () => {
    await database.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v int)");
    await database.sql("INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    const stop = new AbortController();
    const writers = [1, 2, 3, 4].map(async (id) => {
      await using own = await mariadbDatabase(server);
      let v = 0;
      while (!stop.signal.aborted) await own.sql(`UPDATE ${database.name}.t SET v = ${(v += 1)} WHERE id = ${id}`);
      return v;
    });
    const chunks = [];
    for (let i = 0; i < 40; i += 1) chunks.push(await source.snapshot(T, null, ALL, signal));
    stop.abort();
    const total = (await Promise.all(writers)).reduce((sum, each) => sum + each, 0);
    const { changes, end } = await readUntil(source, start.position, count(total));
    for (const chunk of chunks) {
      for (const { after, transaction } of changes) {
        const row = chunk.rows.find(([id]) => id === after![0])!;
        if (chunk.sees(transaction.id)) expect(Number(row[1])).toBeGreaterThanOrEqual(Number(after![1]));
      }
      for (const { after, position } of changes) {
        const row = chunk.rows.find(([id]) => id === after![0])!;
        if (position > chunk.high) expect(Number(row[1])).toBeLessThan(Number(after![1]));
      }
    }
    await source.settle(signal);
    const settled = await source.lookup(T, [], signal);
    expect(changes.every(({ transaction }) => settled.sees(transaction.id))).toBe(true);
    expect(settled.high <= end).toBe(true);
  });

  test("check", async () => {
    await database.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY)");
    await database.sql(
      "DROP USER IF EXISTS least@'%'; CREATE USER least@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO least@'%'",
    );
    await using source = mysqlSource(`mysql://least:x@127.0.0.1:${port}/${database.name}`, { tls: "require" });
    const needs = [{ model: T, oldColumns: [], deletes: false }];
    const [privilege] = await source.check(needs, signal);
    expect(privilege).toMatchObject({
      code: "mysql.replication_privilege",
      fix: "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'least'@'%';",
    });
    await database.sql("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO least@'%'");
    expect(await source.check(needs, signal)).toEqual([]);
    await database.sql("DROP USER least@'%'");
  });
});
