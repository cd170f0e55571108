import { expect, test } from "vitest";
import type { DiffCapture } from "../contracts/capture.ts";
import { ON_DEMAND, type Schedule } from "../contracts/model.ts";
import { tableModel } from "../../test/support/models.ts";
import { checkDiff } from "./check-diff.ts";

const DIFF: DiffCapture = { kind: "diff", because: ["LIMIT"], triggers: null, timeDependent: false };
const model = (schedule: Schedule | null) => ({ ...tableModel("users"), diff: { ...ON_DEMAND, schedule } });
const EVERY: Schedule = { kind: "every", ms: 1000 };

test("a model that nothing makes due is warned of", () => {
  expect(checkDiff(model(null), DIFF, false)).toMatchObject([
    {
      level: "warning",
      code: "model.schedule",
      message: expect.stringMatching(/^Nothing says when model users/),
      fix: expect.stringMatching(/`every: 5m`/),
    },
  ]);
  expect(checkDiff(model(EVERY), DIFF, false)).toEqual([]);
  expect(checkDiff(model(null), DIFF, true)).toEqual([]);
  expect(checkDiff(model(null), { ...DIFF, triggers: new Set(["1"]) }, false)).toEqual([]);
});

test("one that changes with time alone needs a schedule, whatever the log says", () => {
  const capture = { ...DIFF, triggers: new Set(["1"]), timeDependent: true };
  expect(checkDiff(model(null), capture, true)).toMatchObject([
    { message: expect.stringMatching(/changes with time alone/) },
  ]);
  expect(checkDiff(model(EVERY), capture, false)).toEqual([]);
});

test("a schedule that does nothing is told", () => {
  expect(checkDiff(model(EVERY), { kind: "log" }, false)).toMatchObject([
    { level: "info", message: expect.stringMatching(/`every` does nothing/) },
  ]);
  expect(checkDiff(model(null), { kind: "log" }, false)).toEqual([]);
});
