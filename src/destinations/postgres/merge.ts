// One statement a kind of operation, from a relation of texts into the target table.
import { quoteIdentifier } from "../../kit/sql.ts";
import { type TargetColumn, type TargetTable, tableSql } from "./table.ts";

/** `update` does archive and clear as well: they carry the values to set. `append` inserts and matches nothing. */
export type MergeKind = "delete" | "update" | "create" | "upsert" | "append";

export interface Merge {
  readonly kind: MergeKind;
  readonly table: TargetTable;
  /** The match columns: the first columns of the texts. Empty for `append`. */
  readonly match: readonly TargetColumn[];
  /** The other columns that are written: the texts after the match. */
  readonly columns: readonly TargetColumn[];
  /** Column names by which an append drops a repeat; null: it does not. */
  readonly once: readonly string[] | null;
}

/** Texts that PostgreSQL shall not cast by name, but make a time of: µs since the epoch. */
export const EPOCH_MICROSECONDS = "tailrace:epoch-microseconds";

/**
 * `source`: what goes after FROM, a relation with columns `v0`, `v1`, …; `condition`: a WHERE on it.
 * null: there is nothing to do (an update of no column).
 */
export function mergeSql(merge: Merge, source: string, condition: string): string | null {
  const { kind, table, match, columns } = merge;
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
  if (kind === "append") return merge.once === null ? insert : `${insert} ON CONFLICT (${list(merge.once)}) DO NOTHING`;
  const conflict = `ON CONFLICT (${list(match.map((column) => column.name))})`;
  if (kind === "create" || columns.length === 0) return `${insert} ${conflict} DO NOTHING`;
  const set = columns.map((column) => `${quoteIdentifier(column.name)} = EXCLUDED.${quoteIdentifier(column.name)}`);
  return `${insert} ${conflict} DO UPDATE SET ${set.join(", ")}`;
}

function cast(text: string, column: TargetColumn): string {
  // Microseconds fit a double's 53 bits until the year 2255, so the product is exact.
  if (column.cast === EPOCH_MICROSECONDS) return `timestamptz 'epoch' + s.${text}::bigint * interval '1 microsecond'`;
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
