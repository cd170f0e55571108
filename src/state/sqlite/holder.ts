import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process, told apart from a later one with the same pid, and from one of another container. */
export interface Holder {
  readonly pid: number;
  /** When it started, in the kernel's ticks; "" where that cannot be had. */
  readonly started: string;
  /** The machine's boot; the host name where there is no boot id. */
  readonly boot: string;
  /** Where `pid` means something. */
  readonly namespace: string;
}

export function thisProcess(): Holder {
  return {
    pid: process.pid,
    started: statusOf(process.pid)?.started ?? "",
    boot: attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()) ?? hostname(),
    namespace: attempt(() => readlinkSync("/proc/self/ns/pid")) ?? hostname(),
  };
}

/** True only when the process is certainly gone; false when it lives or cannot be seen from here. */
export function isGone(holder: Holder, me: Holder): boolean {
  if (holder.boot !== me.boot || holder.namespace !== me.namespace) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives, as another user.
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
  const status = statusOf(holder.pid);
  if (status === null) return false;
  // A zombie has ended and only waits for its parent to notice.
  if (status.state === "Z" || status.state === "X") return true;
  return holder.started !== "" && status.started !== holder.started;
}

/** ms of the machine's monotonic clock, which all processes of one boot share and nobody can set. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function statusOf(pid: number): { readonly state: string; readonly started: string } | null {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (text === null) return null;
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", started: fields[19] ?? "" };
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
