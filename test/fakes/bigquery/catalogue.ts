// What is known of tables besides their rows: INFORMATION_SCHEMA, and whether their changes may be read.
import { invalidQuery, notFound } from "./errors.ts";
import type { Store, Table } from "./store.ts";

const DAY_US = 86_400_000_000n;

/** https://docs.cloud.google.com/bigquery/docs/information-schema-tables, and -table-options: a SELECT of DuckDB. */
export function catalogue(store: Store, dataset: string, view: string): string {
  const tables = [...store.tables.values()].filter(({ name }) => name.startsWith(`${dataset}.`));
  const rows = tables.map((table) => {
    const name = `'${table.name.slice(dataset.length + 1)}'`;
    if (view === "TABLES") return `(${name}, ${table.upserted ? "now()" : "NULL"})`;
    return `(${name}, 'enable_change_history', ${table.historySince === null ? "NULL" : "'true'"})`;
  });
  if (view !== "TABLES" && view !== "TABLE_OPTIONS") throw notFound(`Table ${dataset}.INFORMATION_SCHEMA.${view}`);
  const columns =
    view === "TABLES" ? "table_name, upsert_stream_apply_watermark" : "table_name, option_name, option_value";
  return `SELECT * FROM (VALUES ${rows.join(", ")}) AS v(${columns}) WHERE ${view === "TABLES" ? "true" : "option_value IS NOT NULL"}`;
}

/** What only CHANGES demands. */
export function refuseChanges(table: Table, start: bigint, end: bigint): void {
  // The table's option `enable_change_history` must be TRUE. That it must have been so since `start` is our reading.
  if (table.historySince === null || start < table.historySince)
    throw invalidQuery(
      `CHANGES requires enable_change_history on table ${table.name} for the whole of the time range at [1:1]`,
    );
  // A day is the longest range between its two arguments.
  if (end - start > DAY_US) throw invalidQuery("CHANGES: the time range must not be longer than one day at [1:1]");
  // It cannot be used on a table that a multi-statement transaction changed within the range.
  if (table.transactions.some((at) => at >= start && at < end))
    throw invalidQuery(
      `CHANGES is not supported on table ${table.name} with a multi-statement transaction in the time range at [1:1]`,
    );
  // Nor on one that is written to by change data capture (upserts through the Storage Write API).
  if (table.upserted)
    throw invalidQuery(
      `CHANGES is not supported on table ${table.name}, which is written to by change data capture at [1:1]`,
    );
}
