// Values of columns as texts: which are the same where they are equal, and how they are written so that they compare as the column does.
import type { TableColumn } from "../catalog.ts";
import type { Connection } from "../connection.ts";
import { literal } from "../sql.ts";

const INTEGERS = new Set(["tinyint", "smallint", "mediumint", "int", "integer", "bigint"]);

export interface Collations {
  /** Names of those that take only the same bytes for equal. */
  readonly exact: ReadonlySet<string>;
}

export async function readCollations(connection: Connection): Promise<Collations> {
  const rows = await connection.rows("SHOW COLLATION");
  const exact = rows.flatMap((row) => {
    const name = row["Collation"] ?? "";
    // Others than these ignore spaces at the end, if nothing else.
    return name === "binary" || name.endsWith("_nopad_bin") || name.endsWith("_0900_bin") ? [name] : [];
  });
  return { exact: new Set(exact) };
}

/** See BaseColumn.textClass. `digits`: of a second's fraction. */
export function textClass(
  column: TableColumn,
  collation: string | null,
  digits: string | null,
  { exact }: Collations,
): string | null {
  const { dataType, columnType, charset, scale, isJson } = column;
  if (isJson || / zerofill/i.test(columnType)) return null;
  if (INTEGERS.has(dataType)) return "int";
  if (dataType === "decimal") return `decimal ${scale ?? 0}`;
  if (dataType === "date" || dataType === "year") return dataType;
  if (dataType === "datetime" || dataType === "timestamp" || dataType === "time") {
    return `${dataType === "timestamp" ? "datetime" : dataType} ${digits ?? "0"}`;
  }
  if (dataType === "varbinary" || dataType === "uuid" || dataType === "inet6" || dataType === "inet4") return dataType;
  const isText = charset !== null && charset !== "binary" && (dataType === "varchar" || dataType.endsWith("text"));
  return isText && collation !== null && exact.has(collation) ? `text ${collation}` : null;
}

/** How a text of a column is written as SQL; null: there is no value that compares alike. */
export function valueSql(column: TableColumn, collation: string | null): ((text: string) => string) | null {
  const { dataType, charset, isJson } = column;
  if (isJson) return null;
  if (INTEGERS.has(dataType) || dataType === "decimal" || dataType === "year") return number;
  if (dataType === "double") return (text) => `${number(text)}${/e/i.test(text) ? "" : "e0"}`;
  if (dataType === "date") return (text) => `DATE${literal(text)}`;
  if (dataType === "datetime" || dataType === "timestamp") return (text) => `TIMESTAMP${literal(text)}`;
  if (dataType === "time") return (text) => `TIME${literal(text)}`;
  if (dataType === "uuid" || dataType === "inet6" || dataType === "inet4")
    return (text) => `CAST(${literal(text)} AS ${dataType})`;
  if (charset === "binary") {
    const bytes = dataType === "varbinary" || dataType === "binary" || dataType.endsWith("blob");
    return bytes ? (text) => `x'${Buffer.from(text, "base64").toString("hex")}'` : null;
  }
  const isText = dataType === "char" || dataType === "varchar" || dataType.endsWith("text");
  if (!isText || charset === null || collation === null) return null;
  return (text) => `CONVERT(${literal(text)} USING ${charset}) COLLATE ${collation}`;
}

function number(text: string): string {
  // It stands in SQL as it is.
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) throw new TypeError("a number that is none");
  return text;
}
