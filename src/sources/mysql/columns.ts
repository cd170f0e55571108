// What a column's type says about its texts: how a query asks for it, what becomes of the bytes that come, and how a text
// of it is written as SQL. A value has the same text from the log (values/decoders.ts) as from a query.
import { TailraceError } from "../../contracts/errors.ts";
import type { Column } from "../../contracts/relation.ts";
import type { TableColumn } from "./catalog.ts";
import { identifier, literal } from "./sql.ts";
import { bitText, doubleText, floatText } from "./values/numbers.ts";

/** A column of a relation that is read by a query. */
export interface ReadColumn {
  readonly column: Column;
  /** What is selected. `table`: the relation's alias. */
  select(table: string): string;
  text(bytes: Buffer): string;
  /** A text of the column as SQL, so that a comparison uses an index; throws `source.model` where it cannot. */
  literal(text: string): string;
}

const INTEGERS = new Set(["tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year"]);
const DOUBLES = new Set(["double", "real"]);
const NUMBERS = new Set([...INTEGERS, ...DOUBLES, "decimal", "numeric", "float", "bit"]);

export function columnOf(column: Pick<TableColumn, "name" | "dataType" | "unsigned" | "nullable" | "isJson">): Column {
  const { name, dataType, unsigned, nullable, isJson } = column;
  const isNumber = NUMBERS.has(dataType);
  return {
    name,
    type: isJson ? "json" : unsigned ? `${dataType} unsigned` : dataType,
    json: isJson ? "json" : isNumber ? "number" : "string",
    comparison: isNumber ? "number" : "text",
    nullable,
  };
}

export function readColumn(column: TableColumn): ReadColumn {
  const { name, dataType, charset } = column;
  const quoted = identifier(name);
  const plain = (table: string): string => `${table}.${quoted}`;
  const base = { column: columnOf(column), select: plain };
  if (INTEGERS.has(dataType) || dataType === "decimal") {
    // What ZEROFILL puts in front is for display.
    const padded = / zerofill/i.test(column.columnType) && dataType !== "year";
    const text = (bytes: Buffer): string => bytes.toString("latin1");
    return { ...base, text: padded ? (bytes) => text(bytes).replace(/^0+(?=\d)/, "") : text, literal: numberLiteral };
  }
  if (dataType === "float") {
    return {
      ...base,
      // Its own text has six digits only. A double holds it exactly (and a sum would lose the sign of a zero).
      select: (table) => `(${plain(table)} * 1e0)`,
      text: (bytes) => floatText(Math.fround(Number(bytes.toString("latin1")))),
      literal: () => noKey(column),
    };
  }
  if (DOUBLES.has(dataType))
    return { ...base, text: (bytes) => doubleText(Number(bytes.toString("latin1"))), literal: numberLiteral };
  if (dataType === "bit") return { ...base, text: (bytes) => bitText(bytes, 0, bytes.length), literal: numberLiteral };
  if (dataType === "enum") {
    // It sorts by number.
    const number = (text: string): string => String(column.members.indexOf(text) + 1);
    return { ...base, text: (bytes) => bytes.toString("utf8"), literal: number };
  }
  if (dataType === "set" || column.isJson)
    return { ...base, text: (bytes) => bytes.toString("utf8"), literal: () => noKey(column) };
  if (charset === "binary") {
    return {
      ...base,
      text: (bytes) => bytes.toString("base64"),
      literal: (text) => `x'${Buffer.from(text, "base64").toString("hex")}'`,
    };
  }
  return { ...base, text: (bytes) => bytes.toString("utf8"), literal };
}

/** A number stands as it is: compared with a text, an integer would be compared as a double. */
function numberLiteral(text: string): string {
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text))
    throw new TailraceError("source.model", "a key that is to be read is not a number, though its column is");
  return text;
}

function noKey({ name, dataType }: TableColumn): never {
  throw new TailraceError("source.model", `key column ${name} is a ${dataType}: rows cannot be told apart by it`);
}
