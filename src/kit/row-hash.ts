import { hash } from "node:crypto";
import type { Value } from "../contracts/values.ts";

const HEADER_BYTES = 20;
/** The type `text`, as PostgreSQL numbers it. */
const TEXT = 25;

// What a row's bytes are put together in: a row is hashed at once.
let bytes = Buffer.alloc(4096);

/**
 * 128 bits of a row's values, as 32 hexadecimal digits: MD5 of what PostgreSQL's `array_send` makes of their texts, which is the cheapest there
 * that tells any two lists apart. Big-endian numbers of 4 bytes: 1, whether one is null, {@link TEXT}, how many, 1; then of each the
 * length of its text in bytes of UTF-8 and the text, or -1. At least one value. A database makes the same of the same texts, so that what was sent can be
 * compared here or there.
 */
export function rowHash(values: readonly Value[]): string {
  let most = HEADER_BYTES;
  for (const value of values) most += 4 + (typeof value === "string" ? 3 * value.length : 0);
  if (most > bytes.length) bytes = Buffer.alloc(2 * most);
  let hasNull = 0;
  let at = HEADER_BYTES;
  for (const value of values) {
    if (typeof value === "string") {
      const length = bytes.write(value, at + 4, "utf8");
      at = bytes.writeInt32BE(length, at) + length;
    } else if (value === null) {
      hasNull = 1;
      at = bytes.writeInt32BE(-1, at);
    } else throw new TypeError("a row that is hashed must be whole");
  }
  [1, hasNull, TEXT, values.length, 1].forEach((number, place) => bytes.writeInt32BE(number, place * 4));
  return hash("md5", bytes.subarray(0, at));
}
