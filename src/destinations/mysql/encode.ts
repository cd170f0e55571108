// How a source's text becomes what a column takes. What the server would silently alter is refused.
import type { Field } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Encode } from "../../kit/table-writer/batch-plan.ts";
import type { Cell } from "./sessions.ts";
import type { TargetColumn } from "./table.ts";

const INTEGERS = new Set(["tinyint", "smallint", "mediumint", "int", "bigint"]);
const NUMBERS = new Set([...INTEGERS, "bit", "decimal", "float", "double"]);
const TIMES = new Set(["datetime", "timestamp"]);
const BYTES = new Set(["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"]);
const TRUTH: Readonly<Record<string, string>> = { true: "1", false: "0" };

export function encoderOf(column: TargetColumn, field: Field | null): Encode<Cell> {
  const { kind, name } = column;
  const convert = conversion(kind, name);
  const isArray = field?.json === "array";
  return (text, json) => {
    if (!text.isWellFormed())
      throw new TailraceError("destination.refused", `field "${name}" is not well-formed Unicode`);
    // An array's own syntax means nothing to the server.
    return isArray ? json() : convert(text);
  };
}

function conversion(kind: string, name: string): (text: string) => Cell {
  if (INTEGERS.has(kind)) return (text) => TRUTH[text] ?? whole(text, name);
  if (NUMBERS.has(kind)) return (text) => TRUTH[text] ?? text;
  if (TIMES.has(kind)) return utcTime;
  if (BYTES.has(kind)) return bytes;
  return (text) => text;
}

/** The server would round it. */
function whole(text: string, name: string): string {
  if (/\.\d*[1-9]/.test(text))
    throw new TailraceError(
      "destination.refused",
      `field "${name}" has a fraction, and its column takes whole numbers`,
    );
  return text;
}

/** PostgreSQL's and DuckDB's way of writing bytes. */
function bytes(text: string): Cell {
  return /^\\x(?:[0-9a-f]{2})*$/i.test(text) ? Buffer.from(text.slice(2), "hex") : text;
}

const OFFSET_TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)$/;

/** A time with an offset as the same moment in UTC, without one: MariaDB takes no offsets. Anything else as it is. */
export function utcTime(text: string): string {
  const parts = OFFSET_TIME.exec(text);
  if (parts === null) return text;
  const [, date, time, fraction = "", sign = "+", hours = "0", minutes = "0", seconds = "0"] = parts;
  const offset = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * (sign === "-" ? -1 : 1);
  if (offset === 0) return `${date} ${time}${fraction}`;
  // Whole seconds are exact in a Date; the fraction never goes through one.
  const utc = new Date(Date.parse(`${date}T${time}Z`) - offset * 1000);
  return Number.isNaN(utc.getTime()) ? text : `${utc.toISOString().slice(0, 19).replace("T", " ")}${fraction}`;
}
