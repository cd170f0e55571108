import { expect, test } from "vitest";
import { closest, didYouMean, editDistance } from "./did-you-mean.ts";

const keys = ["model", "mode", "match", "map", "on", "on_delete", "destination"];
test.each([
  ["matach", "match"],
  ["mtach", "match"],
  ["MODE", "mode"],
  ["on-delete", "on_delete"],
  ["dest", "destination"],
  ["mapp", "map"],
  ["modle", "model"],
  ["xyz", null],
  ["of", "on"],
  ["a", null],
])("%s → %s", (word, expected) => {
  expect(closest(word, keys)).toBe(expected);
});

test("a swap of neighbours counts once", () => {
  expect(editDistance("ab", "ba")).toBe(1);
  expect(editDistance("kitten", "sitting")).toBe(3);
  expect(editDistance("", "abc")).toBe(3);
});

test("a suggestion is a clause of the message, or nothing", () => {
  expect(didYouMean("emial", ["id", "email"])).toBe(" (did you mean email?)");
  expect(didYouMean("PLAN", ["plan"], '"')).toBe(' (did you mean "plan"?)');
  expect(didYouMean("colour", ["id", "email"])).toBe("");
});
