// Which columns of results have the same text for the same value.
import type { ResultColumn } from "../connection.ts";
import { TYPE } from "../wire/types.ts";
import type { MysqlColumn } from "./catalog.ts";

const INTEGERS: ReadonlySet<number> = new Set([TYPE.tiny, TYPE.short, TYPE.int24, TYPE.long, TYPE.longlong]);
const BINARY_CHARSET = 63;
const ZEROFILL = 64;
const ENUM_OR_SET = 256 | 2048;

/** `int`, `decimal 2`, `text`: of the same family, a value has the same text. */
export function familyOf({ type, charset, flags, decimals }: ResultColumn): string {
  if (INTEGERS.has(type)) return (flags & ZEROFILL) === 0 ? "int" : "zerofill";
  switch (type) {
    case TYPE.decimal:
    case TYPE.newdecimal:
      return `decimal ${decimals}`;
    case TYPE.date:
    case TYPE.newdate:
      return "date";
    case TYPE.year:
      return "year";
    case TYPE.datetime:
    case TYPE.timestamp:
      return `datetime ${decimals}`;
    case TYPE.time:
      return `time ${decimals}`;
    case TYPE.float:
    case TYPE.double:
    case TYPE.bit:
    case TYPE.json:
    case TYPE.geometry:
      return `type ${type}`;
    default:
      return (flags & ENUM_OR_SET) !== 0 ? "members" : charset === BINARY_CHARSET ? "bytes" : "text";
  }
}

/** Whether the log's text of a column is that of a result's column of this family. */
export function hasTextsOf({ textClass, column }: MysqlColumn, family: string): boolean {
  if (textClass !== null && textClass === family) return true;
  return (
    family === "text" && (column.dataType === "varchar" || column.dataType === "char") && column.charset !== "binary"
  );
}
