import { expect, test } from "vitest";
import { quoteIdentifier, quoteLiteral, quoteName } from "./sql.ts";

test("a name is quoted, and a quote in it doubled", () => {
  expect(quoteIdentifier('"; DROP TABLE x; --')).toBe('"""; DROP TABLE x; --"');
  expect(quoteName("a.b", "c d")).toBe('"a.b"."c d"');
  expect(quoteName(null, "T")).toBe('"T"');
});

test("a text is quoted, with or without a backslash", () => {
  expect(quoteLiteral("it's")).toBe("'it''s'");
  expect(quoteLiteral("a\\'b")).toBe(" E'a\\\\''b'");
});

test("a NUL is refused", () => {
  expect(() => quoteIdentifier("a\0b")).toThrow(TypeError);
  expect(() => quoteLiteral("a\0b")).toThrow(TypeError);
});
