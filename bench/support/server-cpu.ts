// What a PostgreSQL server computes, as the kernel counts it.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../../src/cli/demo/embedded-postgres.ts";

/** The kernel's USER_HZ, which is the same on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;

/** CPU seconds of all the server's processes, those that have ended included. */
export function serverCpuSeconds({ directory }: Server): number {
  const postmaster = Number(readFileSync(join(directory, "postmaster.pid"), "utf8").split("\n")[0]);
  const own = ticksOf(postmaster)!;
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ticksOf(Number(pid)))
    .filter((ticks) => ticks?.parent === postmaster);
  return (own.used + own.ofEnded + children.reduce((sum, ticks) => sum + ticks!.used, 0)) / TICKS_A_SECOND;
}

/** CPU seconds of one process. */
export function cpuSecondsOf(pid: number): number {
  return ticksOf(pid)!.used / TICKS_A_SECOND;
}

interface Ticks {
  readonly parent: number;
  readonly used: number;
  /** Of children that have ended. */
  readonly ofEnded: number;
}

/** null: the process has ended. */
function ticksOf(pid: number): Ticks | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name, in parentheses, may hold anything; `state` is field 3.
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const field = (number: number): number => fields[number - 3]!;
    return { parent: field(4), used: field(14) + field(15), ofEnded: field(16) + field(17) };
  } catch {
    return null;
  }
}
