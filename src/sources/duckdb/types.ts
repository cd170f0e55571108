// What DuckDB's types are to us: which text a value is, and how it goes to JSON and back.
import type { Column, Comparison, JsonEncoding } from "../../contracts/relation.ts";
import { quoteIdentifier } from "../../kit/sql.ts";

interface Kind {
  /** As destinations that make tables know it: the standard's name, or PostgreSQL's. */
  readonly name: string;
  readonly json: JsonEncoding;
  readonly comparison: Comparison;
}

const number = (name: string): Kind => ({ name, json: "number", comparison: "number" });
const text = (name: string): Kind => ({ name, json: "string", comparison: "text" });
const JSON_KIND: Kind = { name: "json", json: "json", comparison: "text" };

const KINDS: Readonly<Record<string, Kind>> = {
  BOOLEAN: { name: "boolean", json: "boolean", comparison: "boolean" },
  TINYINT: number("smallint"),
  SMALLINT: number("smallint"),
  INTEGER: number("integer"),
  BIGINT: number("bigint"),
  UTINYINT: number("smallint"),
  USMALLINT: number("integer"),
  UINTEGER: number("bigint"),
  UBIGINT: number("numeric(20,0)"),
  HUGEINT: number("numeric(39,0)"),
  UHUGEINT: number("numeric(39,0)"),
  BIGNUM: number("numeric"),
  FLOAT: number("real"),
  DOUBLE: number("double precision"),
  DATE: text("date"),
  TIME: text("time without time zone"),
  "TIME WITH TIME ZONE": text("time with time zone"),
  TIMESTAMP: text("timestamp without time zone"),
  TIMESTAMP_S: text("timestamp without time zone"),
  TIMESTAMP_MS: text("timestamp without time zone"),
  "TIMESTAMP WITH TIME ZONE": text("timestamp with time zone"),
  INTERVAL: text("interval"),
  UUID: text("uuid"),
  BLOB: text("bytea"),
  JSON: JSON_KIND,
};

function kindOf(type: string): Kind {
  if (isNested(type)) return JSON_KIND;
  const decimal = /^DECIMAL(\(\d+,\d+\))$/.exec(type);
  if (decimal !== null) return number(`numeric${decimal[1]}`);
  return KINDS[type] ?? text("text");
}

function isNested(type: string): boolean {
  return type.endsWith("]") || /^(STRUCT|MAP|UNION)\b/.test(type);
}

/** Whether rows can be told apart, and read in order, by a column of this type. */
export function canBeKey(type: string): boolean {
  return !isNested(type) && !/^(FLOAT|DOUBLE|JSON|INTERVAL)$/.test(type);
}

/** `type`: as DESCRIBE prints it. */
export function columnOf(name: string, type: string, nullable: boolean): Column {
  const { name: known, json, comparison } = kindOf(type);
  return { name, type: known, json, comparison, nullable };
}

/** SQL for a column's text. */
export function textSql(name: string, type: string): string {
  const column = quoteIdentifier(name);
  if (type === "BLOB") return `'\\x' || lower(hex(${column}))`;
  if (isNested(type)) return `CAST(to_json(${column}) AS VARCHAR)`;
  return `CAST(${column} AS VARCHAR)`;
}

/** SQL for the value that has this text; NULL where it is none of the type. */
export function valueSql(text: string, type: string): string {
  return type === "BLOB" ? `unhex(substr(${text}, 3))` : `TRY_CAST(${text} AS ${type})`;
}
