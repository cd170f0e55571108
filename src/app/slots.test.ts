import { expect, test } from "vitest";
import type { Holding } from "../contracts/source.ts";
import { orphansOf } from "./slots.ts";

const slot = (name: string, more: Partial<Holding> = {}): Holding => {
  return { name, kind: "replication slot", active: false, retainedBytes: 0, used: false, detail: "", ...more };
};

test("an orphan is used by no source of the configuration and read by nobody; each counts once", () => {
  // Two sources of one database list the same slots, and each knows only its own.
  const left = slot("tailrace_left");
  const read = slot("tailrace_read", { active: true });
  const holdings = [left, read, slot("tailrace_a", { used: true }), slot("tailrace_b")];
  const others = [left, read, slot("tailrace_a"), slot("tailrace_b", { used: true })];
  expect(
    orphansOf([
      { source: "a", holdings, problem: null },
      { source: "b", holdings: others, problem: null },
    ]),
  ).toEqual([{ source: "a", name: "tailrace_left" }]);
});
