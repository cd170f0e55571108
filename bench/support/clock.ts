// One time for server and receiver: µs since the epoch.
import process from "node:process";
import { median } from "./statistics.ts";

/**
 * What added to `process.hrtime.bigint() / 1000` gives µs since the epoch. Found by watching the wall clock's
 * milliseconds turn; several times, for another process may take the core at that moment. Exact to a few µs.
 */
export function monotonicToEpochMicros(): number {
  return median(Array.from({ length: TURNS }, turn));
}

const TURNS = 9;

function turn(): number {
  const before = Date.now();
  let now = before;
  let monotonicNs = 0n;
  while (now === before) {
    monotonicNs = process.hrtime.bigint();
    now = Date.now();
  }
  return now * 1000 - Number(monotonicNs) / 1000;
}

/** `2026-11-24T07:14:18.123456Z` as µs since the epoch. */
export function epochMicros(rfc3339: string): number {
  return Date.parse(`${rfc3339.slice(0, 19)}Z`) * 1000 + Number(rfc3339.slice(20, 26));
}
