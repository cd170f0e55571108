// A throw-away MariaDB from Debian's package (apt-get install mariadb-server), in a temporary folder of its own.
import { createHash, randomBytes } from "node:crypto";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection } from "mysql2/promise";
import { freePort } from "../../src/cli/demo/embedded-postgres.ts";

export const MARIADB_INSTALLED = existsSync("/usr/sbin/mariadbd");
const USER = process.getuid?.() === 0 ? ["--user=root"] : [];

export interface MariadbOptions {
  /** Settings of the server, over our own defaults: `{ "binlog-format": "ROW" }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

export interface Mariadb extends AsyncDisposable {
  readonly port: number;
  readonly directory: string;
  /** User `tailrace`, password `tailrace`, who may do everything. */
  url(database?: string): string;
  /** SIGKILL, as a crash; `start` brings it back. */
  crash(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startMariadb(options: MariadbOptions = {}): Promise<Mariadb> {
  const root = await mkdtemp(join(tmpdir(), "tailrace-mariadb-"));
  const directory = join(root, "data");
  const init = join(root, "init.sql");
  await writeFile(
    init,
    "CREATE USER IF NOT EXISTS tailrace@'%' IDENTIFIED BY 'tailrace';\nGRANT ALL ON *.* TO tailrace@'%' WITH GRANT OPTION;\n",
  );
  await cp(await emptyData(), directory, { recursive: true });
  const port = await freePort();
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    // A server that starts removes what it takes for leftovers of its own in a temporary folder that it shares.
    const args = [
      "--no-defaults",
      ...USER,
      `--datadir=${directory}`,
      `--tmpdir=${root}`,
      `--port=${port}`,
      `--socket=${join(root, "s")}`,
    ];
    args.push(`--init-file=${init}`, ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`));
    const server = spawn("/usr/sbin/mariadbd", args, { stdio: ["ignore", "ignore", "pipe"] });
    child = server;
    const dying = () => server.kill("SIGKILL");
    process.once("exit", dying);
    server.once("exit", () => process.removeListener("exit", dying));
    await new Promise<void>((resolve, reject) => {
      let said = "";
      server.stderr.setEncoding("utf8");
      server.stderr.on("data", (text: string) => {
        said = (said + text).slice(-4000);
        if (!said.includes("ready for connections")) return;
        server.stderr.removeAllListeners("data").resume();
        (server.stderr as unknown as { unref(): void }).unref();
        server.unref();
        resolve();
      });
      server.once("error", reject);
      server.once("exit", (code) => reject(new Error(`mariadbd ended with ${code}: ${said}`)));
    });
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const server = child;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    server.ref();
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill(signal);
    await gone;
    child = null;
  }

  await start();
  return {
    port,
    directory,
    url: (database = "") => `mysql://tailrace:tailrace@127.0.0.1:${port}/${database}`,
    crash: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    start,
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** The data of a server that nobody has used yet, made once for each version: to make it takes longer than all that is done with most. */
async function emptyData(): Promise<string> {
  const version = spawnSync("/usr/sbin/mariadbd", ["--no-defaults", "--version"], { encoding: "utf8" }).stdout;
  const known = createHash("sha256").update(version).digest("hex").slice(0, 12);
  const directory = join(tmpdir(), `tailrace-mariadb-empty-${known}-${process.getuid?.() ?? 0}`);
  if (existsSync(directory)) return directory;
  const root = await mkdtemp(join(tmpdir(), "tailrace-mariadb-"));
  const made = spawnSync(
    "mariadb-install-db",
    [
      "--no-defaults",
      ...USER,
      `--datadir=${join(root, "data")}`,
      `--tmpdir=${root}`,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
    ],
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`mariadb-install-db failed: ${made.error?.message ?? made.stderr}`);
  // Whole or not at all. Another process may have been as fast, and its data is as good.
  await rename(join(root, "data"), directory).catch((error: unknown) => {
    if (!existsSync(directory)) throw error;
  });
  await rm(root, { recursive: true, force: true });
  return directory;
}

/** A database of its own on a server, dropped when disposed; every value comes back as the server prints it. */
export interface MariadbDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly connection: Connection;
  /** Statements separated by `;`. */
  sql(text: string): Promise<void>;
  rows(text: string, values?: readonly string[]): Promise<Record<string, string | null>[]>;
}

export async function mariadbDatabase(server: Pick<Mariadb, "url">): Promise<MariadbDatabase> {
  const name = `t_${randomBytes(6).toString("hex")}`;
  const connection = await createConnection({
    uri: server.url(),
    charset: "utf8mb4",
    multipleStatements: true,
    typeCast: (field) => field.string("utf8"),
  });
  // A test that crashes the server must not crash with it.
  connection.on("error", () => {});
  await connection.query(`CREATE DATABASE ${name}; USE ${name}; SET time_zone = '+00:00'`);
  return {
    name,
    url: server.url(name),
    connection,
    sql: async (text) => {
      await connection.query(text);
    },
    rows: async (text, values = []) =>
      (await connection.query(text, [...values]))[0] as Record<string, string | null>[],
    [Symbol.asyncDispose]: async () => {
      await connection.query(`DROP DATABASE IF EXISTS ${name}`).catch(() => {});
      await connection.end().catch(() => {});
    },
  };
}

/** Throw-away data: no waiting for the disk. */
const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  "bind-address": "127.0.0.1",
  "skip-name-resolve": "1",
  "innodb-flush-log-at-trx-commit": "0",
  "innodb-buffer-pool-size": "32M",
  "character-set-server": "utf8mb4",
};
