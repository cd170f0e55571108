import { expect, test } from "vitest";
import { unixSeconds } from "./times.ts";

test.each([
  ["2026-01-02 03:04:05.999999+00", "1767323045"],
  ["2026-01-02T03:04:05Z", "1767323045"],
  ["2026-01-02 05:34:05+02:30", "1767323045"],
  ["2026-01-02 03:04:05", "1767323045"],
  ["2026-01-02", "1767312000"],
  ["1969-12-31 23:59:59.5+00", "-1"],
  ["1767323045", "1767323045"],
  ["infinity", null],
  ["text 5", null],
  ["2026-13-02 03:04:05+00", null],
])("%s in seconds is %s", (text, seconds) => expect(unixSeconds(text)).toBe(seconds));
