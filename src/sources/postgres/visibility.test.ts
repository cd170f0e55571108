import fc from "fast-check";
import { expect, test } from "vitest";
import { visibility } from "./visibility.ts";

test("a transaction is seen when it ended before the snapshot", () => {
  const sees = visibility("10:20:12,15");
  expect([9, 10, 11, 12, 14, 15, 19, 20, 21].map((id) => sees(String(id)))).toEqual([
    true,
    true,
    true,
    false,
    true,
    false,
    true,
    false,
    false,
  ]);
});

test("an id of 32 bits means the 64-bit one that is near", () => {
  const epoch = 3n * 2n ** 32n;
  const sees = visibility(`${epoch - 5n}:${epoch + 5n}:${epoch - 5n},${epoch + 2n}`);
  const low = (id: bigint) => String(id % 2n ** 32n);
  expect(sees(low(epoch - 6n))).toBe(true);
  expect(sees(low(epoch - 5n))).toBe(false);
  expect(sees(low(epoch - 4n))).toBe(true);
  expect(sees("0")).toBe(true);
  expect(sees("2")).toBe(false);
  expect(sees("4")).toBe(true);
  expect(sees("5")).toBe(false);
  expect(sees(String(epoch + 4n))).toBe(true);
});

test("widening agrees with the full ids wherever they are", () => {
  const snapshot = fc.record({
    xmin: fc.bigInt({ min: 3n, max: 2n ** 40n }),
    span: fc.bigInt({ min: 0n, max: 2n ** 30n }),
    away: fc.bigInt({ min: -(2n ** 30n), max: 2n ** 30n }),
  });
  fc.assert(
    fc.property(snapshot, ({ xmin, span, away }) => {
      const xmax = xmin + span;
      const id = xmax + away;
      fc.pre(id >= 3n);
      const running = span > 0n ? xmin : null;
      const sees = visibility(`${xmin}:${xmax}:${running ?? ""}`);
      expect(sees(String(id % 2n ** 32n))).toBe(id < xmax && id !== running);
    }),
  );
});
