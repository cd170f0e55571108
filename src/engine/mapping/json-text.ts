import { jsonString } from "../../contracts/json-string.ts";

const JSON_NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const LINE_BREAKS = /[\r\n]/g;

/** A number's digits as they stand; what JSON has no number for (`NaN`, `Infinity`) as a JSON string. */
export function jsonNumber(text: string): string {
  return JSON_NUMBER.test(text) ? text : jsonString(text);
}

/**
 * JSON as it stands, on one line: a `json` column keeps the line breaks that it was written with, and they would
 * break NDJSON. Inside JSON's strings a line break is always escaped, so what is replaced is white space.
 */
export function jsonOnOneLine(text: string): string {
  return text.includes("\n") || text.includes("\r") ? text.replace(LINE_BREAKS, " ") : text;
}

const PLAIN_NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?$/;

/** The text as a JSON number that means the same, every digit kept: `+007.` → `7`, `.50` → `0.50`; null when it is no number. */
export function toJsonNumber(text: string): string | null {
  if (JSON_NUMBER.test(text)) return text;
  const parts = PLAIN_NUMBER.exec(text);
  if (parts === null) return null;
  const [, sign = "", whole = "", fraction = "", exponent = ""] = parts;
  if (whole === "" && fraction === "") return null;
  const digits = whole.replace(/^0+(?=[0-9])/, "") || "0";
  return `${sign === "-" ? "-" : ""}${digits}${fraction === "" ? "" : `.${fraction}`}${exponent}`;
}

const BOOLEANS: ReadonlyMap<string, "true" | "false"> = new Map([
  ...["true", "t", "yes", "y", "on", "1"].map((text) => [text, "true"] as const),
  ...["false", "f", "no", "n", "off", "0"].map((text) => [text, "false"] as const),
]);

/** `true` or `false` for the texts that databases and people write for them, in any case; null for any other. */
export function toJsonBoolean(text: string): "true" | "false" | null {
  return BOOLEANS.get(text) ?? BOOLEANS.get(text.toLowerCase()) ?? null;
}

/** Whether the text is JSON. It is parsed to find out, and the text itself is what is sent. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
