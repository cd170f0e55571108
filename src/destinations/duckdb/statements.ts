// One statement a write, from a staged table of texts.
import { quoteIdentifier } from "../../kit/sql.ts";
import type { TableWrite } from "../../kit/table-writer/batch-plan.ts";
import { castSql } from "./encode.ts";
import { type TargetColumn, type TargetTable, tableSql } from "./table.ts";

export const STAGING = "tailrace_in";

export function stagingSql(width: number): string {
  const columns = Array.from({ length: width }, (_, index) => `v${index} VARCHAR`);
  return `CREATE OR REPLACE TEMP TABLE ${STAGING} (${columns.join(", ")})`;
}

/** null: there is nothing to do (an update of no column). */
export function writeSql(table: TargetTable, write: TableWrite<TargetColumn>): string | null {
  const { kind, match, columns } = write;
  const target = tableSql(table);
  const all = [...match, ...columns];
  const values = all.map(({ type }, index) => castSql(`s.v${index}`, type));
  const from = `temp.${STAGING} AS s`;
  const on = match.map(({ name }, index) => `t.${quoteIdentifier(name)} = ${values[index]}`).join(" AND ");
  if (kind === "delete") return `DELETE FROM ${target} AS t USING ${from} WHERE ${on}`;
  if (kind === "update") {
    if (columns.length === 0) return null;
    const set = columns.map(({ name }, index) => `${quoteIdentifier(name)} = ${values[match.length + index]}`);
    return `UPDATE ${target} AS t SET ${set.join(", ")} FROM ${from} WHERE ${on}`;
  }
  const insert = `INSERT INTO ${target} (${list(all.map(({ name }) => name))}) SELECT ${values.join(", ")} FROM ${from}`;
  const by = kind === "append" ? write.once : match.map(({ name }) => name);
  if (by === null) return insert;
  if (kind !== "upsert" || columns.length === 0) return `${insert} ON CONFLICT (${list(by)}) DO NOTHING`;
  const set = columns.map(({ name }) => `${quoteIdentifier(name)} = EXCLUDED.${quoteIdentifier(name)}`);
  return `${insert} ON CONFLICT (${list(by)}) DO UPDATE SET ${set.join(", ")}`;
}

function list(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(", ");
}
