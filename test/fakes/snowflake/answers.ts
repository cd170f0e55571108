// DuckDB's answers as Snowflake's.
import type { DuckDBValue } from "@duckdb/node-api";
import { SnowflakeFault } from "./errors.ts";

export function wireText(value: DuckDBValue): string | null {
  if (value === null) return null;
  if (value === true) return "1";
  if (value === false) return "0";
  return String(value);
}

export function snowflakeType(type: string): string {
  if (type.startsWith("DECIMAL")) return type.replace("DECIMAL", "NUMBER").replaceAll(" ", "");
  if (/INT/.test(type)) return "NUMBER(38,0)";
  if (type === "DOUBLE") return "FLOAT";
  if (type === "BOOLEAN" || type === "DATE") return type;
  return "VARCHAR(16777216)";
}

/** What DuckDB does not take is Snowflake's compilation error, with nothing of DuckDB's words. */
export function asFault(error: unknown): Error {
  if (error instanceof SnowflakeFault) return error;
  const text = error instanceof Error ? error.message : String(error);
  const column = /column "?([^"\s]+)"? not found|does not have a column named "?([^"\s]+)"?/i.exec(text);
  if (text.startsWith("Binder Error"))
    return new SnowflakeFault(
      "000904",
      "42000",
      `SQL compilation error: invalid identifier '${column?.[1] ?? column?.[2] ?? ""}'`,
    );
  if (text.startsWith("Conversion Error"))
    return new SnowflakeFault("100038", "22018", "Numeric value is not recognized");
  if (/(^|: )(Parser|Catalog) Error/.test(text))
    return new SnowflakeFault("001003", "42000", `SQL compilation error: ${text.split("\n")[0]}`);
  return error instanceof Error ? error : new Error(text);
}
