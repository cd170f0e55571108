// Connections that are silent, cut, encrypted or held up by whoever reads.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
} from "../../../test/support/mariadb.ts";
import { count, mysqlSource, readUntil, startBinlogServer, tableModel } from "../../../test/support/mysql-source.ts";
import type { ChangeBatch } from "../../contracts/change.ts";
import { startTcpProxy } from "../../../test/support/tcp-proxy.ts";

const { signal } = new AbortController();
const T = tableModel("t");
const SOON = { silent_after_ms: 1000 };
const openssl = spawnSync("openssl", ["version"]).status === 0;

describe.skipIf(!MARIADB_INSTALLED)("connections", () => {
  let server: Mariadb;
  let database: MariadbDatabase;
  beforeAll(async () => {
    server = await startBinlogServer();
    database = await mariadbDatabase(server);
    await database.sql("CREATE TABLE t (id int PRIMARY KEY, v longtext)");
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  test("a quiet server says that it is there; a dead connection is noticed", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: server.port });
    await using source = mysqlSource(proxy.through(database.url), SOON);
    const start = await source.open([T], [], signal);
    expect(source.lastByteAtMs).toBeNull();
    const reading = source.read(start.position, signal)[Symbol.asyncIterator]();
    await reading.next();
    const ended = reading.next();
    ended.catch(() => {});
    // Heartbeats come while nothing happens for longer than silence is allowed.
    const beganMs = source.lastByteAtMs!;
    await expect.poll(() => source.lastByteAtMs! - beganMs, { timeout: 10_000 }).toBeGreaterThan(2000);
    proxy.flow({ kind: "black-hole" }, "down");
    await expect(ended).rejects.toMatchObject({ code: "source.silent" });
    expect(source.lastByteAtMs).toBeNull();
    proxy.flow({ kind: "pass" });
    await source.open([T], [start], signal);
    await database.sql("REPLACE INTO t VALUES (1, 'a')");
    expect((await readUntil(source, start.position, count(1))).changes).toHaveLength(1);
  }, 40_000);

  test("a cut connection ends the reading, and what waits on it", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: server.port });
    await using source = mysqlSource(proxy.through(database.url));
    const start = await source.open([T], [], signal);
    const reading = source.read(start.position, signal)[Symbol.asyncIterator]();
    await reading.next();
    const ended = reading.next();
    const asked = source.snapshot(T, null, { rows: 10, bytes: 1e6 }, signal);
    asked.catch(() => {});
    proxy.cutAll();
    await expect(ended).rejects.toMatchObject({ code: "source.unreachable" });
    await asked.catch((error: unknown) => expect(error).toMatchObject({ consequence: "transient" }));
    expect((await source.snapshot(T, null, { rows: 10, bytes: 1e6 }, signal)).relation.name).toBe("t");
  });

  test("stopping ends a reading that waits", async () => {
    await using source = mysqlSource(database.url);
    const start = await source.open([T], [], signal);
    const stop = new AbortController();
    const reading = source.read(start.position, stop.signal)[Symbol.asyncIterator]();
    await reading.next();
    const next = reading.next();
    stop.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test("what nobody asks for stays with the server, and is no silence", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: server.port });
    await using source = mysqlSource(proxy.through(database.url), SOON);
    const start = await source.open([T], [], signal);
    await database.sql("DELETE FROM t; INSERT INTO t SELECT seq, REPEAT('z', 100000) FROM seq_1_to_400");
    const reading = source.read(start.position, signal)[Symbol.asyncIterator]();
    const inserted = async (): Promise<number> => {
      const { changes } = (await reading.next()).value as ChangeBatch;
      return changes.filter(({ op }) => op === "insert").length;
    };
    let rows = await inserted();
    const connection = proxy.connections.at(-1)!;
    // 40 MB wait; of them, no more comes than buffers hold.
    const down = (): number => connection.bytes.down;
    let before = -1;
    await expect
      .poll(
        () => {
          const settled = down() === before;
          before = down();
          return settled;
        },
        { interval: 1500, timeout: 20_000 },
      )
      .toBe(true);
    expect(down()).toBeLessThan(25_000_000);
    while (rows < 400) rows += await inserted();
    await reading.return!();
  }, 60_000);

  test.skipIf(!openssl)(
    "certificates are verified as far as the mode says (needs the openssl command)",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "tailrace-tls-"));
      const file = (name: string) => join(folder, name);
      const ssl = (command: string) => execFileSync("openssl", command.split(" "), { cwd: folder, stdio: "ignore" });
      await writeFile(file("names"), "subjectAltName=DNS:localhost");
      const key = "-newkey rsa:2048 -nodes";
      ssl(`req -x509 ${key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority`);
      ssl(`req -x509 ${key} -keyout other.key -out other.pem -days 2 -subj /CN=other`);
      ssl(`req ${key} -keyout server.key -out server.csr -subj /CN=localhost`);
      ssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names");
      await using secure = await startBinlogServer({
        settings: { "ssl-cert": file("server.pem"), "ssl-key": file("server.key"), "ssl-ca": file("ca.pem") },
      });
      await using there = await mariadbDatabase(secure);
      await there.sql(
        "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY); CREATE USER only@'%' IDENTIFIED BY 'x' REQUIRE SSL; GRANT ALL ON *.* TO only@'%'",
      );
      const byAddress = `mysql://only:x@127.0.0.1:${secure.port}/${there.name}`;
      const byName = byAddress.replace("127.0.0.1", "localhost");
      const outcome = async (url: string, tls: unknown): Promise<string> => {
        await using source = mysqlSource(url, { tls });
        const opened = await source.open([T], [], signal).catch((error: unknown) => (error as { code: string }).code);
        if (typeof opened === "string") return opened;
        await there.sql("INSERT INTO t VALUES ()");
        return `${(await readUntil(source, opened.position, count(1))).changes.length > 0}`;
      };
      expect(await outcome(byName, { mode: "verify-full", ca: file("ca.pem") })).toBe("true");
      expect(await outcome(byAddress, { mode: "verify-full", ca: file("ca.pem") })).toBe("source.tls");
      expect(await outcome(byAddress, { mode: "verify-ca", ca: file("ca.pem") })).toBe("true");
      expect(await outcome(byName, { mode: "verify-full", ca: file("other.pem") })).toBe("source.tls");
      expect(await outcome(byAddress, { mode: "verify-full", ca: file("other.pem") })).toBe("source.tls");
      expect(await outcome(byName, "verify-full")).toBe("source.tls");
      expect(await outcome(byName, "require")).toBe("true");
      expect(await outcome(byName, "disable")).toBe("source.auth");
      expect(await outcome(byName, { mode: "verify-full", ca: file("missing.pem") })).toBe("source.tls");
    },
    60_000,
  );
});
