// Whether the log is unbroken: purged, reset, restored, another server. Each has a server of its own.
import { cp, rm } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { startTcpProxy } from "../../../test/support/tcp-proxy.ts";
import { MARIADB_INSTALLED, type Mariadb, mariadbDatabase } from "../../../test/support/mariadb.ts";
import {
  count,
  mysqlSource,
  plain,
  readUntil,
  startBinlogServer,
  tableModel,
} from "../../../test/support/mysql-source.ts";

const { signal } = new AbortController();
const T = tableModel("t");
const CREATE = "CREATE TABLE t (id int PRIMARY KEY, v int)";
const ids = (changes: readonly { readonly after: readonly unknown[] | null }[]) =>
  changes.map(({ after }) => after![0]);

describe.skipIf(!MARIADB_INSTALLED)("continuity", () => {
  test("a restart of the server, clean or not, goes on with the same positions", async () => {
    await using server = await startBinlogServer({ settings: { "sync-binlog": "1" } });
    const database = await mariadbDatabase(server);
    await database.sql(CREATE);
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)");
    const before = await readUntil(source, start.position, count(3));
    const reading = source.read(before.end, signal)[Symbol.asyncIterator]();
    const broken = reading.next();
    broken.catch(() => {});
    await server.crash();
    await expect(broken).rejects.toMatchObject({ code: "source.unreachable" });
    await expect(source.open([T], [start], signal)).rejects.toMatchObject({ code: "source.unreachable" });
    await server.start();
    await using again = await mariadbDatabase(server);
    const middle = { position: before.changes[0]!.position, incarnation: start.incarnation };
    expect((await source.open([T], [start, middle], signal)).position).toBe(start.position);
    await again.sql(`INSERT INTO ${database.name}.t VALUES (4, 4)`);
    const after = await readUntil(source, middle.position, count(3));
    expect(ids(after.changes)).toEqual(["2", "3", "4"]);
    expect(after.changes[0]!.position).toBe(before.changes[1]!.position);
  });

  test("deleted log files are a gap for who needs them, and for nobody else", async () => {
    await using server = await startBinlogServer();
    await using database = await mariadbDatabase(server);
    await database.sql(CREATE);
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 1); FLUSH BINARY LOGS");
    const { changes, end } = await readUntil(source, start.position, (found, { end: at }) => {
      return found.length > 0 && at.slice(0, 13) > found[0]!.position.slice(0, 13);
    });
    const late = { position: end, incarnation: start.incarnation };
    const [last] = (await database.rows("SHOW BINARY LOGS")).slice(-1);
    // The thread that served our reading may still be in the file for a moment, which keeps it.
    const purged = async (): Promise<number> => {
      await database.sql(`PURGE BINARY LOGS TO '${last!["Log_name"]}'`);
      return (await database.rows("SHOW BINARY LOGS")).length;
    };
    await expect.poll(purged, { timeout: 15_000 }).toBe(1);
    await using fresh = mysqlSource(database.url);
    await expect(fresh.open([T], [start], signal)).rejects.toMatchObject({ code: "source.gap.purged" });
    await expect(fresh.plan([T], [start], signal)).rejects.toMatchObject({ code: "source.gap.purged" });
    await fresh.open([T], [late], signal);
    await database.sql("INSERT INTO t VALUES (2, 2)");
    expect(ids((await readUntil(fresh, late.position, count(1))).changes)).toEqual(["2"]);
    expect(changes).toHaveLength(1);
    // While it runs: the server itself says so.
    await expect(readUntil(fresh, start.position, count(1))).rejects.toMatchObject({ code: "source.gap.purged" });
  });

  test("a log that was reset is another log, however far it has come", async () => {
    await using server = await startBinlogServer();
    await using database = await mariadbDatabase(server);
    await database.sql(CREATE);
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 1)");
    const { end } = await readUntil(source, start.position, count(1));
    const stored = { position: end, incarnation: start.incarnation };
    // Files are told apart by the second in which they were begun.
    const second = async (): Promise<number> =>
      Math.floor(Number((await database.rows("SELECT UNIX_TIMESTAMP() AS s"))[0]!["s"]));
    const began = await second();
    await expect.poll(second, { timeout: 5000, interval: 50 }).toBeGreaterThan(began);
    await database.sql("RESET MASTER");
    await using fresh = mysqlSource(database.url);
    await expect(fresh.open([T], [stored], signal)).rejects.toMatchObject({ code: "source.gap.cluster" });
    for (let i = 10; i < 40; i += 1) await database.sql(`INSERT INTO t VALUES (${i}, 0)`);
    await expect(fresh.open([T], [stored], signal)).rejects.toMatchObject({ code: "source.gap.cluster" });
  });

  test("a server that was restored to an older state does not have the checkpoint", async () => {
    await using server = await startBinlogServer();
    const database = await mariadbDatabase(server);
    await database.sql(CREATE);
    await server.stop();
    await cp(server.directory, `${server.directory}.old`, { recursive: true });
    await server.start();
    await using now = await mariadbDatabase(server);
    const url = server.url(database.name);
    await using source = mysqlSource(url);
    const start = await source.open([T], [], signal);
    await now.sql(`INSERT INTO ${database.name}.t VALUES (1, 1)`);
    const { end } = await readUntil(source, start.position, count(1));
    await server.stop();
    await rm(server.directory, { recursive: true });
    await cp(`${server.directory}.old`, server.directory, { recursive: true });
    await server.start();
    const stored = { position: end, incarnation: start.incarnation };
    await expect(source.open([T], [stored], signal)).rejects.toMatchObject({ code: "source.gap.cluster" });
  });

  test("a replica takes over: it goes on after the last transaction, by GTID", async () => {
    await using primary = await startBinlogServer();
    await using replica = await startBinlogServer({ settings: { "server-id": "2", "log-slave-updates": "ON" } });
    await using database = await mariadbDatabase(primary);
    await using there = await mariadbDatabase(replica);
    await there.sql(
      `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${primary.port}, MASTER_USER = 'tailrace', ` +
        "MASTER_PASSWORD = 'tailrace', MASTER_USE_GTID = slave_pos; START SLAVE",
    );
    await database.sql(CREATE);
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: primary.port });
    await using source = mysqlSource(proxy.through(database.url));
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 1)");
    await database.sql("INSERT INTO t VALUES (2, 2), (3, 3)");
    await database.sql("INSERT INTO t VALUES (4, 4)");
    const before = await readUntil(source, start.position, count(4));
    const caughtUp = async (): Promise<string | null> =>
      (
        await there.rows(`SELECT count(*) AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA = '${database.name}'`)
      )[0]!["n"]!;
    await expect.poll(caughtUp).toBe("1");
    await expect
      .poll(async () => (await there.rows(`SELECT count(*) AS n FROM ${database.name}.t`))[0]!["n"])
      .toBe("4");
    await there.sql("STOP SLAVE");
    await there.sql(`INSERT INTO ${database.name}.t VALUES (5, 5)`);

    // A source that runs: rows of the other server wait until its log is read.
    const rows = { rows: 10, bytes: 1e6 };
    expect((await source.snapshot(T, null, rows, signal)).rows).toHaveLength(4);
    proxy.target({ host: "127.0.0.1", port: replica.port });
    proxy.cutAll();
    const other = source.snapshot(T, null, rows, signal).catch(() => source.snapshot(T, null, rows, signal));
    await expect(other).rejects.toMatchObject({ code: "source.unreachable" });
    await source.open([T], [start], signal);
    expect(ids((await readUntil(source, before.end, count(1))).changes)).toEqual(["5"]);
    expect((await source.snapshot(T, null, rows, signal)).rows).toHaveLength(5);

    const url = replica.url(database.name);
    const after = async (position: string): Promise<readonly unknown[]> => {
      await using promoted = mysqlSource(url);
      const opened = await promoted.open([T], [{ position, incarnation: start.incarnation }], signal);
      const { changes } = await readUntil(promoted, position, (found) => found.at(-1)?.after?.[0] === "5");
      expect(changes.every((change) => change.position > before.end)).toBe(true);
      expect(promoted.keeps(start)).toBe(false);
      expect(promoted.keeps(opened)).toBe(true);
      return ids(changes);
    };
    // At the end of a transaction: exactly what follows. Within one: that one once more.
    expect(await after(before.end)).toEqual(["5"]);
    expect(await after(start.position)).toEqual(["1", "2", "3", "4", "5"]);
    expect(await after(before.changes[1]!.position)).toEqual(["2", "3", "4", "5"]);

    // What was stored after the change of servers is resumed on the new one as anywhere, with the same positions.
    await using promoted = mysqlSource(url);
    const opened = await promoted.open([T], [{ position: before.end, incarnation: start.incarnation }], signal);
    const { changes } = await readUntil(promoted, before.end, count(1));
    await there.sql(`INSERT INTO ${database.name}.t VALUES (6, 6)`);
    await using restarted = mysqlSource(url);
    const stored = { position: changes[0]!.position, incarnation: opened.incarnation };
    await restarted.open([T], [stored], signal);
    const more = await readUntil(restarted, stored.position, count(1));
    expect(plain(more.changes)).toEqual([{ op: "insert", before: null, after: ["6", "6"] }]);
    expect(more.changes[0]!.position.slice(0, 4)).toBe(stored.position.slice(0, 4));

    // Killed before it was noted which server the new positions are of: by GTID again, and never behind what was stored.
    await using unnoted = mysqlSource(url);
    await unnoted.open([T], [{ position: stored.position, incarnation: start.incarnation }], signal);
    const last = await readUntil(unnoted, stored.position, (found) => found.at(-1)?.after?.[0] === "6");
    expect(ids(last.changes)).toEqual(["5", "6"]);
    expect(last.changes.every((change) => change.position > stored.position)).toBe(true);
  });

  test("a server that does not have the last transactions is refused", async () => {
    await using primary = await startBinlogServer();
    await using stranger = await startBinlogServer({ settings: { "server-id": "2" } });
    await using database = await mariadbDatabase(primary);
    await database.sql(CREATE);
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    await database.sql("INSERT INTO t VALUES (1, 1)");
    const { end } = await readUntil(source, start.position, count(1));
    await using other = await mariadbDatabase(stranger);
    await other.sql(CREATE);
    await using wrong = mysqlSource(other.url);
    const stored = { position: end, incarnation: start.incarnation };
    await expect(wrong.open([T], [stored], signal)).rejects.toMatchObject({ consequence: "gap" });
  });

  test("settings that make the log unreadable are named before anything is read", async () => {
    await using server: Mariadb = await startBinlogServer({ settings: { "binlog-format": "MIXED" } });
    await using database = await mariadbDatabase(server);
    await database.sql(CREATE);
    await using source = mysqlSource(database.url);
    await expect(source.open([T], [], signal)).rejects.toMatchObject({
      code: "source.config",
      message: expect.stringContaining("binlog_format is MIXED") as string,
    });
  });

  test("a second reader with the same number ends the first, which says why; two numbers read beside each other", async () => {
    await using server = await startBinlogServer();
    await using database = await mariadbDatabase(server);
    await database.sql(CREATE);
    await using first = mysqlSource(database.url);
    const start = await first.open([T], [], signal);
    await using branch = first.branch("slow");
    await branch.open([T], [start], signal);
    const one = first.read(start.position, signal)[Symbol.asyncIterator]();
    const two = branch.read(start.position, signal)[Symbol.asyncIterator]();
    await database.sql("INSERT INTO t VALUES (1, 1)");
    const changed = async (reading: typeof one): Promise<number> => {
      for (;;) {
        const { changes } = (await reading.next()).value!;
        if (changes.length > 0) return changes.length;
      }
    };
    expect([await changed(one), await changed(two)]).toEqual([1, 1]);
    await using same = mysqlSource(database.url);
    await same.open([T], [], signal);
    await expect(
      (async () => {
        for (;;) await one.next();
      })(),
    ).rejects.toMatchObject({ consequence: "transient" });
    await two.return!();
  });
});
