// Makes a sync's target table, or the columns that it lacks, where the settings say so.
import type { Field, Target } from "../../contracts/destination.ts";
import { EVENT_CHANGE, EVENT_ID, EVENT_TIME } from "../../kit/table-writer/batch-plan.ts";
import { quoteName } from "./names.ts";
import type { Session } from "./sessions.ts";
import { type TableRef, type TargetTable, tableSql } from "./table.ts";

/** [the source's type, ours]: wide enough for every value. What is not here becomes text. */
const TYPES: readonly (readonly [RegExp, string])[] = [
  [/^bool(ean)?$/, "boolean"],
  [/^(smallint|int2|smallserial)$/, "smallint"],
  [/^(integer|int|int4|serial)$/, "int"],
  [/^(bigint|int8|bigserial)$/, "bigint"],
  [/^(tinyint|smallint|mediumint|int|bigint)(\(\d+\))?$/, "$1"],
  [/^(tinyint|smallint|mediumint|int|bigint)(\(\d+\))? unsigned$/, "$1 unsigned"],
  [/^utinyint$/, "tinyint unsigned"],
  [/^usmallint$/, "smallint unsigned"],
  [/^uinteger$/, "int unsigned"],
  [/^ubigint$/, "bigint unsigned"],
  [/^u?hugeint$/, "decimal(39,0)"],
  [/^(real|float4?|double( precision)?|float8)$/, "double"],
  [/^date$/, "date"],
  [/^(datetime|timestamp|timestamptz)(\(\d\))?( with(out)? time zone)?$/, "datetime(6)"],
  [/^time(\(\d\))?( without time zone)?$/, "time(6)"],
  [/^uuid$/, "char(36) CHARACTER SET ascii"],
  [/^jsonb?$/, "json"],
  [/^(bytea|blob|tinyblob|mediumblob|longblob|(var)?binary(\(\d+\))?)$/, "longblob"],
];
const DECIMAL = /^(?:numeric|decimal)\((\d+)(?:, ?(\d+))?\)$/;

/** `collation`: of texts, in which two different ones are never equal. */
export function columnType(field: Field, isKey: boolean, collation: string): string {
  const text = `${isKey ? "varchar(255)" : "longtext"} CHARACTER SET utf8mb4 COLLATE ${collation}`;
  if (field.json === "array") return "json";
  if (field.type === null) return field.json === "number" ? "double" : field.json === "boolean" ? "boolean" : text;
  const type = field.type.toLowerCase();
  const decimal = DECIMAL.exec(type);
  if (decimal !== null) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2] ?? 0)];
    return precision <= 65 && scale <= 30 && scale <= precision ? `decimal(${precision},${scale})` : text;
  }
  for (const [from, to] of TYPES) if (from.test(type)) return type.replace(from, to);
  return field.json === "json" ? "json" : text;
}

export async function createTableSql(session: Session, ref: TableRef, target: Target): Promise<string> {
  const collation = await exactCollation(session);
  const keyed = target.mode !== "event";
  const parts = target.shape.fields.map((field) => {
    const isKey = keyed && target.match.includes(field.name);
    return `${quoteName(field.name)} ${columnType(field, isKey, collation)}${isKey ? " NOT NULL" : " NULL"}`;
  });
  const names = new Set(target.shape.fields.map((field) => field.name));
  if (keyed) parts.push(`PRIMARY KEY (${target.match.map(quoteName).join(", ")})`);
  else {
    for (const [name, type] of [
      [EVENT_ID, "varchar(255) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY"],
      [EVENT_CHANGE, "varchar(10)"],
      [EVENT_TIME, "datetime(6) NULL"],
    ] as const) {
      if (!names.has(name)) parts.push(`${name} ${type}`);
    }
  }
  return `CREATE TABLE IF NOT EXISTS ${tableSql(ref)} (\n  ${parts.join(",\n  ")}\n) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4`;
}

/** null when no column is missing. */
export function addColumnsSql(table: TargetTable, fields: readonly Field[]): string | null {
  const missing = fields.filter((field) => !table.columns.has(field.name));
  if (missing.length === 0) return null;
  const parts = missing.map(
    (field) => `ADD COLUMN ${quoteName(field.name)} ${columnType(field, false, "utf8mb4_bin")} NULL`,
  );
  return `ALTER TABLE ${tableSql(table)} ${parts.join(", ")}`;
}

/** One that tells trailing blanks apart, where the server has it: MariaDB's and MySQL's names differ. */
async function exactCollation(session: Session): Promise<string> {
  const [row] = await session.rows(
    "SELECT collation_name AS name FROM information_schema.collations WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')",
  );
  return row?.["name"] ?? "utf8mb4_bin";
}
