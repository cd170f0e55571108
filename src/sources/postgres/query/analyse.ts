// From a model's SQL and key to what following it by the log takes.
import type { QueryModel } from "../../../contracts/model.ts";
import type { Path } from "../../../kit/live-query/paths.ts";
import { type Reason, reasonOf } from "../../../kit/live-query/reasons.ts";
import { type TakenApart, takeApart } from "../../../kit/live-query/take-apart.ts";
import { quoteIdentifier } from "../../../kit/sql.ts";
import type { DescribedQuery } from "../describe-query.ts";
import { type PostgresReference, referenceOf } from "./affected-sql.ts";
import { parseSelect } from "./ast.ts";
import type { PostgresCatalog, PostgresTable } from "./catalog.ts";
import { keysWith } from "./model-sql.ts";
import { resultName } from "./result-name.ts";
import { screen } from "./screen.ts";

export interface LiveAnalysis {
  readonly kind: "live";
  /** Each base table once. */
  readonly tables: readonly PostgresTable[];
  readonly references: readonly PostgresReference[];
  /** Old values that the log does not hold. As long as there are some, the model cannot be followed. */
  readonly missingOldRows: readonly MissingOldRows[];
}

export interface DiffAnalysis {
  readonly kind: "diff";
  /** Those that were found. */
  readonly tables: readonly PostgresTable[];
  readonly reasons: readonly Reason[];
  /** Its result changes with the time: looking when a table changed is not enough. */
  readonly timeDependent: boolean;
}

export type QueryAnalysis = LiveAnalysis | DiffAnalysis;

export interface MissingOldRows {
  readonly table: PostgresTable;
  readonly columns: readonly string[];
  /** Each on its own is enough. The first always is; the others name a unique index that holds just the columns. */
  readonly statements: readonly (readonly string[])[];
}

/** `described`: what the database says of the same model. */
export async function analyse(
  model: QueryModel,
  described: DescribedQuery,
  catalog: PostgresCatalog,
): Promise<QueryAnalysis> {
  const taken = await takeApart(model, described.relation, {
    catalog,
    looseGroups: false,
    resultName,
    parse: parseSelect,
    screen: (parsed, place) => screen(parsed, catalog, place),
  });
  const { timeDependent } = taken;
  const tables = [...taken.tables.values()] as PostgresTable[];
  const found = taken.reasons.length > 0 ? taken : await allReferences(taken, model, described, catalog);
  if ("reasons" in found) return { kind: "diff", tables, reasons: found.reasons, timeDependent };
  return { kind: "live", tables, references: found.references, missingOldRows: missingOldRows(found.references) };
}

/** Why it cannot be followed, or how each reference leads to the key. */
async function allReferences(
  { paths }: TakenApart,
  model: QueryModel,
  described: DescribedQuery,
  catalog: PostgresCatalog,
): Promise<{ readonly reasons: readonly Reason[] } | { readonly references: readonly PostgresReference[] }> {
  const references = new Map<string, PostgresReference>();
  try {
    for (const path of paths) await addReference(path, described, references);
  } catch (error) {
    return { reasons: [reasonOf(error)] };
  }
  const all = [...references.values()];
  const refused = await firstRefused(all, model, described, catalog);
  return refused ? { reasons: [refused] } : { references: all };
}

async function addReference(
  path: Path,
  described: DescribedQuery,
  references: Map<string, PostgresReference>,
): Promise<void> {
  const reference = await referenceOf(path, described);
  const { table, needs, sql, direct, keyPlaces } = reference;
  const same = JSON.stringify([table.id, needs, keyPlaces, direct, sql?.(1)]);
  if (!references.has(same)) references.set(same, reference);
}

async function firstRefused(
  references: readonly PostgresReference[],
  model: QueryModel,
  described: DescribedQuery,
  catalog: PostgresCatalog,
): Promise<Reason | null> {
  const statements = references.flatMap(({ sql, complete, keyPlaces }) => [
    ...(sql === null ? [] : [sql(1)]),
    ...(complete ? [] : [keysWith(model, described, keyPlaces)]),
  ]);
  for (const statement of statements) {
    try {
      await catalog.verify(statement);
    } catch (error) {
      if (typeof (error as { code?: unknown }).code !== "string") throw error;
      const { message } = error as Error;
      return {
        construct: "a query that was derived from it",
        place: null,
        advice: `the database does not take it: ${message}`,
      };
    }
  }
  return null;
}

function missingOldRows(references: readonly PostgresReference[]): readonly MissingOldRows[] {
  const needed = new Map<PostgresTable, Set<string>>();
  for (const { table, needs } of references) {
    const columns = needed.get(table) ?? new Set();
    needed.set(table, columns);
    for (const name of needs) columns.add(name);
  }
  return [...needed].flatMap(([table, all]): MissingOldRows[] => {
    const { leaves, uniqueIndexes, columns } = table.info;
    const without = leaves.filter(({ replicaIdentity }) =>
      [...all].some((name) => !replicaIdentity.columns.includes(name)),
    );
    if (without.length === 0) return [];
    const missing = [...all].filter((name) =>
      without.some(({ replicaIdentity }) => !replicaIdentity.columns.includes(name)),
    );
    const full = without.map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY FULL`);
    const notNull = new Set(columns.filter((column) => column.notNull).map((column) => column.name));
    const indexes =
      leaves.length > 1 || table.info.kind === "p"
        ? []
        : uniqueIndexes.filter(
            (index) =>
              index.immediate &&
              [...all].every((name) => index.columns.includes(name)) &&
              index.columns.every((name) => notNull.has(name)),
          );
    const byIndex = indexes.map(({ name }) => [
      `ALTER TABLE ${table.info.sql} REPLICA IDENTITY USING INDEX ${quoteIdentifier(name)}`,
    ]);
    return [{ table, columns: missing, statements: [full, ...byIndex] }];
  });
}
