// Passwords, tokens and certificates are replaced while Tailrace runs: it goes on by itself, and is never less careful.
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, copyFileSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startServer } from "../../src/cli/demo/embedded-postgres.ts";
import { startCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";
import { status } from "../support/receiver-script.ts";

/** As whoever replaces secrets should: there is always a whole file. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

const until = { timeout: 60_000, interval: 50 };

test("a password of the source, one of the destination and a receiver's token", { timeout: 120_000 }, async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const [reader, writer] = [`r_${source.name}`, `w_${target.name}`];
  await source.sql(`CREATE TABLE users (id int PRIMARY KEY, name text);
    CREATE ROLE ${reader} LOGIN SUPERUSER PASSWORD 'first-reader'`);
  await target.sql(`CREATE TABLE users (id int PRIMARY KEY, name text);
    CREATE ROLE ${writer} LOGIN SUPERUSER PASSWORD 'first-writer'`);
  let token = "first-token";
  await using receiver = await startReceiver({
    script: ({ headers }) => status(headers["authorization"] === `Bearer ${token}` ? 200 : 401),
  });
  const { host, hostname, port } = new URL(source.url);
  await using at = await testProject(`
sources:
  db: { type: postgres, host: "${hostname}", port: ${port}, user: ${reader}, database: ${source.name}, password: { file: secrets-reader } }
models: { users: { source: db, table: public.users } }
destinations:
  hook: { type: webhook, url: "${receiver.url}", allow_private: true, headers: { authorization: { file: secrets-token, prefix: "Bearer " } } }
  other: { type: postgres, url: "postgres://${writer}@${host}/${target.name}", password: { command: [cat, secrets-writer] } }
syncs:
  hook: { model: users, destination: hook, mode: upsert }
  other: { model: users, destination: other, object: users, mode: upsert }
`);
  const secret = (name: string, text: string): void => replace(join(at.folder, `secrets-${name}`), text);
  secret("reader", "first-reader\n");
  secret("writer", "first-writer\n");
  secret("token", "first-token\n");
  await source.sql("INSERT INTO users VALUES (1, 'a')");
  const arrived = async (): Promise<string> => (await target.rows("SELECT count(*)::text AS n FROM users"))[0]!["n"]!;
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await receiver.until(({ counts }) => counts.acknowledgedRows === 1);
  await expect.poll(arrived, until).toBe("1");

  // Each is refused first, and is replaced only then.
  await source.sql(`ALTER ROLE ${reader} PASSWORD 'second-reader'`);
  await target.sql(`ALTER ROLE ${writer} PASSWORD 'second-writer'`);
  token = "second-token";
  await source.sql("INSERT INTO users VALUES (2, 'b')");
  await receiver.until((one) => one.requests().some((request) => request.status === 401));
  secret("token", "second-token\n");
  await source.sql(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tailrace' AND datname = current_database()",
  );
  await engine.waitFor(/source\.auth/, 60_000);
  secret("reader", "second-reader\n");
  secret("writer", "second-writer\n");
  await source.sql("INSERT INTO users VALUES (3, 'c')");
  await receiver.until(({ counts }) => counts.acknowledgedRows === 3, 60_000);
  await expect.poll(arrived, until).toBe("3");
  expect(receiver.requests().filter((request) => request.status === 401).length).toBeLessThan(4);
  engine.kill("SIGTERM");
  expect(await engine.exit).toEqual({ code: 0, signal: null });
  expect([...engine.stdout, ...engine.stderr].join("\n")).not.toMatch(/(first|second)-/);
  await source.sql(`DROP OWNED BY ${reader}; DROP ROLE ${reader}`);
  await target.sql(`DROP OWNED BY ${writer}; DROP ROLE ${writer}`);
});

const openssl = spawnSync("openssl", ["version"]).status === 0;

test.runIf(openssl)(
  "the certificates of both databases expire, and come back from another authority",
  { timeout: 120_000 },
  async () => {
    await using server = await startServer();
    await using source = await testDatabase(server.url());
    await using target = await testDatabase(server.url());
    await source.sql("CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a')");
    await target.sql("CREATE TABLE users (id int PRIMARY KEY, name text)");
    const tls = `tls: { mode: verify-full, ca: ca.pem }`;
    const url = (database: { readonly url: string }): string => database.url.replace("127.0.0.1", "localhost");
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${url(source)}", ${tls} } }
models: { users: { source: db, table: public.users } }
destinations: { other: { type: postgres, url: "${url(target)}", ${tls} } }
syncs: { users: { model: users, destination: other, object: users, mode: upsert } }
`);
    const ssl = (...args: string[]): void => {
      execFileSync("openssl", args, { cwd: at.folder, stdio: "ignore" });
    };
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    writeFileSync(join(at.folder, "names"), "subjectAltName=DNS:localhost");
    ssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
    for (const authority of ["one", "two"]) {
      ssl(
        "req",
        "-x509",
        ...key,
        "-keyout",
        `${authority}.key`,
        "-out",
        `${authority}.pem`,
        "-days",
        "2",
        "-subj",
        `/CN=${authority}`,
      );
    }
    const owner = statSync(server.directory);
    /** The server shows a certificate of this authority, valid until then, to whoever connects from now on. */
    const show = async (authority: string, ...validity: string[]): Promise<void> => {
      ssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        `${authority}.pem`,
        "-CAkey",
        `${authority}.key`,
        "-CAcreateserial",
        "-out",
        "server.pem",
        "-extfile",
        "names",
        ...validity,
      );
      for (const name of ["server.key", "server.pem"]) {
        const path = join(server.directory, name);
        copyFileSync(join(at.folder, name), path);
        chownSync(path, owner.uid, owner.gid);
        execFileSync("chmod", ["600", path]);
      }
      await source.sql("SELECT pg_reload_conf()");
    };
    for (const setting of ["ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"])
      await source.sql(`ALTER SYSTEM SET ${setting}`);
    await show("one", "-days", "2");
    const trust = (authority: string): void =>
      replace(join(at.folder, "ca.pem"), readFileSync(join(at.folder, `${authority}.pem`), "utf8"));
    trust("one");
    const arrived = async (): Promise<string> => (await target.rows("SELECT count(*)::text AS n FROM users"))[0]!["n"]!;
    const cut = (): Promise<void> =>
      source.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tailrace' AND datname = current_database()",
      );
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await expect.poll(arrived, until).toBe("1");

    await show("one", "-days", "0");
    await expect
      .poll(
        () =>
          spawnSync(
            "openssl",
            [
              "s_client",
              "-starttls",
              "postgres",
              "-CAfile",
              join(at.folder, "one.pem"),
              "-connect",
              new URL(url(source)).host,
            ],
            { input: "", encoding: "utf8" },
          ).stdout,
        until,
      )
      .toContain("certificate has expired");
    await cut();
    await engine.waitFor(/TLS to the source failed: its certificate has expired/, 60_000);
    await source.sql("INSERT INTO users VALUES (2, 'b')");
    await show("two", "-days", "2");
    await engine.waitFor(/TLS to the source failed: its certificate authority is not one that is trusted here/, 60_000);
    expect(await arrived()).toBe("1");
    trust("two");
    await expect.poll(arrived, until).toBe("2");
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  },
);
