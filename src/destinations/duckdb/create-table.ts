// Makes a sync's target table, or the columns that it lacks, where the settings say so.
import type { Field, Target } from "../../contracts/destination.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { EVENT_CHANGE, EVENT_ID, EVENT_TIME } from "../../kit/table-writer/batch-plan.ts";
import { type TableRef, type TargetTable, tableSql } from "./table.ts";

/** [the source's type, ours]: wide enough for every value. What is not here becomes text. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^bool(ean)?$/, "BOOLEAN"],
  [/^(smallint|int2|smallserial|tinyint(\(\d+\))?|smallint\(\d+\))$/, "SMALLINT"],
  [/^(integer|int|int4|serial|mediumint|int\(\d+\)|mediumint\(\d+\))$/, "INTEGER"],
  [/^(bigint|int8|bigserial|bigint\(\d+\))$/, "BIGINT"],
  [/^(tinyint|smallint)(\(\d+\))? unsigned$/, "USMALLINT"],
  [/^(mediumint|int)(\(\d+\))? unsigned$/, "UINTEGER"],
  [/^bigint(\(\d+\))? unsigned$/, "UBIGINT"],
  [/^numeric\(20,0\)$/, "UBIGINT"],
  [/^numeric\(39,0\)$/, "HUGEINT"],
  [/^(real|float4?)$/, "FLOAT"],
  [/^(double( precision)?|float8)$/, "DOUBLE"],
  [/^date$/, "DATE"],
  [/^(timestamptz|timestamp(\(\d\))? with time zone)$/, "TIMESTAMPTZ"],
  [/^(datetime|timestamp)(\(\d\))?( without time zone)?$/, "TIMESTAMP"],
  [/^time(\(\d\))? without time zone$/, "TIME"],
  [/^uuid$/, "UUID"],
  [/^jsonb?$/, "JSON"],
  [/^(bytea|blob|tinyblob|mediumblob|longblob|(var)?binary(\(\d+\))?)$/, "BLOB"],
];
const DECIMAL = /^(?:numeric|decimal)\((\d+)(?:, ?(\d+))?\)$/;

export function columnType(field: Field): string {
  if (field.json === "array") return "JSON";
  if (field.type === null) return field.json === "number" ? "DOUBLE" : field.json === "boolean" ? "BOOLEAN" : "VARCHAR";
  const type = field.type.toLowerCase();
  for (const [from, to] of TYPES) if (from.test(type)) return to;
  const decimal = DECIMAL.exec(type);
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2] ?? 0)];
    if (precision <= 38 && scale <= precision) return `DECIMAL(${precision},${scale})`;
  }
  return field.json === "json" ? "JSON" : "VARCHAR";
}

export function createTableSql(ref: TableRef, target: Target): string {
  const keyed = target.mode !== "event";
  const parts = target.shape.fields.map((field) => `${quoteIdentifier(field.name)} ${columnType(field)}`);
  const names = new Set(target.shape.fields.map((field) => field.name));
  if (keyed) parts.push(`PRIMARY KEY (${target.match.map(quoteIdentifier).join(", ")})`);
  else {
    for (const [name, type] of [
      [EVENT_ID, "VARCHAR PRIMARY KEY"],
      [EVENT_CHANGE, "VARCHAR"],
      [EVENT_TIME, "TIMESTAMPTZ"],
    ] as const) {
      if (!names.has(name)) parts.push(`${name} ${type}`);
    }
  }
  return `CREATE TABLE IF NOT EXISTS ${tableSql(ref)} (\n  ${parts.join(",\n  ")}\n)`;
}

/** One statement a column: DuckDB takes no more at a time. */
export function addColumnsSql(table: TargetTable, fields: readonly Field[]): readonly string[] {
  return fields
    .filter((field) => !table.columns.has(field.name))
    .map((field) => `ALTER TABLE ${tableSql(table)} ADD COLUMN ${quoteIdentifier(field.name)} ${columnType(field)}`);
}
