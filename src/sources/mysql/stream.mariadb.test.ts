// What the log brings besides plain rows: small images, DDL, emptied tables, large transactions, forms that cannot be read.
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from "vitest";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
} from "../../../test/support/mariadb.ts";
import {
  count,
  mysqlSource,
  plain,
  readUntil,
  startBinlogServer,
  tableModel,
} from "../../../test/support/mysql-source.ts";
import { UNCHANGED } from "../../contracts/values.ts";

const { signal } = new AbortController();
const T = tableModel("t");

describe.skipIf(!MARIADB_INSTALLED)("the stream", () => {
  let server: Mariadb;
  let database: MariadbDatabase;
  beforeAll(async () => {
    server = await startBinlogServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    database = await mariadbDatabase(server);
  });
  afterEach(() => database[Symbol.asyncDispose]());

  test.each(["MINIMAL", "NOBLOB"])("with row images %s, what did not change is not a null", async (image) => {
    await database.sql("CREATE TABLE t (a int, id int, v text, n int, PRIMARY KEY (id, a))");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql(`SET binlog_row_image = ${image}`);
    await database.sql("INSERT INTO t VALUES (1, 2, 'x', NULL); UPDATE t SET n = 5; UPDATE t SET v = 'y', n = NULL");
    await database.sql("UPDATE t SET a = 3; DELETE FROM t");
    const { changes } = await readUntil(source, start.position, count(5));
    const n = image === "MINIMAL" ? UNCHANGED : null;
    expect(plain(changes)).toEqual([
      { op: "insert", before: null, after: ["1", "2", "x", null] },
      { op: "update", before: null, after: ["1", "2", UNCHANGED, "5"] },
      { op: "update", before: null, after: ["1", "2", "y", null] },
      { op: "update", before: ["1", "2", UNCHANGED, UNCHANGED], after: ["3", "2", UNCHANGED, n] },
      { op: "delete", before: ["3", "2", UNCHANGED, UNCHANGED], after: null },
    ]);
    expect(changes.slice(1).map(({ relation }) => relation.oldRows)).toEqual(["key", "key", "key", "key"]);
    expect(changes[0]!.relation).toMatchObject({ key: [1, 0], oldRows: "full" });
  });

  test("tables that are not read are passed over, and the position moves past them", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO other VALUES (1), (2)");
    const { end } = await readUntil(source, start.position, (_, { end: reached }) => reached > start.position);
    await database.sql("INSERT INTO t VALUES (7)");
    const { changes } = await readUntil(source, end, count(1));
    expect(plain(changes)).toEqual([{ op: "insert", before: null, after: ["7"] }]);
  });

  test("a table is altered in mid-stream: each row is read by its own shape", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b enum('x','y'))");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 'one', 'x')");
    await database.sql("ALTER TABLE t ADD COLUMN n bigint unsigned FIRST, MODIFY b enum('w','x','y'), DROP COLUMN a");
    await database.sql("INSERT INTO t VALUES (18446744073709551615, 2, 'w')");
    await database.sql("ALTER TABLE t RENAME COLUMN n TO m");
    await database.sql("UPDATE t SET m = 5 WHERE id = 2");
    const { changes } = await readUntil(source, start.position, count(3));
    expect(plain(changes)).toEqual([
      { op: "insert", before: null, after: ["1", "one", "x"] },
      { op: "insert", before: null, after: ["18446744073709551615", "2", "w"] },
      { op: "update", before: ["18446744073709551615", "2", "w"], after: ["5", "2", "w"] },
    ]);
    expect(changes.map(({ relation }) => relation.columns.map(({ name }) => name))).toEqual([
      ["id", "a", "b"],
      ["n", "id", "b"],
      ["m", "id", "b"],
    ]);
    expect(changes.map(({ relation }) => relation.key)).toEqual([[0], [1], [1]]);
    expect(changes[2]!.relation).toBe(await source.describe(T, signal));
  });

  test("without names in the log, rows from before an ALTER are refused, not guessed at", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, a int); SET GLOBAL binlog_row_metadata = MINIMAL");
    try {
      await using source = mysqlSource(database.url);
      const start = await source.open([T], [], signal);
      await database.sql("INSERT INTO t VALUES (1, 1)");
      await readUntil(source, start.position, count(1));
      await database.sql("ALTER TABLE t ADD COLUMN z int FIRST");
      await using late = mysqlSource(database.url);
      await late.open([T], [start], signal);
      await expect(readUntil(late, start.position, count(1))).rejects.toMatchObject({ code: "source.gap.shape" });
      // Who has come no further meets it again when opening.
      await expect(late.open([T], [start], signal)).rejects.toMatchObject({ code: "source.gap.shape" });
    } finally {
      await database.sql("SET GLOBAL binlog_row_metadata = FULL");
    }
  });

  test.each([
    ["TRUNCATE TABLE t", ["truncate"]],
    ["truncate /* now */ `t`", ["truncate"]],
    ["DROP TABLE other, t", ["truncate"]],
    ["RENAME TABLE t TO elsewhere", ["truncate"]],
    ["ALTER TABLE t RENAME TO elsewhere", ["truncate"]],
    ["CREATE OR REPLACE TABLE t (id int PRIMARY KEY, v int)", ["truncate"]],
  ])("%s empties the table at one place in the log", async (statement, ops) => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE other (id int PRIMARY KEY)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 1)");
    await database.sql(statement);
    const { changes } = await readUntil(source, start.position, count(1 + ops.length));
    expect(changes.slice(1).map(({ op }) => op)).toEqual(ops);
    expect(changes[1]!.position > changes[0]!.position).toBe(true);
    expect(changes[1]!.relation.id).toBe(changes[0]!.relation.id);
  });

  test.each([
    ["a table is renamed to its name", "RENAME TABLE t TO old, other TO t"],
    ["rows are written by a statement", "SET binlog_format = STATEMENT; UPDATE t SET v = v + 1"],
    ["a partition is exchanged", "ALTER TABLE parts EXCHANGE PARTITION p0 WITH TABLE t"],
    [
      "rows are prepared and not committed",
      "XA START 'x'; INSERT INTO t VALUES (9, 9); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
    ],
  ])("%s: that is a gap, and stays one", async (_, statements) => {
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE other LIKE t; INSERT INTO t VALUES (1, 1)",
    );
    await database.sql(
      "CREATE TABLE parts LIKE t; ALTER TABLE parts PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100))",
    );
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql(statements);
    await database.sql("SET binlog_format = ROW");
    await expect(readUntil(source, start.position, count(99))).rejects.toMatchObject({ code: "source.gap.unreadable" });
    await expect(source.open([T], [start], signal)).rejects.toMatchObject({ code: "source.gap.unreadable" });
    // A resync begins behind it.
    const again = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (2, 2)");
    const { changes } = await readUntil(source, again.position, count(1));
    expect(plain(changes)).toEqual([{ op: "insert", before: null, after: ["2", "2"] }]);
  });

  test("statements of other tables are none of ours", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("SET binlog_format = STATEMENT; REPLACE INTO other VALUES (1); SET binlog_format = ROW");
    await database.sql(
      "DROP TABLE other; CREATE TABLE other AS SELECT 1 AS id; CREATE USER IF NOT EXISTS x; DROP USER x",
    );
    await database.sql("INSERT INTO t VALUES (1); SAVEPOINT s");
    await database.sql("BEGIN; INSERT INTO t VALUES (2); SAVEPOINT s; INSERT INTO t VALUES (3); ROLLBACK TO s; COMMIT");
    const { changes } = await readUntil(source, start.position, count(2));
    expect(plain(changes).map(({ after }) => after)).toEqual([["1"], ["2"]]);
  });

  test.each(["", "compressed"])("a large transaction %s comes in parts, and is resumed within", async (how) => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(200))");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    const rows = 30_000;
    if (how !== "") await database.sql("SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10");
    await database.sql(`INSERT INTO t SELECT seq, REPEAT('x', 100) FROM seq_1_to_${rows}; UPDATE t SET v = id`);
    await database.sql("SET GLOBAL log_bin_compress = OFF");
    const whole = await readUntil(source, start.position, count(2 * rows));
    expect(whole.changes).toHaveLength(2 * rows);
    expect(Math.max(...whole.batches.map(({ changes }) => changes.length))).toBeLessThan(6000);
    const positions = whole.changes.map(({ position }) => position);
    expect(positions).toEqual(positions.toSorted());
    for (const at of [0, 1, 17_777, rows - 1, rows, 2 * rows - 2]) {
      const { changes } = await readUntil(source, positions[at]!, count(2 * rows - at - 1));
      expect(changes[0]!.position).toBe(positions[at + 1]);
      expect(changes.at(-1)!.position).toBe(positions.at(-1));
    }
    // And from the end of a batch, which need not be a change's.
    const middle = whole.batches[3]!.end;
    const { changes } = await readUntil(source, middle, count(1));
    expect(changes[0]!.position).toBe(positions.find((position) => position > middle));
  });

  test("the log goes on in the next file, and the reader waits for whoever takes what it reads", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    for (let i = 0; i < 5; i += 1)
      await database.sql(`INSERT INTO t VALUES (${i}, REPEAT('y', 6000000)); FLUSH BINARY LOGS`);
    const reading = source.read(start.position, signal)[Symbol.asyncIterator]();
    const first = await reading.next();
    expect(first.value!.changes.length).toBeLessThan(3);
    let seen = first.value!.changes.length;
    while (seen < 5) seen += (await reading.next()).value!.changes.length;
    await reading.return!();
    const { changes } = await readUntil(source, start.position, count(5));
    expect(changes.map(({ after }) => (after![1] as string).length)).toEqual([6e6, 6e6, 6e6, 6e6, 6e6]);
  });

  test("a row larger than a packet can be", async () => {
    await database.sql("SET GLOBAL max_allowed_packet = 1073741824; CREATE TABLE t (id int PRIMARY KEY, v longblob)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await using other = await mariadbDatabase(server);
    await other.sql(
      `INSERT INTO ${database.name}.t VALUES (1, REPEAT(x'01', 40000000)); INSERT INTO ${database.name}.t VALUES (2, '')`,
    );
    const { changes } = await readUntil(source, start.position, count(2));
    expect(Buffer.from(changes[0]!.after![1] as string, "base64").length).toBe(40_000_000);
    expect(changes[1]!.after).toEqual(["2", ""]);
  });

  test("generated columns: the stored ones are read", async () => {
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, a int, v int AS (a + 1) VIRTUAL, s int AS (a + 2) STORED, b int)",
    );
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t (id, a, b) VALUES (1, 10, 20); UPDATE t SET a = 11");
    const { changes } = await readUntil(source, start.position, count(2));
    expect(changes.map(({ after }) => after)).toEqual([
      ["1", "10", "12", "20"],
      ["1", "11", "13", "20"],
    ]);
    expect(changes[0]!.relation).toBe(await source.describe(T, signal));
    const { rows } = await source.snapshot(T, null, { rows: 10, bytes: 1e6 }, signal);
    expect(rows).toEqual([["1", "11", "13", "20"]]);
  });

  test("a checksum in the log or none", async () => {
    await database.sql("SET GLOBAL binlog_checksum = NONE; CREATE TABLE t (id int PRIMARY KEY)");
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1); SET GLOBAL binlog_checksum = CRC32; INSERT INTO t VALUES (2)");
    const { changes } = await readUntil(source, start.position, count(2));
    expect(changes.map(({ after }) => after)).toEqual([["1"], ["2"]]);
    const again = await readUntil(source, changes[0]!.position, count(1));
    expect(again.changes[0]!.position).toBe(changes[1]!.position);
  });
});
