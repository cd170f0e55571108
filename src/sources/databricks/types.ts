// What Databricks' types are to us: which text a value is, and how it goes to JSON and back. Types are as DESCRIBE prints them.
import type { Column, Comparison, JsonEncoding } from "../../contracts/relation.ts";

interface Kind {
  /** As destinations that make tables know it: the standard's name, or PostgreSQL's. */
  readonly name: string;
  readonly json: JsonEncoding;
  readonly comparison: Comparison;
}

const number = (name: string): Kind => ({ name, json: "number", comparison: "number" });
const text = (name: string): Kind => ({ name, json: "string", comparison: "text" });

const KINDS: Readonly<Record<string, Kind>> = {
  boolean: { name: "boolean", json: "boolean", comparison: "boolean" },
  tinyint: number("smallint"),
  smallint: number("smallint"),
  int: number("integer"),
  bigint: number("bigint"),
  float: number("real"),
  double: number("double precision"),
  date: text("date"),
  timestamp: text("timestamp with time zone"),
  timestamp_ntz: text("timestamp without time zone"),
  binary: text("bytea"),
};

function kindOf(type: string): Kind {
  if (isNested(type)) return { name: "json", json: "json", comparison: "text" };
  const decimal = /^decimal(\(\d+,\d+\))$/.exec(type);
  if (decimal !== null) return number(`numeric${decimal[1]}`);
  return KINDS[type] ?? text("text");
}

function isNested(type: string): boolean {
  return /^(array|map|struct|variant|object)\b/.test(type);
}

/** Whether rows can be told apart, and read in order, by a column of this type. A collation may take two texts for the same. */
export function canBeKey(type: string): boolean {
  return !isNested(type) && !/^(float|double|interval|void|geo)|collate/.test(type);
}

/** Every column may be null: a warehouse does not say. */
export function columnOf(name: string, type: string): Column {
  const { name: known, json, comparison } = kindOf(type);
  return { name, type: known, json, comparison, nullable: true };
}

/** Without these, fields that are NULL are left out, and instants lose their microseconds. */
export const JSON_OPTIONS =
  "map('ignoreNullFields', 'false', 'timestampFormat', 'yyyy-MM-dd\\\'T\\\'HH:mm:ss.SSSSSSXXX', 'timestampNTZFormat', 'yyyy-MM-dd\\\'T\\\'HH:mm:ss.SSSSSS')";

/** SQL for a value's text. The session's time zone is UTC. */
export function textSql(value: string, type: string): string {
  if (isNested(type))
    return /^(variant|object)\b/.test(type) ? `to_json(${value})` : `to_json(${value}, ${JSON_OPTIONS})`;
  if (type === "binary") return `'\\\\x' || lower(hex(${value}))`;
  if (type === "timestamp") return `CAST(${value} AS STRING) || '+00'`;
  return `CAST(${value} AS STRING)`;
}

/** SQL for the value that has this text; NULL where it is none of the type. */
export function valueSql(textOf: string, type: string): string {
  if (type === "binary") return `try_to_binary(substring(${textOf}, 3), 'hex')`;
  return /^(string|char|varchar)\b/.test(type) ? textOf : `try_cast(${textOf} AS ${type.toUpperCase()})`;
}
