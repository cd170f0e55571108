// From a model's SQL and key to what following it by the log takes.
import type { QueryModel } from "../../../contracts/model.ts";
import type { Column } from "../../../contracts/relation.ts";
import { quoteIdentifier } from "../../../kit/sql.ts";
import type { DescribedQuery } from "../describe-query.ts";
import { type Reference, referenceOf } from "./affected-sql.ts";
import { type ParsedSelect, parseSelect } from "./ast.ts";
import type { BaseTable, FunctionInfo, QueryCatalog } from "./catalog.ts";
import type { Surroundings } from "./clauses.ts";
import { Flattening, type Known, type Output, type View } from "./flatten.ts";
import {
  type Container,
  type Expression,
  type Graph,
  type TableReference,
  reduceOuterJoins,
  withPlainEqualities,
} from "./graph.ts";
import { keysWith } from "./model-sql.ts";
import { type Path, findPaths } from "./paths.ts";
import { NotLive, type Reason } from "./reasons.ts";
import { type Screening, screen } from "./screen.ts";

export interface LiveAnalysis {
  readonly kind: "live";
  /** Each base table once. */
  readonly tables: readonly BaseTable[];
  readonly references: readonly Reference[];
  /** Old values that the log does not hold. As long as there are some, the model cannot be followed. */
  readonly missingOldRows: readonly MissingOldRows[];
}

export interface DiffAnalysis {
  readonly kind: "diff";
  /** Those that were found. */
  readonly tables: readonly BaseTable[];
  readonly reasons: readonly Reason[];
  /** Its result changes with the time: looking when a table changed is not enough. */
  readonly timeDependent: boolean;
}

export type QueryAnalysis = LiveAnalysis | DiffAnalysis;

export interface MissingOldRows {
  readonly table: BaseTable;
  readonly columns: readonly string[];
  /** Each on its own is enough. The first always is; the others name a unique index that holds just the columns. */
  readonly statements: readonly (readonly string[])[];
}

/** A UNION within a UNION within … makes a query for each combination of branches. */
const MOST_COMBINATIONS = 64;

/** `described`: what the database says of the same model. */
export async function analyse(
  model: QueryModel,
  described: DescribedQuery,
  catalog: QueryCatalog,
): Promise<QueryAnalysis> {
  let parsed: ParsedSelect;
  try {
    parsed = await parseSelect(model.sql);
  } catch (error) {
    if (!(error instanceof NotLive)) throw error;
    return { kind: "diff", tables: [], reasons: [reasonOf(error)], timeDependent: false };
  }
  const { relation } = described;
  const functions = new Map<string, readonly FunctionInfo[]>();
  const reasons: Reason[] = [];
  const tables = new Map<string, BaseTable>();
  let timeDependent = false;
  const take = (screening: Screening) => {
    reasons.push(...screening.reasons);
    timeDependent ||= screening.timeDependent;
    for (const [called, known] of screening.functions) functions.set(called, known);
  };
  take(await screen(parsed, catalog, (location) => parsed.place(location)));
  const known: Known = { catalog, functions, view: viewLoader(catalog, take) };
  const references = new Map<string, Reference>();
  let choices: readonly number[] | null = [];
  for (let combinations = 0; choices !== null; combinations += 1) {
    const flattening: Flattening = new Flattening(known, choices);
    try {
      if (combinations === MOST_COMBINATIONS) {
        throw new NotLive(`more than ${MOST_COMBINATIONS} combinations of UNION branches`, "split the model");
      }
      const around: Surroundings = {
        scope: null,
        commons: new Map(),
        path: [],
        place: (location) => parsed.place(location),
      };
      const output = await flattening.select(parsed.select, around, null);
      const values = relation.key.map((place) => valueAt(output, place, relation.columns));
      const graph = withPlainEqualities({ ...partsOf(flattening), key: values });
      reduceOuterJoins(graph);
      const { found, unlinked } = findPaths(graph, functions);
      for (const reference of unlinked) reasons.push(unlinkedReason(reference, graph.key, model.key));
      if (reasons.length === 0) await addReferences(found, described, references);
    } catch (error) {
      if (!(error instanceof NotLive)) throw error;
      reasons.push(reasonOf(error));
    }
    for (const { table } of flattening.references) tables.set(table.oid, table);
    choices = reasons.length > 0 ? null : nextChoices(flattening.choices);
  }
  const all = [...references.values()];
  if (reasons.length === 0 && tables.size === 0) {
    reasons.push({ construct: "no table", place: null, advice: "there is nothing to follow" });
  }
  if (reasons.length === 0) {
    const refused = await firstRefused(all, model, described, catalog);
    if (refused) reasons.push(refused);
  }
  const base = { tables: [...tables.values()] };
  if (reasons.length > 0) return { ...base, kind: "diff", reasons: unique(reasons), timeDependent };
  return { ...base, kind: "live", references: all, missingOldRows: missingOldRows(all) };
}

