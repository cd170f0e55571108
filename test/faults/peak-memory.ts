import { readFileSync } from "node:fs";

const SAMPLE_MS = 100;

export interface PeakMemory {
  /** MiB; the most that was resident at any moment until the last look, as the kernel keeps it (VmHWM). */
  readonly peakMib: number;
}

/** Watches a process until it ends. `over`: settles when it does. */
export function watchMemory(pid: number, over: Promise<unknown>): PeakMemory {
  let peakMib = 0;
  const look = (): void => {
    try {
      const kib = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
      // A process that has just ended has no memory any more.
      if (kib !== undefined) peakMib = Number(kib) / 1024;
    } catch {
      // It is gone.
    }
  };
  const sampling = setInterval(look, SAMPLE_MS);
  const stop = (): void => clearInterval(sampling);
  over.then(stop, stop);
  return {
    get peakMib() {
      return peakMib;
    },
  };
}
