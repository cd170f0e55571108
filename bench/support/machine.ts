// Where a measurement was made.
import { execFileSync } from "node:child_process";
import { arch, cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";
import type { Server } from "../../src/cli/demo/embedded-postgres.ts";
import { withClient } from "./server.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  /** Processes that wanted a core in the minute before: another's work beside ours shows here. */
  readonly loadBefore: number;
  readonly node: string;
  readonly postgres: string;
  /** With `+` when something in the checkout was not committed. */
  readonly commit: string;
  readonly at: string;
}

export async function machine(server: Server): Promise<Machine> {
  const { rows } = await withClient(server.url(), (client) =>
    client.query<{ version: string }>("SELECT current_setting('server_version') AS version"),
  );
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${arch()}`,
    loadBefore: Math.round(loadavg()[0]! * 100) / 100,
    node: process.versions.node,
    postgres: rows[0]?.version ?? "unknown",
    commit: commit(),
    at: new Date().toISOString(),
  };
}

function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync("git", args, {
        cwd: import.meta.dirname,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim();
    // What is measured is the source; a file of results beside it changes nothing.
    const changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/src", ":/bench/*.ts") !== "";
    return git("rev-parse", "--short=10", "HEAD") + (changed ? "+" : "");
  } catch {
    return "unknown";
  }
}
