import type { QueryModel, TableModel } from "../../contracts/model.ts";
import type { DbtProblem, Manifest } from "./manifest.ts";
import { type DbtNode, enforcedKey, keysOf } from "./node.ts";

/** What a model has from dbt, beside what is read. */
export interface DbtOrigin {
  /** dbt's id: `model.PROJECT.NAME`. */
  readonly id: string;
  readonly materialized: string;
  /** "" when it has none. */
  readonly description: string;
  /** Those that the project describes. */
  readonly columns: readonly DbtColumn[];
  /** Why it is read as it is: one sentence. */
  readonly because: string;
  /**
   * What brings other rows when dbt builds it: the model itself, and what it is a view of. By id, each with a text that changes when it is to be read
   * in another way.
   */
  readonly builtWith: ReadonlyMap<string, string>;
}

export interface DbtColumn {
  readonly name: string;
  /** As the project declares it; null: it does not. */
  readonly type: string | null;
  readonly description: string;
}

/** What a configuration says of a model that comes from dbt. */
export interface Wanted {
  readonly key: readonly string[] | null;
  readonly capture: QueryModel["capture"];
  readonly windowMs: number;
}

type Read =
  | Pick<TableModel, "kind" | "table" | "key">
  | Pick<QueryModel, "kind" | "sql" | "key" | "capture" | "windowMs">;

export interface DbtReading {
  readonly read: Read;
  /** See {@link DiffSettings}: absent where nothing of dbt decides it. */
  readonly whenChanged?: false;
  readonly origin: DbtOrigin;
}

/** How a dbt model is read. */
export function modelOf(node: DbtNode, manifest: Manifest, wanted: Wanted): DbtReading | DbtProblem {
  const key = keyOf(node, manifest, wanted);
  if ("problem" in key) return key;
  const { built, swapped } = upstream(node, manifest);
  const materialized = node.config.materialized ?? "view";
  const origin = (because: string): DbtOrigin => ({
    id: node.unique_id,
    materialized,
    description: node.description ?? "",
    columns: Object.values(node.columns ?? {}).map(({ name, data_type, description }) => {
      return { name, type: data_type ?? null, description: description ?? "" };
    }),
    because,
    builtWith: built,
  });
  const query = (sql: string, capture: QueryModel["capture"]): Read => {
    return { kind: "query", sql, key: key.columns, capture, windowMs: wanted.windowMs };
  };
  if (materialized === "ephemeral" && !node.compiled_code) {
    return {
      problem: "is ephemeral, and its SQL is not in dbt's manifest",
      fix: "run `dbt compile` or `dbt build`: `dbt parse` and `dbt test` leave it out.",
    };
  }
  if (materialized !== "ephemeral" && !node.relation_name) {
    return {
      problem: `has no relation in dbt's manifest (materialized as \`${materialized}\`)`,
      fix: "run `dbt build`.",
    };
  }
  const all = `SELECT * FROM ${node.relation_name ?? ""}`;
  if (VIEWS.has(materialized)) {
    const sql = materialized === "ephemeral" ? (node.compiled_code ?? "") : all;
    if (swapped === null) {
      return { read: query(sql, wanted.capture), origin: origin("It is a query over tables that stay.") };
    }
    const because = `It reads ${swapped}, which dbt makes anew in each run.`;
    return { read: query(sql, "diff"), whenChanged: false, origin: origin(because) };
  }
  if (materialized === "incremental" && wanted.capture === "auto" && enforcedKey(node) !== null) {
    return {
      read: {
        kind: "table",
        table: { namespace: node.schema ?? null, name: node.alias ?? node.name },
        key: key.columns,
      },
      origin: origin("dbt changes this table in place, and it has a primary key."),
    };
  }
  return { read: query(all, "diff"), whenChanged: false, origin: origin(whyDiff(materialized, wanted)) };
}

function keyOf(
  node: DbtNode,
  manifest: Manifest,
  wanted: Wanted,
): { readonly columns: readonly string[] } | DbtProblem {
  if (wanted.key !== null) return { columns: wanted.key };
  const [key, another] = keysOf(node, manifest.tests);
  if (key === undefined) {
    return {
      problem: "does not say in dbt what identifies a row",
      fix: "add `key: COLUMN`; or in dbt a `unique_key`, or the tests `unique` and `not_null` on one column.",
    };
  }
  if (another !== undefined) {
    return {
      problem: `has more than one key in dbt: ${[key, another].join(" and ")}`,
      fix: `add \`key: ${key.join(", ")}\`, or another of them.`,
    };
  }
  return { columns: key };
}

function whyDiff(materialized: string, wanted: Wanted): string {
  switch (materialized) {
    case "table":
      return "dbt makes this table anew in each run.";
    case "materialized_view":
      return "The rows of a materialized view are in no log.";
    case "incremental":
      return wanted.capture === "diff"
        ? "The configuration says `capture: diff`."
        : "dbt changes this table in place, but makes no primary key on it; with an enforced contract and a `primary_key` constraint its changes would be read as they are committed.";
    default:
      return `What \`${materialized}\` does to its table in a run is not known.`;
  }
}

/** Relations that only hold a query: what they read, who reads them reads. */
const VIEWS: ReadonlySet<string> = new Set(["view", "ephemeral"]);
/** The same table after each run. */
const IN_PLACE: ReadonlySet<string> = new Set(["incremental", "seed", "snapshot"]);

/** How a model is built, as far as the way it is read depends on that. */
export function waysOf(node: DbtNode): string {
  const materialized = node.config.materialized ?? "view";
  const query = VIEWS.has(materialized) ? node.checksum?.checksum : null;
  return [materialized, node.relation_name ?? "", query ?? ""].join(" ");
}

/** What is built when the rows of a model change, and one table below its views that each run replaces, if there is one. */
function upstream(node: DbtNode, manifest: Manifest): { built: ReadonlyMap<string, string>; swapped: string | null } {
  const built = new Map([[node.unique_id, waysOf(node)]]);
  let swapped: string | null = null;
  const visit = ({ config, depends_on }: DbtNode): void => {
    if (!VIEWS.has(config.materialized ?? "view")) return;
    for (const id of depends_on?.nodes ?? []) {
      const parent = manifest.node(id);
      if (parent === null || built.has(id)) continue;
      built.set(id, waysOf(parent));
      const materialized = parent.config.materialized ?? "view";
      if (!VIEWS.has(materialized) && !IN_PLACE.has(materialized)) swapped ??= parent.name;
      visit(parent);
    }
  };
  visit(node);
  return { built, swapped };
}
