// Rows of drawn values, for types whose values are too many to list.
import { quoteLiteral } from "../../src/kit/sql.ts";
import type { Prng } from "../support/prng.ts";

const COLUMNS: readonly (readonly [type: string, draw: (random: Prng) => string])[] = [
  ["int8", (random) => BigInt.asIntN(64, bits(random)).toString()],
  ["numeric", (random) => `${random.pick(["", "-"])}${digits(random, 40)}.${digits(random, 40)}`],
  ["numeric(30,7)", (random) => `${digits(random, 23)}.${digits(random, 7)}`],
  ["float8", (random) => float(random, 8)],
  ["float4", (random) => float(random, 4)],
  ["timestamptz", (random) => moment(random)],
  ["timestamp", (random) => moment(random)],
  ["interval", (random) => `${random.int(2000) - 1000} mons ${random.int(2000) - 1000} days ${micros(random)} us`],
  ["text", (random) => text(random)],
  ["bytea", (random) => String.raw`\x${Array.from({ length: random.int(40) }, () => hex(random.int(256))).join("")}`],
  ["text[]", (random) => `{${Array.from({ length: random.int(6) }, () => element(random)).join(",")}}`],
  ["jsonb", (random) => JSON.stringify({ [text(random)]: [text(random), null, true, { n: random.next() }] })],
];

export const GENERATED_TABLE = `CREATE TABLE public.generated (id int PRIMARY KEY, ${COLUMNS.map(
  ([type], at) => `g${at} ${type}`,
).join(", ")})`;

/** SQL that inserts the rows `from` to `to`; the same generator state gives the same values. */
export function generatedRows(random: Prng, from: number, to: number): string {
  const rows = Array.from({ length: to - from + 1 }, (_, at) => {
    const values = COLUMNS.map(([type, draw]) => `${quoteLiteral(draw(random))}::${type}`);
    return `(${from + at}, ${values.join(", ")})`;
  });
  return `INSERT INTO public.generated VALUES ${rows.join(", ")}`;
}

function bits(random: Prng): bigint {
  return (BigInt(random.int(2 ** 32)) << 32n) | BigInt(random.int(2 ** 32));
}

function digits(random: Prng, most: number): string {
  return Array.from({ length: 1 + random.int(most) }, () => String(random.int(10))).join("");
}

/** Any bit pattern, so also subnormal ones and NaN. */
function float(random: Prng, bytes: 4 | 8): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits(random));
  return String(bytes === 8 ? view.getFloat64(0) : view.getFloat32(0));
}

/** From 4700 BC to 200000, with microseconds. */
function moment(random: Prng): string {
  const year = random.chance(0.7) ? 1900 + random.int(200) : 1 + random.int(200_000);
  const two = (below: number, from = 0): string => String(from + random.int(below)).padStart(2, "0");
  const era = random.chance(0.2) ? " BC" : "";
  const shown = era === "" ? year : 1 + random.int(4_700);
  const time = `${two(24)}:${two(60)}:${two(60)}.${String(random.int(1_000_000)).padStart(6, "0")}`;
  return `${String(shown).padStart(4, "0")}-${two(12, 1)}-${two(28, 1)} ${time}+${two(14)}${era}`;
}

function micros(random: Prng): string {
  return String(random.int(2 ** 40) - 2 ** 39);
}

const LETTERS = Array.from("aZ09 \t\n\r\"'\\{},é☃😀\u200f\ufeff\u0001");

function text(random: Prng): string {
  return Array.from({ length: random.int(30) }, () => random.pick(LETTERS)).join("");
}

function element(random: Prng): string {
  return random.chance(0.1) ? "NULL" : `"${text(random).replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
