// One statement a chunk of rows of a write.
import type { TableWrite } from "../../kit/table-writer/batch-plan.ts";
import { uniqueIndexOn } from "../../kit/table-writer/batch-plan.ts";
import { quoteName } from "./names.ts";
import { type TargetColumn, type TargetTable, tableSql } from "./table.ts";

export type Write = TableWrite<TargetColumn>;

/** What comes before and after the rows of an INSERT for a write of kind create, upsert or append. */
export function insertParts(table: TargetTable, write: Write): { readonly head: string; readonly tail: string } {
  const { kind, match, columns, once } = write;
  const all = [...match, ...columns];
  const head = `INSERT INTO ${tableSql(table)} (${names(all)}) VALUES `;
  if (kind === "append") return { head, tail: once === null ? "" : onDuplicate(table, once, all, []) };
  const set = kind === "upsert" ? columns : [];
  return {
    head,
    tail: onDuplicate(
      table,
      match.map(({ name }) => name),
      all,
      set,
    ),
  };
}

/** The rows are staged in `staging`, a table of the same columns. null: there is nothing to do (an update of no column). */
export function stagedSql(table: TargetTable, write: Write, staging: string): string | null {
  const on = write.match.map(({ name }) => `t.${quoteName(name)} = s.${quoteName(name)}`).join(" AND ");
  const join = `${staging} AS s STRAIGHT_JOIN ${tableSql(table)} AS t ON ${on}`;
  if (write.kind === "delete") return `DELETE t FROM ${join}`;
  if (write.columns.length === 0) return null;
  const set = write.columns.map(({ name }) => `t.${quoteName(name)} = s.${quoteName(name)}`);
  return `UPDATE ${join} SET ${set.join(", ")}`;
}

/** An empty table of a write's columns, with their types: comparisons are then those of the table itself. */
export function stagingDefinition(table: TargetTable, write: Write): string {
  return `AS SELECT ${names([...write.match, ...write.columns])} FROM ${tableSql(table)} WHERE FALSE`;
}

/** `(?, ?)` for one row. A text is not a number of bits. */
export function placeholders(write: Write): string {
  const all = [...write.match, ...write.columns];
  return `(${all.map(({ kind }) => (kind === "bit" ? "CAST(? AS UNSIGNED)" : "?")).join(", ")})`;
}

/**
 * MySQL takes a duplicate in *any* unique index for the row that is meant, and would overwrite another record. Where that can
 * happen, a duplicate that is not the same record makes the statement fail: 1 more than the greatest number is out of range.
 */
function onDuplicate(
  table: TargetTable,
  by: readonly string[],
  written: readonly TargetColumn[],
  set: readonly TargetColumn[],
): string {
  const [first = ""] = by;
  const own = quoteName(first);
  const same = by.map((name) => `${quoteName(name)} <=> VALUES(${quoteName(name)})`).join(" AND ");
  const guarded = othersCanConflict(table, by, written)
    ? `IF((${same}) OR (~0 + (1 + CHAR_LENGTH(VALUES(${own})))), ${own}, ${own})`
    : own;
  const assignments = [
    `${own} = ${guarded}`,
    ...set.map(({ name }) => `${quoteName(name)} = VALUES(${quoteName(name)})`),
  ];
  return ` ON DUPLICATE KEY UPDATE ${assignments.join(", ")}`;
}

function othersCanConflict(table: TargetTable, by: readonly string[], written: readonly TargetColumn[]): boolean {
  const arbiter = uniqueIndexOn(table, by);
  return table.uniqueIndexes.some((index) => {
    if (index === arbiter) return false;
    const [only, ...more] = index.columns;
    const counted = only !== undefined && more.length === 0 && table.columns.get(only)?.autoIncrement === true;
    return !counted || written.some(({ name }) => name === only);
  });
}

function names(columns: readonly TargetColumn[]): string {
  return columns.map(({ name }) => quoteName(name)).join(", ");
}
