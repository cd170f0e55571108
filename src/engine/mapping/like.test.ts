import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { compileLike } from "./like.ts";

function like(text: string, pattern: string, escape = "\\", ignoreCase = false): boolean {
  return compileLike(pattern, escape, ignoreCase)!(text);
}

test.each([
  ["abc", "abc", true],
  ["abc", "a%", true],
  ["abc", "%c", true],
  ["abc", "a_c", true],
  ["abc", "a_", false],
  ["", "", true],
  ["", "%", true],
  ["", "_", false],
  ["abcabd", "%ab_", true],
  ["a\nb", "a_b", true],
  ["a😀b", "a_b", true],
  ["a😀b", "a__b", false],
  ["50%", String.raw`50\%`, true],
  ["50x", String.raw`50\%`, false],
  ["a.c", "a.c", true],
  ["abc", "a.c", false],
])("%j LIKE %j is %s", (text, pattern, expected) => {
  expect(like(text, pattern)).toBe(expected);
});

test("the escape character is a choice, or none", () => {
  expect(like("50%", "50!%", "!")).toBe(true);
  expect(like(String.raw`50\x`, String.raw`50\%`, "")).toBe(true);
  expect(compileLike("50!", "!", false)).toBeNull();
});

test("ILIKE does not mind case", () => {
  expect(like("Ann@Example.COM", "%@example.com", "\\", true)).toBe(true);
});

test("a pattern made to be slow is not", () => {
  const started = performance.now();
  expect(like("a".repeat(20_000), `${"%a".repeat(50)}%b`)).toBe(false);
  expect(performance.now() - started).toBeLessThan(2_000);
});
