import { expect, test } from "vitest";
import { Patience } from "./patience.ts";

const WHO = {};

test("who is waited for once, for a moment, exhausts nothing", () => {
  const patience = new Patience<object>();
  expect(patience.waited(WHO, 300, 1_000)).toBe(false);
  // Half a minute later it is forgotten.
  expect(patience.leftMs(WHO, 31_000)).toBe(500);
  expect(patience.waited(WHO, 300, 31_300)).toBe(false);
});

test("who takes a little less than is written exhausts it by many short waits", () => {
  const patience = new Patience<object>();
  let nowMs = 0;
  const exhausted = (share: number): boolean => {
    for (let i = 0; i < 200; i += 1) {
      nowMs += 100;
      if (patience.waited(WHO, 100 * share, nowMs)) return true;
    }
    return false;
  };
  expect(exhausted(0.1)).toBe(false);
  expect(exhausted(0.5)).toBe(true);
});

test("who takes nothing exhausts it in one wait", () => {
  const patience = new Patience<object>();
  expect(patience.leftMs(WHO, 0)).toBe(500);
  expect(patience.waited(WHO, 500, 500)).toBe(true);
  expect(patience.waited({}, 100, 500)).toBe(false);
});
