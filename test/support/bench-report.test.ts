import process from "node:process";
import { expect, test } from "vitest";
import { epochMicros, monotonicToEpochMicros } from "../../bench/support/clock.ts";
import { figure } from "../../bench/support/report.ts";
import { quantile } from "../../bench/support/statistics.ts";

test("a figure is as required, or is not, by what is shown of it", () => {
  const twice = [{ of: "ratio", is: "<=", than: 2 }] as const;
  expect(figure("p50", 3, "ms", { floor: 1.5, required: twice })).toEqual({
    name: "p50",
    value: 3,
    unit: "ms",
    floor: 1.5,
    ratio: 2,
    required: "ratio <= 2",
    ok: true,
  });
  expect(figure("p50", 3.1, "ms", { floor: 1.5, required: twice }).ok).toBe(false);
  expect(figure("p50", 3.1, "ms").ok).toBe(true);
});

test("a measurement that failed meets no requirement", () => {
  const most = [{ of: "value", is: "<=", than: 10 }] as const;
  expect(figure("p50", quantile([], 0.5), "ms", { required: most }).ok).toBe(false);
  expect(figure("p50", 1, "ms", { required: [{ of: "ratio", is: ">=", than: 0 }] }).ok).toBe(false);
});

test("quantiles are values that were measured", () => {
  const values = [5, 1, 4, 2, 3];
  expect([0, 0.5, 0.6, 0.61, 0.99, 1].map((share) => quantile(values, share))).toEqual([1, 3, 3, 4, 5, 5]);
  expect(values).toEqual([5, 1, 4, 2, 3]);
});

test("the monotonic clock is put on the wall clock", () => {
  const toEpochMicros = monotonicToEpochMicros();
  const beforeMs = Date.now();
  const micros = Number(process.hrtime.bigint()) / 1000 + toEpochMicros;
  expect(micros).toBeGreaterThanOrEqual(beforeMs * 1000 - 100);
  expect(micros).toBeLessThan((Date.now() + 1) * 1000 + 100);
  expect(epochMicros("2026-11-24T07:14:18.123456Z")).toBe(Date.UTC(2026, 10, 24, 7, 14, 18, 123) * 1000 + 456);
});
