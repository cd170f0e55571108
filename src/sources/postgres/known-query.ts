// What is known of a model's query, from one look at it: it holds until something that it reads is altered.
import type pg from "pg";
import type { QueryModel } from "../../contracts/model.ts";
import { type BaseTables, baseTables } from "./base-tables.ts";
import { sendsGenerated } from "./describe.ts";
import { type DescribedQuery, describeQuery } from "./describe-query.ts";
import { type QueryAnalysis, analyse } from "./query/analyse.ts";
import { DatabaseCatalog } from "./query/catalog.ts";
import type { Reason } from "./query/reasons.ts";
import { type RowsOfKeys, rowsOfKeys } from "./rows-of-keys.ts";

export interface KnownQuery {
  readonly described: DescribedQuery;
  readonly bases: BaseTables;
  readonly analysis: QueryAnalysis;
  /** Why it is not followed live, for people; empty: it is. */
  readonly because: readonly string[];
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
  const because = [
    ...(model.capture === "auto" ? whyNotLive(bases, analysis) : ["`capture: diff` is set"]),
    ...(model.capture === "auto" || model.diff.whenChanged ? bases.untold : []),
  ];
  return { described, bases, analysis, because, generatedToo, rowsOfKeys: await rowsOfKeys(client, model, described) };
}

/** Whether the log is to tell of changes of its tables. */
export function hearsTheLog(model: QueryModel, { because }: Pick<KnownQuery, "because">): boolean {
  return because.length === 0 || model.diff.whenChanged;
}

function reasonText({ construct, place, advice }: Reason): string {
  return `${construct}${place === null ? "" : ` at ${place}`}: ${advice}`;
}

function whyNotLive(bases: BaseTables, analysis: QueryAnalysis): readonly string[] {
  if (analysis.kind === "diff") return analysis.reasons.map(reasonText);
  const { tables, missingOldRows } = analysis;
  const found = new Set(tables.map(({ oid }) => oid));
  // A partition that it reads by itself is told as its root.
  const roots = new Set(tables.flatMap(({ info: { root } }) => (root === null ? [] : [root.oid])));
  const hidden = [...bases.told.values()].filter(({ oid }) => !found.has(oid) && !roots.has(oid));
  return [
    ...tables.flatMap(({ sql, info: { root } }) =>
      root === null
        ? []
        : [
            `it reads ${sql}, and the log names the rows of that partition under ${root.sql}: read that, with a condition`,
          ],
    ),
    ...hidden.map(({ sql }) => `it reads ${sql} by way of another relation`),
    ...missingOldRows.map(({ table, columns, statements }) => {
      const ways = statements.map((way) => way.join("; ")).join(", or: ");
      return `the log does not hold the old values of ${columns.join(", ")} of ${table.sql}, which tell the keys that a change affects. Run: ${ways}`;
    }),
  ];
}
