import { describe, expect, test } from "vitest";
import { quotedList } from "./suggest.ts";
import { parseTableName } from "./table-name.ts";
import { DURATION, durationMs, RATE, ratePerSecond, SIZE, sizeBytes } from "./units.ts";

describe("lists", () => {
  test("lists read as a sentence", () => {
    expect([quotedList([]), quotedList(["a"]), quotedList(["a", "b", "c"], "or")]).toEqual([
      "none",
      "`a`",
      "`a`, `b` or `c`",
    ]);
  });
});

describe("units", () => {
  test.each([
    ["20ms", 20],
    ["5s", 5000],
    ["1.5s", 1500],
    ["1m", 60_000],
    ["1 h", 3_600_000],
  ])("duration %s", (text, ms) => {
    expect(DURATION.test(text)).toBe(true);
    expect(durationMs(text)).toBe(ms);
  });

  test.each([
    ["512B", 512],
    ["1MB", 1_000_000],
    ["1MiB", 1_048_576],
    ["512KB", 512_000],
  ])("size %s", (text, bytes) => {
    expect(SIZE.test(text)).toBe(true);
    expect(sizeBytes(text)).toBe(bytes);
  });

  test.each([
    ["50/s", 50],
    ["600/min", 10],
    ["3600 / hour", 1],
  ])("rate %s", (text, perSecond) => {
    expect(RATE.test(text)).toBe(true);
    expect(ratePerSecond(text)).toBe(perSecond);
  });

  test.each(["", "ms", "-5s", "5", "5 years", "1e3s"])("%j is none of them", (text) => {
    expect([DURATION, SIZE, RATE].some((pattern) => pattern.test(text))).toBe(false);
  });
});

describe("table names", () => {
  test.each([
    ["users", null, "users"],
    ["public.users", "public", "users"],
    ["Public.Users", "Public", "Users"],
    ['"My Schema"."t.x"', "My Schema", "t.x"],
    ['public."a""b"', "public", 'a"b'],
    [" public . users ", "public", "users"],
    ["Straße.名前", "Straße", "名前"],
  ])("%s", (text, namespace, name) => {
    expect(parseTableName(text)).toEqual({ ok: true, table: { namespace, name } });
  });

  test.each(["", " ", ".", "a.", ".a", "a..b", "a.b.c.d", "a b", '"a', 'a"b"', '""', 'a.""'])(
    "%j is refused",
    (text) => {
      expect(parseTableName(text).ok).toBe(false);
    },
  );
});
