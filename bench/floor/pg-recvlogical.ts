// PostgreSQL's own reader, writing to /dev/null.
import { spawn } from "node:child_process";
import { accessSync, constants, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { PLUGIN_OPTIONS } from "./replication.ts";

const DEBIAN = "/usr/lib/postgresql";

/** The newest one that is installed; null: there is none. */
export function findPgRecvlogical(): string | null {
  const versions = list(DEBIAN).sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...versions.map((version) => join(DEBIAN, version, "bin")),
    ...(process.env["PATH"] ?? "").split(":"),
  ];
  return folders.map((folder) => join(folder, "pg_recvlogical")).find(canRun) ?? null;
}

/**
 * Reads the slot up to `end`; returns when the last row had been written, in ms since the epoch. The time is seen from
 * outside, by the bytes that the system has counted as written, every 5 ms.
 */
export async function runPgRecvlogical(
  binary: string,
  reading: { readonly url: string; readonly slot: string; readonly publication: string; readonly end: string },
): Promise<number> {
  const options = {
    proto_version: PLUGIN_OPTIONS.proto_version,
    messages: PLUGIN_OPTIONS.messages,
    publication_names: `"${reading.publication}"`,
  };
  const child = spawn(
    binary,
    [
      `--dbname=${reading.url}`,
      `--slot=${reading.slot}`,
      "--start",
      "--no-loop",
      "--file=/dev/null",
      "--fsync-interval=0",
      `--endpos=${reading.end}`,
      ...Object.entries(options).map(([name, value]) => `--option=${name}=${value}`),
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", reject);
  });
  let lastMs = 0;
  let written = 0;
  while (child.exitCode === null && child.signalCode === null) {
    const now = bytesWritten(child.pid!);
    if (now !== null && now > written) {
      written = now;
      lastMs = performance.timeOrigin + performance.now();
    }
    await delay(5);
  }
  const code = await ended;
  if (code !== 0 || written === 0) throw new Error(`pg_recvlogical ended with ${code}: ${said}`);
  return lastMs;
}

/** By write calls, /dev/null included; what a socket takes by `send` is not in it. */
function bytesWritten(pid: number): number | null {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "latin1"))?.[1]);
  } catch {
    return null;
  }
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
