// The tables that a query reads, as far as the log tells of their changes.
import type pg from "pg";
import { type TableInfo, describeTable } from "./catalog.ts";
import type { ReadRelation } from "./describe-query.ts";
import { type Obstacle, whyUntold } from "./obstacles.ts";

export interface BaseTables {
  /** Those whose changes the log can tell without harm, by the OID that it names them by: a partition by its root's. */
  readonly told: ReadonlyMap<string, TableInfo>;
  /** Why not the others. */
  readonly untold: readonly Obstacle[];
}

/** `reads`: all that the query reads, partitions of a table that is read as a whole too. */
export async function baseTables(client: pg.Client, reads: readonly ReadRelation[]): Promise<BaseTables> {
  const told = new Map<string, TableInfo>();
  const untold: Obstacle[] = [];
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
