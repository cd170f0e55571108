// What opening would make or change, without doing it.
import type pg from "pg";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { quoteLiteral } from "../../kit/sql.ts";
import { close } from "./connection.ts";
import { asSourceError } from "./source-error.ts";
import { proveContinuity, readCluster } from "./continuity.ts";
import { keeperOf } from "./keeper.ts";
import { publicationStatements, readPublication } from "./publication.ts";
import { type ReadModels, findTables } from "./published-table.ts";
import { readSlot } from "./slot.ts";
import type { SqlSession } from "./sql-session.ts";

export interface PlanOptions {
  readonly connect: (replication: boolean, signal: AbortSignal) => Promise<pg.Client>;
  readonly side: SqlSession;
  readonly slot: string;
  readonly publication: string;
  readonly publicationShared: boolean;
  readonly schema: string;
  readonly failover: boolean;
}

/** See Source.plan. Throws the same `source.gap` error that opening would. */
export async function planReading(
  options: PlanOptions,
  models: ReadModels,
  stored: readonly SourceCheckpoint[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { side, slot: slotName, publication: name, schema, failover } = options;
  try {
    const cluster = stored.length === 0 ? null : await clusterOf(options, signal);
    return await side.use(signal, async (client) => {
      const tables = await findTables(client, models, { schema, publication: name });
      const slot = await readSlot(client, slotName);
      const publication = await readPublication(client, name);
      if (cluster !== null) {
        const named = new Map([...tables].map(([oid, table]) => [oid, table.sql]));
        for (const checkpoint of stored) {
          const keeper = await keeperOf(client, checkpoint, slotName, slot);
          proveContinuity(checkpoint, { cluster, ...keeper, publicationName: name, publication, tables: named });
        }
      }
      const { rows } = await client.query<{ version: string }>(
        "SELECT current_setting('server_version_num') AS version",
      );
      const serverVersion = Number(rows[0]!.version);
      const statements = publicationStatements(
        { name, shared: options.publicationShared, tables: [...tables.values()], serverVersion },
        publication,
      );
      if (stored.length > 0) return statements;
      // Nobody has a place in what an old slot holds: it is made anew.
      const quoted = quoteLiteral(slotName).trim();
      const replaced = slot === null ? [] : [`SELECT pg_drop_replication_slot(${quoted})`];
      const kept = failover && serverVersion >= 170000 ? ", false, false, true" : "";
      return [...statements, ...replaced, `SELECT pg_create_logical_replication_slot(${quoted}, 'pgoutput'${kept})`];
    });
  } catch (error) {
    throw asSourceError(error);
  }
}

async function clusterOf({ connect }: PlanOptions, signal: AbortSignal) {
  const replication = await connect(true, signal);
  try {
    return await readCluster(replication);
  } finally {
    await close(replication);
  }
}
