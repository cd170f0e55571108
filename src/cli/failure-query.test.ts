import { expect, test } from "vitest";
import { UsageError } from "./command.ts";
import { queryOf } from "./failure-query.ts";

const NOW = Date.UTC(2026, 10, 24, 12);

test("nothing asked for is no query: it must not mean all", () => {
  expect(queryOf({ all: true, limit: "5" }, NOW)).toBeNull();
});

test("what is given, as the store wants it", () => {
  expect(
    queryOf({ code: ["destination.refused"], op: ["delete", "upsert"], message: "Plan", key: ["7", "b"] }, NOW),
  ).toEqual({ codes: ["destination.refused"], ops: ["delete", "upsert"], text: "Plan", key: ["7", "b"] });
});

test.each([
  ["2h", NOW - 2 * 3_600_000],
  ["3d", NOW - 3 * 86_400_000],
  ["2026-11-24", Date.UTC(2026, 10, 24)],
  ["2026-11-24T08:00", Date.UTC(2026, 10, 24, 8)],
  ["2026-11-24 08:00:30Z", Date.UTC(2026, 10, 24, 8, 0, 30)],
  ["2026-11-24T08:00+02:00", Date.UTC(2026, 10, 24, 6)],
])("--since %s", (text, sinceMs) => {
  expect(queryOf({ since: text }, NOW)).toEqual({ sinceMs });
});

test.each([
  [{ since: "yesterday" }, "--since takes a time"],
  [{ until: "2026-13-01" }, "--until takes a time"],
  [{ code: ["destination.refuse"] }, "did you mean `destination.refused`?"],
  [{ op: ["frob"] }, "`upsert`"],
])("%j is refused", (values, message) => {
  expect(() => queryOf(values, NOW)).toThrow(UsageError);
  expect(() => queryOf(values, NOW)).toThrow(message);
});
