// What is known of a model's query, from one look at it: it holds until something that it reads is altered.
import { hash } from "node:crypto";
import type { QueryModel } from "../../contracts/model.ts";
import type { Connection } from "./connection.ts";
import { relationId } from "./describe.ts";
import { type QueryAnalysis, analyse } from "./query/analyse.ts";
import { ServerCatalog } from "./query/catalog.ts";
import { type QueryReads, definitionId, readsOf } from "./query-reads.ts";
import { type RelationSource, relationSource } from "./relation-source.ts";
import { readServer } from "./server.ts";

export interface KnownQuery {
  readonly source: RelationSource;
  readonly reads: QueryReads;
  readonly analysis: QueryAnalysis;
  /** Why it is not followed live; empty: it is. */
  readonly because: readonly Obstacle[];
  /** Another text when the query may give other rows for the same tables: its SQL, a view that it reads, or what is heard of. The same over restarts. */
  readonly meaning: string;
}

export interface Obstacle {
  /** For findings: `not_live`. */
  readonly code: string;
  /** For people, as part of a sentence. */
  readonly what: string;
  /** A statement ready to paste; null: another query is needed. */
  readonly fix: string | null;
}

export const FULL_IMAGES =
  "SET GLOBAL binlog_row_image = 'FULL'; -- and in the server's configuration, so that it stays";

/** Throws `source.model` when the SQL is wrong, or has not the key. */
export async function knowQuery(
  connection: Connection,
  model: QueryModel,
  database: string | undefined,
): Promise<KnownQuery> {
  const server = await readServer(connection);
  const source = await relationSource(connection, model, database);
  const reads = await readsOf(connection, server, model.sql, database);
  const catalog = new ServerCatalog(connection, server, database);
  const analysis = await analyse(model, source, connection, catalog, server);
  const because =
    model.capture === "auto" ? whyNotLive(analysis) : [{ code: "not_live", what: "`capture: diff` is set", fix: null }];
  const heard = hearsTheLog(model, { because }) ? [...relationsOf(heardOf({ reads, analysis, because }))].sort() : [];
  const views = reads.views.map((view) => JSON.stringify([view.database, view.name, view.definition])).sort();
  const meaning = hash("md5", JSON.stringify([model.sql, model.key, views, heard]));
  return { source, reads, analysis, because, meaning };
}

/** Whether the log is to tell of changes of its tables. */
export function hearsTheLog(model: QueryModel, { because }: Pick<KnownQuery, "because">): boolean {
  return because.length === 0 || model.diff.whenChanged;
}

/** What concerns the query in the log: if it is followed, what it reads, else all that it names. */
export function heardOf({ reads, analysis, because }: Omit<KnownQuery, "source" | "meaning">): QueryReads {
  if (analysis.kind === "diff" || because.length > 0) return reads;
  return { tables: analysis.tables.map(({ info }) => info), views: reads.views };
}

/** Their ids, of rows and of definitions. */
export function relationsOf({ tables, views }: QueryReads): ReadonlySet<string> {
  return new Set([
    ...tables.map(({ database, name }) => relationId(database, name)),
    ...[...tables, ...views].map(({ database, name }) => definitionId(database, name)),
  ]);
}

export function obstacleText({ what, fix }: Obstacle): string {
  return fix === null ? what : `${what}. Run: ${fix}`;
}

function whyNotLive(analysis: QueryAnalysis): readonly Obstacle[] {
  if (analysis.kind === "diff") {
    return analysis.reasons.map(({ construct, place, advice }) => ({
      code: "not_live",
      what: `${construct}${place === null ? "" : ` at ${place}`}: ${advice}`,
      fix: null,
    }));
  }
  return analysis.missingOld.map(({ table, columns }) => ({
    code: "row_image_old",
    what: `old values of ${columns.join(", ")} of ${table.sql} are needed, and the log does not hold them (binlog_row_image is not FULL)`,
    fix: FULL_IMAGES,
  }));
}
