// One statement a kind of operation, from a relation of texts into the target table.
import { quoteIdentifier } from "../../kit/sql.ts";
import type { TableWrite } from "../../kit/table-writer/batch-plan.ts";
import { type TargetColumn, type TargetTable, tableSql } from "./table.ts";

/**
 * `source`: what goes after FROM, a relation with columns `v0`, `v1`, …; `condition`: a WHERE on it.
 * null: there is nothing to do (an update of no column).
 */
export function mergeSql(
  table: TargetTable,
  write: TableWrite<TargetColumn>,
  source: string,
  condition: string,
): string | null {
  const { kind, match, columns } = write;
  const target = tableSql(table);
  const texts = [...match, ...columns];
  const values = texts.map((column, index) => cast(`v${index}`, column));
  const on = match.map((column, index) => `t.${quoteIdentifier(column.name)} = ${values[index]}`).join(" AND ");
  if (kind === "delete") return `DELETE FROM ${target} AS t USING ${source} WHERE ${condition} AND ${on}`;
  if (kind === "update") {
    if (columns.length === 0) return null;
    const set = columns.map((column, index) => `${quoteIdentifier(column.name)} = ${values[match.length + index]}`);
    return `UPDATE ${target} AS t SET ${set.join(", ")} FROM ${source} WHERE ${condition} AND ${on}`;
  }
  const names = texts.map((column) => quoteIdentifier(column.name)).join(", ");
  const overriding = texts.some((column) => column.identityAlways) ? " OVERRIDING SYSTEM VALUE" : "";
  const insert = `INSERT INTO ${target} AS t (${names})${overriding} SELECT ${values.join(", ")} FROM ${source} WHERE ${condition}`;
  if (kind === "append") return write.once === null ? insert : `${insert} ON CONFLICT (${list(write.once)}) DO NOTHING`;
  const conflict = `ON CONFLICT (${list(match.map((column) => column.name))})`;
  if (kind === "create" || columns.length === 0) return `${insert} ${conflict} DO NOTHING`;
  const set = columns.map((column) => `${quoteIdentifier(column.name)} = EXCLUDED.${quoteIdentifier(column.name)}`);
  return `${insert} ${conflict} DO UPDATE SET ${set.join(", ")}`;
}

function cast(text: string, column: TargetColumn): string {
  return `s.${text}::${column.cast}`;
}

function list(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(", ");
}

/** `unnest($1::text[], …) AS s(v0, …)` */
export function arraySource(width: number, firstParameter: number): string {
  const parameters = Array.from({ length: width }, (_, index) => `$${firstParameter + index}::text[]`);
  const columns = Array.from({ length: width }, (_, index) => `v${index}`);
  return `unnest(${parameters.join(", ")}) AS s(${columns.join(", ")})`;
}
