import { expect, test } from "vitest";
import { retryAfterMs } from "./retry-after.ts";

const NOW = Date.UTC(2026, 10, 24, 7, 0, 0);

test.each([
  ["7", 7000],
  [" 7 ", 7000],
  ["0", 0],
  ["1.5", 1500],
  ["86400", 3_600_000],
  ["99999999999999999999999", 3_600_000],
  ["Tue, 24 Nov 2026 07:00:30 GMT", 30_000],
  ["Tuesday, 24-Nov-26 07:00:30 GMT", 30_000],
  ["Tue Nov 24 07:00:30 2026", 30_000],
  ["Tue, 24 Nov 2026 06:00:00 GMT", 0],
  ["Fri, 24 Nov 2028 06:00:00 GMT", 3_600_000],
])("%j is %d ms", (header, ms) => {
  expect(retryAfterMs(header, NOW)).toBe(ms);
});

test.each([
  undefined,
  "",
  "soon",
  "-5",
  "7s",
  "1e3",
  "0x10",
  "NaN",
  "Infinity",
  "2026-11-24T07:00:30Z",
  "7, 8",
  "Tue, 99 Xyz 2026 99:99:99 GMT",
])("%j says nothing", (header) => {
  expect(retryAfterMs(header, NOW)).toBeUndefined();
});
