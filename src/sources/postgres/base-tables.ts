// The tables that a query reads, as far as the log tells of their changes.
import type pg from "pg";
import { type TableInfo, describeTable } from "./catalog.ts";
import { notReadable } from "./describe.ts";
import type { ReadRelation } from "./describe-query.ts";

export interface BaseTables {
  /** Those whose changes the log can tell without harm, by the OID that it names them by: a partition by its root's. */
  readonly told: ReadonlyMap<string, TableInfo>;
  /** The others, with the reason and what would help, for people. */
  readonly untold: readonly string[];
}

/** `reads`: all that the query reads, partitions of a table that is read as a whole too. */
export async function baseTables(client: pg.Client, reads: readonly ReadRelation[]): Promise<BaseTables> {
  const told = new Map<string, TableInfo>();
  const untold: string[] = [];
  const read = new Set(reads.map(({ oid }) => oid));
  for (const { oid, kind } of reads) {
    if (kind === "v") continue;
    let table = await describeTable(client, { oid });
    if (table?.root) {
      if (read.has(table.root.oid)) continue;
      table = await describeTable(client, table.root);
    }
    if (!table) continue;
    const problem = whyUntold(table);
    if (problem === null) told.set(table.oid, table);
    else untold.push(problem);
  }
  return { told, untold };
}

/** Why the log does not tell a table's changes, or must not be made to; null: it can. */
function whyUntold(table: TableInfo): string | null {
  const what = notReadable(table);
  if (what !== null) return `it reads ${table.sql}, ${what}: the log does not hold its changes`;
  const unlogged = table.leaves.find(({ persistence }) => persistence !== "p");
  if (unlogged) return `it reads ${unlogged.sql}, an unlogged table: the log does not hold its changes`;
  const without = table.leaves.find(({ replicaIdentity }) => replicaIdentity.columns.length === 0);
  if (without) {
    return (
      `${without.sql} has no usable replica identity, so publishing it would make its own updates and deletes fail. ` +
      `Add a primary key, or: ALTER TABLE ${without.sql} REPLICA IDENTITY FULL`
    );
  }
  return null;
}
