import { describe, expect, test } from "vitest";
import { MARIADB_INSTALLED, mariadbDatabase } from "../../../test/support/mariadb.ts";
import { count, mysqlSource, readUntil, startBinlogServer, tableModel } from "../../../test/support/mysql-source.ts";
import { startMariadb } from "../../../test/support/mariadb.ts";
import type { ModelNeeds } from "../../contracts/source.ts";

const { signal } = new AbortController();
const need = (name: string, more: Partial<ModelNeeds> = {}): ModelNeeds => ({
  model: tableModel(name),
  oldColumns: [],
  deletes: false,
  ...more,
});

describe.skipIf(!MARIADB_INSTALLED)("check", () => {
  test("a server that is set up well, by a user with no more than is documented: nothing to say, and it reads", async () => {
    await using server = await startBinlogServer();
    await using database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, j json)");
    await database.sql(
      "CREATE USER least@'%' IDENTIFIED BY 'p@ss:/'; GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO least@'%'; " +
        `GRANT SELECT ON ${database.name}.t TO least@'%'`,
    );
    const url = `mysql://least:p%40ss%3A%2F@127.0.0.1:${server.port}/${database.name}`;
    await using source = mysqlSource(url);
    expect(await source.check([need("t")], signal)).toEqual([]);
    const start = await source.open([tableModel("t")], [], signal);
    expect(await source.plan([tableModel("t")], [start], signal)).toEqual([]);
    await database.sql("INSERT INTO t VALUES (1, '{}')");
    const { changes } = await readUntil(source, start.position, count(1));
    expect(changes[0]!.relation.columns[1]).toMatchObject({ type: "json", json: "json" });
    await source.settle(signal);
    expect((await source.snapshot(tableModel("t"), null, { rows: 9, bytes: 1e6 }, signal)).rows).toEqual([["1", "{}"]]);
    // A check beside a reading does not end it.
    const reading = source.read(start.position, signal)[Symbol.asyncIterator]();
    await reading.next();
    expect(await source.check([need("t")], signal)).toEqual([]);
    await database.sql("INSERT INTO t VALUES (2, NULL)");
    expect((await reading.next()).done).toBe(false);
    await reading.return!();
  });

  test("each thing that is wrong, with its fix", async () => {
    await using server = await startBinlogServer({
      settings: {
        "binlog-format": "MIXED",
        "binlog-row-metadata": "NO_LOG",
        "binlog-row-image": "MINIMAL",
        "binlog-expire-logs-seconds": "7200",
      },
    });
    await using database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE p (id int PRIMARY KEY)");
    await database.sql(
      "CREATE TABLE c (id int PRIMARY KEY, p int, v int AS (p + 1) VIRTUAL, FOREIGN KEY gone (p) REFERENCES p (id) ON DELETE CASCADE)",
    );
    await database.sql("CREATE TABLE m (id int PRIMARY KEY, n int) ENGINE = MyISAM");
    await database.sql(
      "CREATE TABLE s (id int PRIMARY KEY) WITH SYSTEM VERSIONING; CREATE TABLE secret (id int PRIMARY KEY, x int)",
    );
    await database.sql(`CREATE USER poor@'%' IDENTIFIED BY 'x'; GRANT SELECT ON ${database.name}.c TO poor@'%'`);
    await database.sql(
      `GRANT SELECT ON ${database.name}.m TO poor@'%'; GRANT SELECT ON ${database.name}.s TO poor@'%'`,
    );
    await database.sql(
      `GRANT SELECT (id) ON ${database.name}.secret TO poor@'%'; GRANT INSERT ON ${database.name}.secret TO poor@'%'`,
    );
    await using source = mysqlSource(`mysql://poor:x@127.0.0.1:${server.port}/${database.name}`, { server_id: 1 });
    const findings = await source.check(
      [
        need("c"),
        need("m", { oldColumns: [{ column: "n", because: "where" }] }),
        need("s"),
        need("secret"),
        need("nothing"),
      ],
      signal,
    );
    expect(findings.map(({ level, code, subject }) => `${level} ${code} ${subject ?? ""}`.trim())).toEqual([
      "error mysql.server_id",
      "error mysql.binlog_format",
      "warning mysql.row_image",
      "warning mysql.row_metadata",
      "warning mysql.retention",
      "error mysql.replication_privilege",
      "warning mysql.cascade c",
      "info mysql.generated_columns c",
      "warning mysql.engine m",
      "error mysql.row_image_old m",
      "error mysql.system_versioned s",
      "error mysql.select secret",
      "error mysql.model nothing",
    ]);
    expect(findings.every(({ fix }) => fix !== undefined)).toBe(true);
    expect(findings.find(({ code }) => code === "mysql.replication_privilege")!.fix).toBe(
      "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'poor'@'%';",
    );
  });

  test("no binary log, wrong password, no server, no TLS", async () => {
    await using server = await startMariadb();
    await using database = await mariadbDatabase(server);
    const codes = async (url: string, more: Readonly<Record<string, unknown>> = {}): Promise<readonly string[]> => {
      await using source = mysqlSource(url, more);
      return (await source.check([], signal)).map(({ code }) => code);
    };
    expect(await codes(database.url)).toEqual(["mysql.log_bin"]);
    await using source = mysqlSource(database.url);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
    await expect(source.open([tableModel("t")], [], signal)).rejects.toMatchObject({ code: "source.config" });
    expect(await codes(database.url.replace(":tailrace@", ":wrong@"))).toEqual(["mysql.auth"]);
    expect(await codes("mysql://x:y@127.0.0.1:1/d")).toEqual(["mysql.unreachable"]);
    expect(await codes(database.url, { tls: "require" })).toEqual(["mysql.tls"]);
  });
});
