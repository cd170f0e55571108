// Rows as they are now, and how they meet the log.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
} from "../../../test/support/mariadb.ts";
import { count, mysqlSource, readUntil, startBinlogServer, tableModel } from "../../../test/support/mysql-source.ts";
import { ON_DEMAND, type QueryModel } from "../../contracts/model.ts";
import type { Source } from "../../contracts/source.ts";

const { signal } = new AbortController();
const T = tableModel("t");
const LIMIT = { rows: 7, bytes: 1e6 };

async function allRows(source: Source, model = T, limit = LIMIT) {
  const rows: (readonly unknown[])[] = [];
  let after: readonly string[] | null = null;
  let chunks = 0;
  for (;;) {
    const chunk = await source.snapshot(model, after, limit, signal);
    rows.push(...chunk.rows);
    chunks += 1;
    if (chunk.next === null) return { rows, chunks };
    after = chunk.next;
  }
}

describe.skipIf(!MARIADB_INSTALLED)("snapshots", () => {
  let server: Mariadb;
  let database: MariadbDatabase;
  let source: Source;
  beforeAll(async () => {
    server = await startBinlogServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    database = await mariadbDatabase(server);
    source = mysqlSource(database.url);
  });
  afterEach(async () => {
    await source[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  test.each([
    ["bigint unsigned", "seq * 400000000000000000"],
    ["bigint", "(CAST(seq AS SIGNED) - 20) * 400000000000000000"],
    ["decimal(30,3)", "seq * 1.5 - 20"],
    ["double", "seq * 1e-9"],
    ["varchar(20)", "CONCAT(ELT(seq % 4 + 1, 'a', 'B', 'é', 'it''s \\\\'), seq)"],
    ["varchar(20) COLLATE utf8mb4_bin", "CHAR(seq * 7 + 33 USING utf8mb4)"],
    ["varchar(20) CHARACTER SET latin1", "CONCAT('é', seq)"],
    ["varbinary(8)", "UNHEX(LPAD(HEX(seq * 11), 4, '0'))"],
    ["datetime(3)", "TIMESTAMPADD(MICROSECOND, seq * 1500, '2024-02-29 23:59:59')"],
    ["timestamp(6)", "TIMESTAMPADD(MICROSECOND, seq, '2024-03-31 00:59:59')"],
    ["date", "DATE_ADD('2024-02-20', INTERVAL seq DAY)"],
    ["time(6)", "SEC_TO_TIME(seq * 1.5 - 20)"],
    ["bit(40)", "seq * 3"],
    ["uuid", "UUID()"],
    ["enum('z','y','x','w','v','u','t','s','r','q','p')", "seq % 11 + 1"],
  ])("a key of type %s: every row once, in chunks, and each is found", async (type, value) => {
    await database.sql(`CREATE TABLE t (v int, k ${type}, PRIMARY KEY (k))`);
    await database.sql(`INSERT IGNORE INTO t SELECT seq, ${value} FROM seq_1_to_40`);
    const expected = Number((await database.rows("SELECT count(*) AS n FROM t"))[0]!["n"]);
    const { rows, chunks } = await allRows(source);
    expect(new Set(rows.map((row) => row[0])).size).toBe(expected);
    expect(rows).toHaveLength(expected);
    expect(chunks).toBe(Math.floor(expected / 7) + 1);
    const keys = rows.map((row) => [row[1] as string]);
    const found = await source.lookup(T, [...keys, ...keys], signal);
    expect(new Set(found.rows.map(String))).toEqual(new Set(rows.map(String)));
    expect(found.rows).toHaveLength(rows.length);
  });

  test("a key of several columns, in the order of its index", async () => {
    await database.sql("CREATE TABLE t (b varchar(5) NOT NULL, v int, a int NOT NULL, UNIQUE KEY u (a, b))");
    await database.sql("INSERT INTO t SELECT CHAR(65 + seq % 5), seq, seq % 6 FROM seq_0_to_29");
    const model = tableModel("t", ["b", "a"]);
    const { rows } = await allRows(source, model);
    expect(new Set(rows.map(([b, , a]) => `${String(b)}${String(a)}`)).size).toBe(30);
    const found = await source.lookup(
      model,
      [
        ["A", "0"],
        ["E", "5"],
        ["E", "9"],
      ],
      signal,
    );
    expect(found.rows).toHaveLength(2);
    expect(found.relation.key).toEqual([0, 2]);
  });

  test("chunks are bounded in bytes, but never empty", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)");
    await database.sql("INSERT INTO t SELECT seq, REPEAT('x', 300000) FROM seq_1_to_20");
    const limit = { rows: 10_000, bytes: 1_000_000 };
    const first = await source.snapshot(T, null, limit, signal);
    expect(first.rows).toHaveLength(3);
    const { rows } = await allRows(source, T, limit);
    expect(rows).toHaveLength(20);
    expect((await source.snapshot(T, null, { rows: 10, bytes: 1 }, signal)).rows).toHaveLength(1);
  });

  test("a snapshot says exactly which transactions of the log it sees", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v int)");
    const start = await source.open([T], [], signal);
    const chunks = [];
    for (let i = 0; i < 5; i += 1) {
      chunks.push(await source.lookup(T, [["0"], ["1"], ["2"], ["3"], ["4"]], signal));
      await database.sql(`INSERT INTO t VALUES (${i}, 0)`);
    }
    const { changes, end } = await readUntil(source, start.position, count(5));
    for (const [i, chunk] of chunks.entries()) {
      expect(chunk.rows).toHaveLength(i);
      expect(changes.map(({ transaction }) => chunk.sees(transaction.id))).toEqual([0, 1, 2, 3, 4].map((at) => at < i));
      expect(changes.map(({ position }) => position < chunk.high)).toEqual([0, 1, 2, 3, 4].map((at) => at < i));
    }
    // The reading comes to `high` on a server where nothing happens.
    expect((await source.lookup(T, [], signal)).high <= end).toBe(true);
  });

  test("beside many writers, what a snapshot sees of a transaction is what it says", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v int)");
    await database.sql("INSERT INTO t SELECT seq, 0 FROM seq_1_to_8");
    const start = await source.open([T], [], signal);
    const stop = new AbortController();
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      await using own = await mariadbDatabase(server);
      let v = 0;
      while (!stop.signal.aborted) {
        v += 1;
        const [a, b] = [writer * 2 + 1, writer * 2 + 2];
        await own.sql(
          `BEGIN; UPDATE ${database.name}.t SET v = ${v} WHERE id = ${a}; UPDATE ${database.name}.t SET v = ${v} WHERE id = ${b}; COMMIT`,
        );
      }
      return v;
    });
    const chunks = [];
    for (let i = 0; i < 60; i += 1) chunks.push(await source.snapshot(T, null, { rows: 100, bytes: 1e6 }, signal));
    stop.abort();
    const written = await Promise.all(writers);
    const total = 2 * written.reduce((sum, each) => sum + each, 0);
    const { changes } = await readUntil(source, start.position, count(total));
    for (const chunk of chunks) {
      const folded = new Map<unknown, unknown>(chunk.rows.map(([id]) => [id, "0"]));
      for (const { after, transaction } of changes) if (chunk.sees(transaction.id)) folded.set(after![0], after![1]);
      expect([...folded]).toEqual(chunk.rows.map(([id, v]) => [id, v]));
    }
  }, 60_000);

  test("settling waits for what is in the log, and not for who has only begun", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
    const start = await source.open([T], [], signal);
    await using other = await mariadbDatabase(server);
    await other.sql(`BEGIN; INSERT INTO ${database.name}.t VALUES (1)`);
    await database.sql("INSERT INTO t VALUES (2)");
    const { changes } = await readUntil(source, start.position, count(1));
    await source.settle(signal);
    expect((await source.lookup(T, [], signal)).sees(changes[0]!.transaction.id)).toBe(true);
    await other.sql("ROLLBACK");
  });

  test("a table that is altered is read as it is now", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(9)); INSERT INTO t VALUES (1, '5')");
    const first = await source.snapshot(T, null, LIMIT, signal);
    await database.sql("ALTER TABLE t MODIFY v float");
    const second = await source.snapshot(T, null, LIMIT, signal);
    expect(second.rows).toEqual([["1", "5"]]);
    expect([first, second].map(({ relation }) => relation.columns[1]!.type)).toEqual(["varchar", "float"]);
    await database.sql("ALTER TABLE t DROP COLUMN v");
    expect((await source.lookup(T, [["1"]], signal)).rows).toEqual([["1"]]);
    await database.sql("DROP TABLE t");
    await expect(source.snapshot(T, null, LIMIT, signal)).rejects.toMatchObject({ code: "source.model" });
  });

  test("a scan reads one snapshot, whatever is written meanwhile", async () => {
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT seq, 0 FROM seq_1_to_20");
    const scanning = source.scan(T, ["3"], LIMIT, signal)[Symbol.asyncIterator]();
    const rows = [...(await scanning.next()).value!.rows];
    await database.sql("UPDATE t SET v = 1; DELETE FROM t WHERE id = 15; INSERT INTO t VALUES (21, 1)");
    for (let next = await scanning.next(); !next.done; next = await scanning.next()) rows.push(...next.value.rows);
    expect(rows).toEqual(Array.from({ length: 17 }, (_, i) => [String(i + 4), "0"]));
  });

  test("the rows of a query", async () => {
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, v decimal(9,2), b blob); INSERT INTO t SELECT seq, seq / 3, 'x' FROM seq_1_to_10",
    );
    const query: QueryModel = {
      kind: "query",
      name: "q",
      source: "db",
      sql: "SELECT id % 5 AS k, SUM(v) AS total, MAX(b) AS b, COUNT(*) AS n FROM t GROUP BY id % 5 -- all",
      key: ["k"],
      capture: "auto",
      windowMs: 20,
      diff: ON_DEMAND,
    };
    const rows: (readonly unknown[])[] = [];
    for await (const chunk of source.scan(query, null, { rows: 2, bytes: 1e6 }, signal)) rows.push(...chunk.rows);
    expect(rows[1]).toEqual(["1", "2.33", "eA==", "2"]);
    expect(rows.map(([k]) => k)).toEqual(["0", "1", "2", "3", "4"]);
    expect((await source.lookup(query, [["3"], ["9"]], signal)).rows.map(([k]) => k)).toEqual(["3"]);
    const relation = await source.describe(query, signal);
    expect(relation.columns.map(({ json }) => json)).toEqual(["number", "number", "string", "number"]);
    expect(await source.capture(query, signal)).toMatchObject({ kind: "diff" });
  });

  test("models that cannot be: what is said of each", async () => {
    await database.sql(
      "CREATE TABLE t (id int PRIMARY KEY, n int, u int NOT NULL UNIQUE); CREATE TABLE keyless (a int)",
    );
    await database.sql("CREATE VIEW seen AS SELECT * FROM t; CREATE TABLE f (k float PRIMARY KEY)");
    const said = async (name: string, key: readonly string[] | null = null): Promise<string> => {
      const error = await source.describe(tableModel(name, key), signal).then(
        () => "",
        (reason: unknown) => `${(reason as { code: string }).code} ${(reason as Error).message}`,
      );
      return error.replaceAll(database.name, "DB");
    };
    expect(await said("tt")).toBe(
      "source.model model tt: there is no table `DB`.`tt` (did you mean t?), or the user may not read it",
    );
    expect(await said("keyless")).toMatch(/has no primary key; add one, or name a `key`/);
    expect(await said("seen")).toMatch(/is a view, so the log does not hold its rows/);
    expect(await said("t", ["n"])).toMatch(/key column n of .* may be null/);
    expect(await said("t", ["id", "u"])).toMatch(/is not unique by an index of just these columns/);
    expect(await said("t", ["U"])).toBe("");
    expect(await source.estimate(T, signal)).toBeGreaterThanOrEqual(0);
  });
});
