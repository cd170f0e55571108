import { expect, test } from "vitest";
import { RequestRate } from "./request-rate.ts";

test("a destination that refuses at random, however slowly it is asked, is not asked ever more slowly", () => {
  const rate = new RequestRate(null);
  let nowMs = Date.now();
  let begun = 0;
  for (const endMs = nowMs + 60_000; nowMs < endMs;) {
    const waitMs = rate.take(nowMs);
    if (waitMs > 0) {
      nowMs += waitMs;
      continue;
    }
    begun += 1;
    const sentAtMs = nowMs;
    nowMs += 2;
    if (begun % 10 === 0) rate.overloaded(sentAtMs, nowMs);
    else rate.answered();
  }
  expect(rate.found).toBeGreaterThanOrEqual(5);
  expect(begun).toBeGreaterThan(250);
});