function reasonOf({ construct, place, advice }: NotLive): Reason {
  return { construct, place, advice };
}

function viewLoader(catalog: QueryCatalog, take: (screening: Screening) => void): Known["view"] {
  const views = new Map<string, Promise<View>>();
  const load = async (
    sql: string,
    definition: string,
    columns: readonly string[],
    around: Surroundings,
  ): Promise<View> => {
    const parsed = await parseSelect(definition);
    take(await screen(parsed, catalog, (location) => around.place(location)));
    return { select: parsed.select, columns };
  };
  return (sql, definition, columns, around) => {
    let view = views.get(sql);
    if (!view) views.set(sql, (view = load(sql, definition, columns, around)));
    return view;
  };
}

function partsOf({ references, links, merged }: Flattening): Omit<Graph, "key"> {
  return { references, links, merged };
}

function valueAt(output: Output, place: number, columns: readonly Column[]): Expression | null {
  if (!output.open && output.columns.length === columns.length) return output.columns[place]!.value;
  return output.columns.find(({ name }) => name === columns[place]!.name)?.value ?? null;
}

/** The next combination of branches; null: this was the last. */
function nextChoices(choices: readonly number[]): readonly number[] | null {
  const last = choices.lastIndexOf(0);
  return last < 0 ? null : [...choices.slice(0, last), 1];
}

async function addReferences(
  found: readonly Path[],
  described: DescribedQuery,
  references: Map<string, Reference>,
): Promise<void> {
  for (const path of found) {
    const reference = await referenceOf(path, described);
    const { table, needs, sql, direct, keyPlaces } = reference;
    const same = JSON.stringify([table.oid, needs, keyPlaces, direct, sql?.(1)]);
    if (!references.has(same)) references.set(same, reference);
  }
}

const ABOUT: Readonly<Record<Container["kind"], readonly [string, string]>> = {
  LIMIT: ["LIMIT or OFFSET", "any change can move any row into or out of what it leaves"],
  window: ["a window function", "a change affects every row of its partition, which cannot be told from the row: give it a PARTITION BY of columns"],
  "DISTINCT ON": ["DISTINCT ON", "what it chooses from cannot be told from a changed row: give it columns"],
  aggregate: ["an aggregate over all rows of a subquery", "every change affects every row: link the subquery to the rest, or leave it out"],
  subquery: ["a subquery", "every change in it can affect every row: link it to the rest by an equality"],
  join: ["an outer join", "link it to the rest by an equality of columns"],
}; // prettier-ignore

function unlinkedReason(
  reference: TableReference,
  values: readonly (Expression | null)[],
  key: readonly string[],
): Reason {
  const { home, table, path, place } = reference;
  const unknown = key.filter((_, i) => values[i] === null);
  if (unknown.length === key.length) {
    return {
      construct: `the key (${key.join(", ")})`,
      place: null,
      advice: "it is not made of columns of tables alone, so a changed row does not tell which keys it affects",
    };
  }
  const named = `${table.sql} (${path})`;
  if (home === null) {
    return {
      construct: `${named}, which no condition links to the key`,
      place,
      advice: "link it by an equality of columns",
    };
  }
  const [what, advice] = ABOUT[home.kind];
  return { construct: `${what} over ${named}`, place, advice };
}

async function firstRefused(
  references: readonly Reference[],
  model: QueryModel,
  described: DescribedQuery,
  catalog: QueryCatalog,
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

function missingOldRows(references: readonly Reference[]): readonly MissingOldRows[] {
  const needed = new Map<BaseTable, Set<string>>();
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

function unique(reasons: readonly Reason[]): readonly Reason[] {
  return [...new Map(reasons.map((reason) => [JSON.stringify([reason.construct, reason.place]), reason])).values()];
}
