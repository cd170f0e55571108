import { execFileSync, spawnSync } from "node:child_process";
import { chown, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import type { TailraceError } from "../../contracts/errors.ts";
import { quoteLiteral } from "../../kit/sql.ts";
import { startServer } from "../../cli/demo/embedded-postgres.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import type { ConnectionSettings } from "../../kit/postgres/settings.ts";
import { close, connect } from "./connection.ts";
import { asSourceError } from "./source-error.ts";

const soon = () => AbortSignal.timeout(20_000);
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");

async function failure(settings: ConnectionSettings): Promise<TailraceError> {
  try {
    await close(await connect(settings, { replication: false, signal: soon() }));
  } catch (error) {
    return error as TailraceError;
  }
  throw new Error("it connected");
}

describe.each([
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
])("connecting to $server", ({ url: serverUrl }) => {
  const missing = serverUrl === "";

  test.skipIf(missing)("sessions print alike, whatever the role's defaults are, replication sessions too", async () => {
    await using database = await testDatabase(serverUrl);
    const role = `r_${database.name}`;
    await database.sql(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD ${quoteLiteral(PRINTABLE)};
      ALTER ROLE ${role} SET TimeZone = 'Asia/Tokyo'; ALTER ROLE ${role} SET search_path = nowhere;
      ALTER ROLE ${role} SET statement_timeout = 1000; ALTER ROLE ${role} SET default_transaction_read_only = on;
      ALTER ROLE ${role} SET idle_session_timeout = 1000; ALTER ROLE ${role} SET extra_float_digits = -3`);
    const url = new URL(database.url);
    const asUrl = { url: `postgres://${role}:${encodeURIComponent(PRINTABLE)}@${url.host}${url.pathname}` };
    const asFields = {
      host: url.hostname,
      port: Number(url.port),
      user: role,
      password: PRINTABLE,
      database: database.name,
    };
    for (const settings of [asUrl, asFields]) {
      for (const replication of [false, true]) {
        const client = await connect(settings, { replication, signal: soon() });
        const { rows } = await client.query<Record<string, string>>(
          `SELECT true AS flag, 1::float8 / 3 AS third, now()::timestamptz::text LIKE '%+00' AS utc, current_user AS who,
                  current_setting('statement_timeout') AS statement, current_setting('idle_session_timeout') AS idle,
                  current_setting('default_transaction_read_only') AS readonly, current_setting('search_path') AS path,
                  current_setting('row_security') AS rls`,
        );
        expect(rows[0]).toEqual({
          flag: "t",
          third: "0.3333333333333333",
          utc: "t",
          who: role,
          statement: "0",
          idle: "0",
          readonly: "off",
          path: "pg_catalog",
          rls: "off",
        });
        await close(client);
      }
    }
    const wrong = await failure({ ...asFields, password: "wrong word" });
    expect(wrong.code).toBe("source.auth");
    expect(`${wrong.message} ${JSON.stringify(wrong)}`).not.toContain("wrong word");
    expect((await failure({ ...asFields, database: "nowhere" })).code).toBe("source.config");
    await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  test.skipIf(missing)(
    "a session that the server ends while it is idle rejects the next query and nothing else",
    async () => {
      await using database = await testDatabase(serverUrl);
      const client = await connect({ url: database.url }, { replication: false, signal: soon() });
      const { rows } = await client.query<{ pid: string }>("SELECT pg_backend_pid()::text AS pid");
      const ended = new Promise((resolve) => client.once("end", resolve));
      await database.sql(`SELECT pg_terminate_backend(${rows[0]!.pid})`);
      await ended;
      const error = await client.query("SELECT 1").catch(asSourceError);
      expect(error).toMatchObject({ code: "source.unreachable" });
      await close(client);
    },
  );

  test.skipIf(missing)("errors of statements are named, and hold no values", async () => {
    await using database = await testDatabase(serverUrl);
    const client = await connect({ url: database.url }, { replication: false, signal: soon() });
    const codeOf = async (sql: string, values: string[] = []) => {
      const error = await client.query(sql, values).then(() => null, asSourceError);
      expect(error?.message ?? "").not.toContain("canary");
      return error?.code;
    };
    expect(await codeOf("SELECT $1::int", ["canary"])).toBe("source.model");
    expect(await codeOf("SELECT * FROM public.nowhere")).toBe("source.model");
    expect(await codeOf("SELECT 1 WHERE")).toBe("source.config");
    expect(await codeOf("SET lock_timeout = 'canary'")).toBe("source.model");
    expect(await codeOf("SET statement_timeout = 1")).toBeUndefined();
    expect(await codeOf("SELECT pg_sleep(5)")).toBe("source.unreachable");
    await close(client);
  });

  test.skipIf(missing)("a server without TLS is refused, never spoken to in plain text", async () => {
    const plain = new URL(serverUrl);
    for (const mode of ["require", "verify-ca", "verify-full"] as const) {
      expect(await failure({ url: plain.href, tls: { mode } })).toMatchObject({
        code: "source.tls",
        message: "TLS to the source failed: the server does not offer TLS",
      });
    }
  });
});

test("nobody there, and somebody who says nothing", async () => {
  expect(await failure({ url: "postgres://u:p@127.0.0.1:1/x" })).toMatchObject({ code: "source.unreachable" });
  expect(await failure({ url: "postgres://u:p@no-such-host.invalid/x" })).toMatchObject({ code: "source.unreachable" });
  const mute = createServer(() => {});
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const { port } = mute.address() as AddressInfo;
  const abort = new AbortController();
  const connected = new Promise((resolve) => mute.once("connection", resolve));
  const connecting = connect(
    { url: `postgres://u:p@127.0.0.1:${port}/x` },
    { replication: false, signal: abort.signal },
  );
  await connected;
  abort.abort(new Error("stopped by the test"));
  await expect(connecting).rejects.toThrow("stopped by the test");
  mute.close();
});

const openssl = spawnSync("openssl", ["version"]).status === 0;

test.skipIf(!openssl)("certificates are verified as far as the mode says (needs the openssl command)", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-tls-"));
  const file = (name: string) => join(folder, name);
  const ssl = (command: string) => execFileSync("openssl", command.split(" "), { cwd: folder, stdio: "ignore" });
  await writeFile(file("names"), "subjectAltName=DNS:localhost");
  ssl(
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
  );
  ssl(
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other",
  );
  ssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
  ssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names");
  await using server = await startServer();
  const owner = await stat(server.directory);
  for (const name of ["server.key", "server.pem"]) {
    const target = join(server.directory, name);
    await writeFile(target, await readFile(file(name)), { mode: 0o600 });
    await chown(target, owner.uid, owner.gid);
  }
  await using database = await testDatabase(server.url());
  await database.sql("ALTER SYSTEM SET ssl_cert_file = 'server.pem'");
  await database.sql("ALTER SYSTEM SET ssl_key_file = 'server.key'");
  await database.sql("ALTER SYSTEM SET ssl = on");
  await database.sql("SELECT pg_reload_conf()");
  const byName = { url: database.url.replace("127.0.0.1", "localhost") };
  const byAddress = { url: database.url };
  const ca = file("ca.pem");
  const says = async (settings: ConnectionSettings) => {
    try {
      const client = await connect(settings, { replication: false, signal: soon() });
      const { rows } = await client.query<{ ssl: string }>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
      await close(client);
      return rows[0]!.ssl;
    } catch (error) {
      return `${(error as TailraceError).code}: ${(error as TailraceError).message}`;
    }
  };
  // The server takes the new settings a moment later.
  await expect.poll(() => says({ ...byName, tls: { mode: "require" } }), { timeout: 10_000 }).toBe("t");
  expect(await says({ ...byName, tls: { mode: "verify-full", ca } })).toBe("t");
  expect(await says({ ...byAddress, tls: { mode: "verify-ca", ca } })).toBe("t");
  expect(await says({ ...byAddress, tls: { mode: "require", ca } })).toBe("t");
  expect(await says({ ...byAddress, tls: { mode: "verify-full", ca } })).toMatch(/^source.tls: .*another host name/);
  expect(await says({ ...byName, tls: { mode: "verify-full" } })).toMatch(/^source.tls: .*not one that is trusted/);
  expect(await says({ ...byName, tls: { mode: "verify-ca", ca: file("other.pem") } })).toMatch(
    /^source.tls: .*(trusted|signed)/,
  );
  expect(await says({ ...byName, tls: { mode: "verify-full", ca: file("absent.pem") } })).toMatch(
    /^source.tls: .*cannot be read/,
  );
  await rm(folder, { recursive: true });
});
