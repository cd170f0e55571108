// A model's query, taken apart into ways from each table to its key, whatever database it is of.
import type { QueryModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { BaseTable, FunctionInfo, QueryCatalog } from "./catalog.ts";
import type { Surroundings } from "./clauses.ts";
import { Flattening, type Known, type Output, type View } from "./flatten.ts";
import {
  type Container,
  type Expression,
  type TableReference,
  reduceOuterJoins,
  withPlainEqualities,
} from "./graph.ts";
import { type Path, findPaths } from "./paths.ts";
import { NotLive, type Reason, reasonOf } from "./reasons.ts";
import type { Functions } from "./scope.ts";
import type { ParsedSelect } from "./tree.ts";

/** What a query's text says of itself, whatever its tables are. */
export interface Screening {
  /** What in it rules out following it. */
  readonly reasons: readonly Reason[];
  /** Its result changes as time passes. */
  readonly timeDependent: boolean;
  /** Those that it calls. */
  readonly functions: Functions;
}

export interface Dialect {
  readonly catalog: QueryCatalog;
  readonly looseGroups: boolean;
  resultName: Known["resultName"];
  /** Throws {@link NotLive}. */
  parse(sql: string): Promise<ParsedSelect>;
  /** `place`: what is said of where something is; of a view's definition, where the view is named. */
  screen(parsed: ParsedSelect, place: ParsedSelect["place"]): Promise<Screening>;
}

export interface TakenApart {
  /** Each base table once, by its id; those that were found. */
  readonly tables: ReadonlyMap<string, BaseTable>;
  /** Why it cannot be followed; empty: it can. */
  readonly reasons: readonly Reason[];
  readonly timeDependent: boolean;
  /** Of each reference to a table, for each combination of UNION branches. */
  readonly paths: readonly Path[];
}

/** A UNION within a UNION within … makes a query for each combination of branches. */
const MOST_COMBINATIONS = 64;

/** `relation`: what the database says of the model's result. `key`: the names of its key. */
export async function takeApart(
  { sql, key }: Pick<QueryModel, "sql" | "key">,
  relation: Pick<Relation, "columns" | "key">,
  dialect: Dialect,
): Promise<TakenApart> {
  const reasons: Reason[] = [];
  const tables = new Map<string, BaseTable>();
  const paths: Path[] = [];
  let parsed: ParsedSelect;
  try {
    parsed = await dialect.parse(sql);
  } catch (error) {
    return { tables, reasons: [reasonOf(error)], timeDependent: false, paths };
  }
  const functions = new Map<string, readonly FunctionInfo[]>();
  let timeDependent = false;
  const take = (screening: Screening) => {
    reasons.push(...screening.reasons);
    timeDependent ||= screening.timeDependent;
    for (const [called, known] of screening.functions) functions.set(called, known);
  };
  take(await dialect.screen(parsed, (location) => parsed.place(location)));
  const { catalog, looseGroups } = dialect;
  const known: Known = {
    catalog,
    functions,
    looseGroups,
    resultName: (expression) => dialect.resultName(expression),
    view: viewLoader(dialect, take),
  };
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
      const { references, links, merged } = flattening;
      const graph = withPlainEqualities({ references, links, merged, key: values });
      reduceOuterJoins(graph);
      const { found, unlinked } = findPaths(graph, functions);
      for (const reference of unlinked) reasons.push(unlinkedReason(reference, graph.key, key));
      paths.push(...found);
    } catch (error) {
      reasons.push(reasonOf(error));
    }
    for (const { table } of flattening.references) tables.set(table.id, table);
    choices = reasons.length > 0 ? null : nextChoices(flattening.choices);
  }
  if (reasons.length === 0 && tables.size === 0) {
    reasons.push({ construct: "no table", place: null, advice: "there is nothing to follow" });
  }
  return { tables, reasons: unique(reasons), timeDependent, paths };
}

function viewLoader(dialect: Dialect, take: (screening: Screening) => void): Known["view"] {
  const views = new Map<string, Promise<View>>();
  const load = async (definition: string, columns: readonly string[], around: Surroundings): Promise<View> => {
    const parsed = await dialect.parse(definition);
    take(await dialect.screen(parsed, (location) => around.place(location)));
    return { select: parsed.select, columns };
  };
  return (sql, definition, columns, around) => {
    let view = views.get(sql);
    if (!view) views.set(sql, (view = load(definition, columns, around)));
    return view;
  };
}

function valueAt(output: Output, place: number, columns: Relation["columns"]): Expression | null {
  const wanted = columns[place]!.name;
  const there = !output.open && output.columns.length === columns.length ? output.columns[place]! : null;
  if (there && (there.name ?? wanted) === wanted) return there.value;
  return output.columns.find(({ name }) => name === wanted)?.value ?? null;
}

/** The next combination of branches; null: this was the last. */
function nextChoices(choices: readonly number[]): readonly number[] | null {
  const last = choices.lastIndexOf(0);
  return last < 0 ? null : [...choices.slice(0, last), 1];
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

function unique(reasons: readonly Reason[]): readonly Reason[] {
  return [...new Map(reasons.map((reason) => [JSON.stringify([reason.construct, reason.place]), reason])).values()];
}
