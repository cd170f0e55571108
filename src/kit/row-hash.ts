import { hash } from "node:crypto";
import type { Value } from "../contracts/values.ts";

/**
 * 128 bits of a row's values, as 32 hexadecimal digits: MD5 of, for each value, `-` when it is null, else the length of its text in bytes of
 * UTF-8, `:` and the text. Databases make the same of the same texts, so that what was sent can be compared here or there.
 */
export function rowHash(values: readonly Value[]): string {
  let text = "";
  for (const value of values) {
    if (value === null) text += "-";
    else if (typeof value === "string") text += `${Buffer.byteLength(value)}:${value}`;
    else throw new TypeError("a row that is hashed must be whole");
  }
  return hash("md5", text);
}
