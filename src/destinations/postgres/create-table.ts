// Makes a sync's target table, or the columns that it lacks, where the settings say so.
import type { Field, Target } from "../../contracts/destination.ts";
import type { Session } from "./sessions.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { EVENT_CHANGE, EVENT_ID, EVENT_TIME } from "../../kit/table-writer/batch-plan.ts";
import { type TableRef, type TargetTable, tableSql } from "./table.ts";

/**
 * The type for a field: the source's own where this database has a type of that name, without its length (a wider
 * column holds every value); else text.
 */
export async function columnType(session: Session, field: Field): Promise<string> {
  if (field.type === null) return field.json === "number" ? "numeric" : field.json === "boolean" ? "boolean" : "text";
  const oid = await resolveType(session, field.type);
  if (oid === null) return "text";
  // What goes into the statement is the catalogue's spelling, not the source's.
  const [row] = await session.rows(
    "SELECT format_type(oid, -1) AS type FROM pg_type WHERE oid = $1 AND typtype <> 'p'",
    [oid],
  );
  return row?.["type"] ?? "text";
}

/** The OID of a type by name; null when there is none, or the name is not one that this database can read. */
export async function resolveType(session: Session, type: string): Promise<string | null> {
  if (!/^[A-Za-z_"][\w ."]*(\(\d+(, ?-?\d+)?\))?[\w ]*(\[\])*$/.test(type)) return null;
  try {
    const [row] = await session.rows("SELECT to_regtype($1)::oid AS oid", [type]);
    return row?.["oid"] ?? null;
  } catch (error) {
    // A name that is not a type's by syntax (`bigint unsigned`) is an error, not null.
    if ((error as { code?: string }).code === "42601") return null;
    throw error;
  }
}

export async function createTableSql(session: Session, ref: TableRef, target: Target): Promise<string> {
  const keyed = target.mode !== "event";
  const parts: string[] = [];
  for (const field of target.shape.fields) {
    parts.push(`${quoteIdentifier(field.name)} ${await columnType(session, field)}`);
  }
  const names = new Set(target.shape.fields.map((field) => field.name));
  if (keyed) parts.push(`PRIMARY KEY (${target.match.map(quoteIdentifier).join(", ")})`);
  else {
    for (const [name, type] of [
      [EVENT_ID, "text PRIMARY KEY"],
      [EVENT_CHANGE, "text"],
      [EVENT_TIME, "timestamp with time zone"],
    ] as const) {
      if (!names.has(name)) parts.push(`${name} ${type}`);
    }
  }
  return `CREATE TABLE IF NOT EXISTS ${tableSql(ref)} (\n  ${parts.join(",\n  ")}\n)`;
}

/** null when no column is missing. */
export async function addColumnsSql(
  session: Session,
  table: TargetTable,
  fields: readonly Field[],
): Promise<string | null> {
  const missing = fields.filter((field) => !table.columns.has(field.name));
  if (missing.length === 0) return null;
  const parts: string[] = [];
  for (const field of missing) {
    parts.push(`ADD COLUMN IF NOT EXISTS ${quoteIdentifier(field.name)} ${await columnType(session, field)}`);
  }
  return `ALTER TABLE ${tableSql(table)} ${parts.join(", ")}`;
}
