// What is known of a model's query, from one look at it: it holds until something that it reads is altered.
import type pg from "pg";
import type { QueryModel } from "../../contracts/model.ts";
import { type BaseTables, baseTables } from "./base-tables.ts";
import { sendsGenerated } from "./describe.ts";
import { type DescribedQuery, describeQuery } from "./describe-query.ts";
import { type Obstacle, whyNotLive } from "./obstacles.ts";
import { type QueryAnalysis, analyse } from "./query/analyse.ts";
import { DatabaseCatalog } from "./query/catalog.ts";
import { type RowsOfKeys, rowsOfKeys } from "./rows-of-keys.ts";

export interface KnownQuery {
  readonly described: DescribedQuery;
  readonly bases: BaseTables;
  readonly analysis: QueryAnalysis;
  /** Why it is not followed live; empty: it is. */
  readonly because: readonly Obstacle[];
  /** The log holds stored generated columns. */
  readonly generatedToo: boolean;
  readonly rowsOfKeys: RowsOfKeys;
}

/** `client`: a session for models, outside of a transaction. Throws as {@link describeQuery}. */
export async function knowQuery(client: pg.Client, model: QueryModel, publication: string): Promise<KnownQuery> {
  const described = await describeQuery(client, model);
  const bases = await baseTables(client, described.reads);
  const generatedToo = await sendsGenerated(client, publication);
  const analysis = await analyse(model, described, new DatabaseCatalog(client, generatedToo));
  const { rows } = await client.query<{ role: string }>("SELECT current_user::text AS role");
  const because = [
    ...(model.capture === "auto"
      ? whyNotLive(analysis, [...bases.told.values()], described.reads, rows[0]!.role)
      : [{ code: "not_live", what: "`capture: diff` is set", fix: null }]),
    ...(model.capture === "auto" || model.diff.whenChanged ? bases.untold : []),
  ];
  return { described, bases, analysis, because, generatedToo, rowsOfKeys: await rowsOfKeys(client, model, described) };
}

/** Whether the log is to tell of changes of its tables. */
export function hearsTheLog(model: QueryModel, { because }: Pick<KnownQuery, "because">): boolean {
  return because.length === 0 || model.diff.whenChanged;
}
