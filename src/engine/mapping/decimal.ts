/**
 * A number as its digits, of any length. `digits` has no zero at either end; the value is 0.DIGITS × 10^`exponent`,
 * times `sign`. Zero is sign 0. `rank` orders the kinds: -1 for -Infinity, 0 finite, 1 Infinity, 2 NaN (the greatest,
 * and equal to itself, as PostgreSQL has it).
 */
export interface Decimal {
  readonly rank: -1 | 0 | 1 | 2;
  readonly sign: -1 | 0 | 1;
  readonly digits: string;
  readonly exponent: number;
}

const NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,9}))?$/;
const special = (rank: -1 | 1 | 2): Decimal => ({ rank, sign: 0, digits: "", exponent: 0 });
const SPECIAL: ReadonlyMap<string, Decimal> = new Map([
  ["nan", special(2)],
  ["infinity", special(1)],
  ["+infinity", special(1)],
  ["inf", special(1)],
  ["+inf", special(1)],
  ["-infinity", special(-1)],
  ["-inf", special(-1)],
]);
const ZERO: Decimal = { rank: 0, sign: 0, digits: "", exponent: 0 };

/** null when the text is not a number. */
export function parseDecimal(text: string): Decimal | null {
  const parts = NUMBER.exec(text);
  if (parts === null) return SPECIAL.get(text.toLowerCase()) ?? null;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  if (whole === "" && fraction === "") return null;
  const all = whole + fraction;
  let start = 0;
  while (all.charCodeAt(start) === 48) start++;
  if (start === all.length) return ZERO;
  let end = all.length;
  while (all.charCodeAt(end - 1) === 48) end--;
  return {
    rank: 0,
    sign: sign === "-" ? -1 : 1,
    digits: all.slice(start, end),
    exponent: whole.length - start + Number.parseInt(exponent, 10),
  };
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.rank !== b.rank || a.rank !== 0) return a.rank - b.rank;
  if (a.sign !== b.sign || a.sign === 0) return a.sign - b.sign;
  if (a.exponent !== b.exponent) return a.exponent > b.exponent ? a.sign : -a.sign;
  // Both begin with a digit that is not zero at the same place, so the texts' order is the numbers' order.
  return a.digits === b.digits ? 0 : a.digits > b.digits ? a.sign : -a.sign;
}
