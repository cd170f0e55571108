// BigQuery's types in DuckDB, and the texts that its API sends of them.
import {
  DuckDBBlobValue,
  DuckDBDecimalValue,
  DuckDBTimestampTZValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
} from "@duckdb/node-api";

export interface Field {
  readonly name: string;
  readonly type: string;
  readonly mode?: string;
}

/** What DuckDB has not is kept as the text that BigQuery prints. */
const STORED: Readonly<Record<string, string>> = {
  STRING: "VARCHAR",
  INT64: "BIGINT",
  FLOAT64: "DOUBLE",
  NUMERIC: "DECIMAL(38,9)",
  BOOL: "BOOLEAN",
  BYTES: "BLOB",
  TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
  DATETIME: "TIMESTAMP",
  DATE: "DATE",
  TIME: "TIME",
  JSON: "JSON",
};

export function storedType({ type, mode }: Field): string {
  return mode === "REPEATED" || type === "STRUCT" ? "JSON" : (STORED[type] ?? "VARCHAR");
}

/** A type's name in CAST. */
export function castType(name: string): string | null {
  return STORED[name] ?? (name === "BIGNUMERIC" ? "VARCHAR" : null);
}

const NAMED: ReadonlyMap<DuckDBTypeId, string> = new Map([
  [DuckDBTypeId.BIGINT, "INTEGER"],
  [DuckDBTypeId.INTEGER, "INTEGER"],
  [DuckDBTypeId.HUGEINT, "INTEGER"],
  [DuckDBTypeId.DOUBLE, "FLOAT"],
  [DuckDBTypeId.DECIMAL, "NUMERIC"],
  [DuckDBTypeId.BOOLEAN, "BOOLEAN"],
  [DuckDBTypeId.BLOB, "BYTES"],
  [DuckDBTypeId.TIMESTAMP_TZ, "TIMESTAMP"],
  [DuckDBTypeId.TIMESTAMP, "DATETIME"],
  [DuckDBTypeId.DATE, "DATE"],
  [DuckDBTypeId.TIME, "TIME"],
]);

/** The API's name of a result's type. */
export function resultType(type: DuckDBType): string {
  return NAMED.get(type.typeId) ?? (type.alias === "JSON" ? "JSON" : "STRING");
}

/** As `tabledata` and query results have it: every value a string (https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs/getQueryResults). */
export function apiText(value: DuckDBValue, { typeId }: DuckDBType): string | null {
  if (value === null) return null;
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString("base64");
  if (value instanceof DuckDBTimestampTZValue) return String(value.micros);
  if (value instanceof DuckDBDecimalValue)
    return value.toString().replace(/(\.\d*?)0+$/, (_, kept: string) => (kept === "." ? "" : kept));
  if (typeof value === "number" && typeId === DuckDBTypeId.DOUBLE)
    return Number.isInteger(value) ? `${value}.0` : String(value).replace("e", "E");
  return String(value);
}
