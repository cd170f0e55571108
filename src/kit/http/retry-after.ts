const LONGEST_MS = 3_600_000;

/**
 * A `Retry-After` header in ms from `nowMs`: a number of seconds, or an HTTP date. Undefined for anything else;
 * never negative, and never more than an hour, so that one odd answer cannot silence a sync for a day.
 */
export function retryAfterMs(header: string | undefined, nowMs: number = Date.now()): number | undefined {
  const text = header?.trim();
  if (text === undefined || text === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return clamp(Number(text) * 1000);
  // Only what looks like an HTTP date: Date.parse also takes much that was not meant as one.
  if (!/^[A-Za-z]{3,9},? .*\d{2}:\d{2}:\d{2}/.test(text)) return undefined;
  // A date without a zone (the old asctime form) is UTC by RFC 9110.
  const atMs = Date.parse(/\b(GMT|UTC)$/.test(text) ? text : `${text} GMT`);
  return Number.isNaN(atMs) ? undefined : clamp(atMs - nowMs);
}

function clamp(ms: number): number {
  return Math.min(Math.max(Math.round(ms), 0), LONGEST_MS);
}
