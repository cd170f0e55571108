// What BigQuery's types are to us: which text a value is, and how it goes to JSON and back.
import type { Column, Comparison, JsonEncoding } from "../../contracts/relation.ts";
import { quoteName } from "./names.ts";

/** A column as the API describes it. Its types have two names each. */
export interface Field {
  readonly name: string;
  readonly type: string;
  readonly mode?: string;
  readonly precision?: string;
  readonly scale?: string;
  readonly collation?: string;
}

interface Kind {
  /** As destinations that make tables know it: the standard's name, or PostgreSQL's. */
  readonly name: string;
  readonly json: JsonEncoding;
  readonly comparison: Comparison;
}

const number = (name: string): Kind => ({ name, json: "number", comparison: "number" });
const text = (name: string): Kind => ({ name, json: "string", comparison: "text" });
const JSON_KIND: Kind = { name: "json", json: "json", comparison: "text" };

/** The API's older names of types. */
const NAMES: Readonly<Record<string, string>> = {
  INTEGER: "INT64",
  FLOAT: "FLOAT64",
  BOOLEAN: "BOOL",
  RECORD: "STRUCT",
};

const KINDS: Readonly<Record<string, Kind>> = {
  STRING: text("text"),
  BYTES: text("bytea"),
  INT64: number("bigint"),
  FLOAT64: number("double precision"),
  NUMERIC: number("numeric(38,9)"),
  BIGNUMERIC: number("numeric"),
  BOOL: { name: "boolean", json: "boolean", comparison: "boolean" },
  TIMESTAMP: text("timestamp with time zone"),
  DATETIME: text("timestamp without time zone"),
  DATE: text("date"),
  TIME: text("time without time zone"),
  JSON: JSON_KIND,
};

export function typeOf({ type }: Field): string {
  return NAMES[type] ?? type;
}

function isNested(field: Field): boolean {
  return field.mode === "REPEATED" || typeOf(field) === "STRUCT";
}

/** Whether rows can be told apart, and read in order, by this column. A collation may take two texts for the same. */
export function canBeKey(field: Field): boolean {
  const type = typeOf(field);
  if (isNested(field) || (field.collation ?? "") !== "") return false;
  return KINDS[type] !== undefined && type !== "FLOAT64" && type !== "JSON";
}

export function columnOf(field: Field): Column {
  const { name, json, comparison } = kindOf(field);
  return { name: field.name, type: name, json, comparison, nullable: field.mode !== "REQUIRED" };
}

function kindOf(field: Field): Kind {
  if (isNested(field)) return JSON_KIND;
  const { precision, scale } = field;
  if (precision !== undefined && field.type.endsWith("NUMERIC")) return number(`numeric(${precision},${scale ?? "0"})`);
  return KINDS[typeOf(field)] ?? text("text");
}

/**
 * SQL for a column's text, which the API hands on as it is. What it prints itself in another way, or as JSON of its own, is made a STRING
 * by the query.
 */
export function textSql(field: Field): string {
  const column = `m.${quoteName(field.name)}`;
  // The JSON of no value would be the text `null`.
  if (isNested(field)) return `IF(${column} IS NULL, NULL, TO_JSON_STRING(${column}))`;
  switch (typeOf(field)) {
    case "STRING":
    case "INT64":
    case "FLOAT64":
    case "NUMERIC":
    case "BIGNUMERIC":
    case "BOOL":
      return column;
    case "BYTES":
      return `CONCAT('\\\\x', TO_HEX(${column}))`;
    case "JSON":
      return `IF(${column} IS NULL, NULL, TO_JSON_STRING(${column}))`;
    case "GEOGRAPHY":
      return `ST_ASTEXT(${column})`;
    // 2026-01-31 12:00:00.123456+00. A CAST would be in the project's time zone.
    case "TIMESTAMP":
      return `STRING(${column}, 'UTC')`;
    default:
      return `CAST(${column} AS STRING)`;
  }
}

/** SQL for the value that has this text; NULL where it is none of the type. */
export function valueSql(textOf: string, field: Field): string {
  const type = typeOf(field);
  if (type === "STRING") return textOf;
  if (type === "BYTES") return `SAFE.FROM_HEX(SUBSTR(${textOf}, 3))`;
  return `SAFE_CAST(${textOf} AS ${type})`;
}
