// MySQL's binary JSON as the text that the server prints: members in the stored order, `, ` and `: ` between them.
import { TailraceError } from "../../../contracts/errors.ts";
import { decimalText, int64Text, uint64Text } from "./numbers.ts";
import { packedText } from "./temporal.ts";

const SMALL_OBJECT = 0x00;
const LARGE_OBJECT = 0x01;
const SMALL_ARRAY = 0x02;
const LARGE_ARRAY = 0x03;
const LITERAL = 0x04;
const INT16 = 0x05;
const UINT16 = 0x06;
const INT32 = 0x07;
const UINT32 = 0x08;
const INT64 = 0x09;
const UINT64 = 0x0a;
const DOUBLE = 0x0b;
const STRING = 0x0c;
const OPAQUE = 0x0f;

/** Types of columns, as an opaque value names its own. */
const TYPE_DATE = 10;
const TYPE_TIME = 11;
const TYPE_NEWDECIMAL = 246;
const NAMED_TIMES = new Set([7, 12, 17, 18]);

const LITERALS = ["null", "true", "false"];

/** An empty value (0 bytes), which a partly applied update may leave, is `null`. */
export function jsonText(buffer: Buffer, from: number, to: number): string {
  return from === to ? "null" : valueText(buffer, buffer[from]!, from + 1);
}

function valueText(buffer: Buffer, type: number, at: number): string {
  switch (type) {
    case SMALL_OBJECT:
      return containerText(buffer, at, true, 2);
    case LARGE_OBJECT:
      return containerText(buffer, at, true, 4);
    case SMALL_ARRAY:
      return containerText(buffer, at, false, 2);
    case LARGE_ARRAY:
      return containerText(buffer, at, false, 4);
    case LITERAL:
      return LITERALS[buffer[at]!] ?? unknown(`literal ${buffer[at]}`);
    case INT16:
      return String(buffer.readInt16LE(at));
    case UINT16:
      return String(buffer.readUInt16LE(at));
    case INT32:
      return String(buffer.readInt32LE(at));
    case UINT32:
      return String(buffer.readUInt32LE(at));
    case INT64:
      return int64Text(buffer, at);
    case UINT64:
      return uint64Text(buffer, at);
    case DOUBLE:
      return jsonDouble(buffer.readDoubleLE(at));
    case STRING: {
      const { length, start } = lengthAt(buffer, at);
      return quoted(buffer.toString("utf8", start, start + length));
    }
    case OPAQUE:
      return opaqueText(buffer, at);
    default:
      return unknown(`type ${type}`);
  }
}

/** As the server prints doubles: with an exponent from 1e15 on and below 1e-15. A whole one gets a `.0`, which tells it from an integer. */
function jsonDouble(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa = "", exponent = ""] = Math.abs(value).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  // Where the point is, counted from the first digit.
  const point = Number(exponent) + 1;
  if (point > 15 || point < -14) return `${sign}${mantissa}e${point - 1}`;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${digits.slice(0, point).padEnd(point, "0")}.${digits.slice(point) || "0"}`;
}

/** Offsets are counted from the count of members. Small scalars stand in their entry itself. */
function containerText(buffer: Buffer, at: number, isObject: boolean, size: 2 | 4): string {
  const count = buffer.readUIntLE(at, size);
  const keys = at + 2 * size;
  const keySize = size + 2;
  const values = keys + (isObject ? count * keySize : 0);
  const parts: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const entry = values + i * (1 + size);
    const type = buffer[entry]!;
    const inlined =
      type === LITERAL || type === INT16 || type === UINT16 || (size === 4 && (type === INT32 || type === UINT32));
    const value = valueText(buffer, type, inlined ? entry + 1 : at + buffer.readUIntLE(entry + 1, size));
    if (!isObject) {
      parts.push(value);
      continue;
    }
    const key = keys + i * keySize;
    const start = at + buffer.readUIntLE(key, size);
    parts.push(`${quoted(buffer.toString("utf8", start, start + buffer.readUInt16LE(key + size)))}: ${value}`);
  }
  return isObject ? `{${parts.join(", ")}}` : `[${parts.join(", ")}]`;
}

/** Seven bits a byte, the lowest first, as long as the top bit is set. */
function lengthAt(buffer: Buffer, at: number): { readonly length: number; readonly start: number } {
  let length = 0;
  let start = at;
  for (let factor = 1; ; factor *= 128) {
    const byte = buffer[start]!;
    start += 1;
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) return { length, start };
  }
}

function opaqueText(buffer: Buffer, at: number): string {
  const type = buffer[at]!;
  const { length, start } = lengthAt(buffer, at + 1);
  if (type === TYPE_NEWDECIMAL) return decimalText(buffer, start + 2, buffer[start]!, buffer[start + 1]!);
  if (type === TYPE_DATE) return `"${packedText("date", buffer.readBigInt64LE(start))}"`;
  if (type === TYPE_TIME) return `"${packedText("time", buffer.readBigInt64LE(start))}"`;
  if (NAMED_TIMES.has(type)) return `"${packedText("datetime", buffer.readBigInt64LE(start))}"`;
  return `"base64:type${type}:${buffer.toString("base64", start, start + length)}"`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function quoted(text: string): string {
  // eslint-disable-next-line no-control-regex
  const escaped = text.replaceAll(/["\\\u0000-\u001f]/g, (character) => {
    return ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

function unknown(what: string): never {
  throw new TailraceError("source.protocol", `a JSON value of an unknown kind (${what})`);
}
