/** How long to wait before attempt `failures + 1`: doubling from `baseMs` to `capMs`, the later half of it at random, so that those who failed together do not come back together. */
export function backoffMs(failures: number, baseMs = 100, capMs = 60_000): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 30));
  return full / 2 + Math.random() * (full / 2);
}

/** The longest that a destination may make us wait with Retry-After. */
const LONGEST_ASKED_MS = 60 * 60 * 1000;

/** Waits at least as long as the other side asked for, within reason, and never a whole crowd at the same moment. */
export function askedMs(afterMs: number | undefined, ownMs: number): number {
  if (afterMs === undefined || !(afterMs >= 0)) return ownMs;
  const asked = Math.min(afterMs, LONGEST_ASKED_MS);
  return Math.max(ownMs, asked + Math.random() * Math.min(1000, asked * 0.1));
}
