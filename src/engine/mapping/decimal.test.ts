import fc from "fast-check";
import { expect, test } from "vitest";
import { compareDecimals, parseDecimal } from "./decimal.ts";

function order(a: string, b: string): number {
  return Math.sign(compareDecimals(parseDecimal(a)!, parseDecimal(b)!));
}

test.each([
  ["1", "1.000", 0],
  ["-0", "0", 0],
  ["0.00", "-0e5", 0],
  ["9", "10", -1],
  ["-9", "-10", 1],
  ["0.1", "0.09999999999999999999999", 1],
  ["9007199254740993", "9007199254740992", 1],
  ["1e3", "1000", 0],
  ["1e+20", "99999999999999999999", 1],
  ["1.5e-3", "0.0015", 0],
  ["-1e-400", "0", -1],
  ["1e400", "Infinity", -1],
  ["-Infinity", "-1e400", -1],
  ["NaN", "Infinity", 1],
  ["NaN", "nan", 0],
  ["Infinity", "+inf", 0],
])("%s against %s", (a, b, expected) => {
  expect(order(a, b)).toBe(expected);
  expect(order(b, a)).toBe(0 - expected);
});

test.each(["", ".", "-", "abc", "1 2", "0x1", "1e", "--1", "$5"])("%j is not a number", (text) => {
  expect(parseDecimal(text)).toBeNull();
});

test("decimals of any length are ordered as the integers that they are when scaled", () => {
  const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat(12)).map(([scaled, places]) => {
    const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(places + 1, "0");
    const whole = digits.slice(0, digits.length - places);
    const fraction = places === 0 ? "" : `.${digits.slice(-places)}`;
    return { text: `${scaled < 0n ? "-" : ""}${whole}${fraction}`, value: scaled * 10n ** BigInt(12 - places) };
  });
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      expect(order(a.text, b.text)).toBe(a.value < b.value ? -1 : a.value > b.value ? 1 : 0);
    }),
  );
});
