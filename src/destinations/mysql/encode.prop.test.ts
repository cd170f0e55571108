import { assert, bigInt, integer, property } from "fast-check";
import { expect, test } from "vitest";
import { utcTime } from "./encode.ts";

/** PostgreSQL's way of writing a moment at an offset, by arithmetic alone. */
function printed(second: bigint, fraction: string, offsetMinutes: number): string {
  const text = new Date(Number(second + BigInt(offsetMinutes) * 60n) * 1000).toISOString();
  const [hours, minutes] = [Math.trunc(Math.abs(offsetMinutes) / 60), Math.abs(offsetMinutes) % 60];
  const pad = (value: number): string => String(value).padStart(2, "0");
  const sign = offsetMinutes < 0 ? "-" : "+";
  return `${text.slice(0, 10)} ${text.slice(11, 19)}${fraction}${sign}${pad(hours)}${minutes === 0 ? "" : `:${pad(minutes)}`}`;
}

test("a moment is the same one in UTC, to the microsecond, whatever the offset", () => {
  const seconds = bigInt({ min: -30_610_224_000n, max: 253_402_214_400n - 1n });
  assert(
    property(seconds, integer({ min: 1, max: 999_999 }), integer({ min: -840, max: 840 }), (second, micros, offset) => {
      const fraction = `.${String(micros).padStart(6, "0")}`;
      const utc = new Date(Number(second) * 1000).toISOString();
      expect(utcTime(printed(second, fraction, offset))).toBe(`${utc.slice(0, 10)} ${utc.slice(11, 19)}${fraction}`);
    }),
  );
});

test("what has no offset, or is no time, is left to the server", () => {
  for (const text of [
    "2026-01-02 03:04:05.5",
    "2026-01-02",
    "infinity",
    "-infinity",
    "0000-00-00 00:00:00",
    "",
    "03:04:05+02",
  ])
    expect(utcTime(text)).toBe(text);
  expect(utcTime("2026-01-02T03:04:05.123456Z")).toBe("2026-01-02 03:04:05.123456");
  expect(utcTime("2026-01-02 03:04:05-00:30:15")).toBe("2026-01-02 03:34:20");
});
