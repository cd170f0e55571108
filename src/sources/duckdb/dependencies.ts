// What a query reads, and whether its result changes by itself: from DuckDB's own parse of it.
import type { Database } from "../../kit/duckdb/database.ts";
import { formatOf } from "./views.ts";

export interface Dependencies {
  /** Names of the tables in FROM, in small letters; those of WITH are among them. */
  readonly tables: ReadonlySet<string>;
  /** First parts of names of more than one part, in small letters: a schema, or an attached database. */
  readonly qualifiers: ReadonlySet<string>;
  /** Files that it names itself: `FROM 'a.parquet'`, `read_csv('…')`. */
  readonly files: readonly string[];
  /** Functions whose result changes with time, or with every call. */
  readonly unsteady: readonly string[];
}

/** null: DuckDB cannot say (it is no SELECT). */
export async function dependenciesOf(database: Database, sql: string): Promise<Dependencies | null> {
  const [row] = await database.rows("SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR) AS tree", [sql]);
  const tree = JSON.parse(row?.["tree"] ?? "null") as Node;
  if (tree === null || tree["error"] !== false) return null;
  const found = { tables: new Set<string>(), qualifiers: new Set<string>(), files: new Set<string>() };
  const called = new Set<string>();
  walk(tree, found, called);
  const names = [...called];
  const unsteady = await database.rows(
    "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY') AND list_contains(CAST(CAST(? AS JSON) AS VARCHAR[]), function_name) ORDER BY 1",
    [JSON.stringify(names)],
  );
  return { ...found, files: [...found.files], unsteady: unsteady.map(({ name }) => name!) };
}

type Node = Readonly<Record<string, unknown>>;

interface Found {
  readonly tables: Set<string>;
  readonly qualifiers: Set<string>;
  readonly files: Set<string>;
}

function walk(value: unknown, found: Found, called: Set<string>): void {
  if (Array.isArray(value)) for (const each of value) walk(each, found, called);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  const node = value as Node;
  if (node["type"] === "BASE_TABLE") {
    const name = String(node["table_name"]);
    found.tables.add(name.toLowerCase());
    if (formatOf(name) !== null) found.files.add(name);
    for (const part of [node["catalog_name"], node["schema_name"]])
      if (typeof part === "string" && part !== "") found.qualifiers.add(part.toLowerCase());
  }
  // A function of files has them as its first argument, one or a list.
  if (node["type"] === "TABLE_FUNCTION") addTexts((node["function"] as Node | undefined)?.["children"], found.files);
  if (node["class"] === "FUNCTION") called.add(String(node["function_name"]).toLowerCase());
  // `current_date` and its like are written without parentheses, as columns are.
  if (node["class"] === "COLUMN_REF") {
    const names = node["column_names"];
    if (Array.isArray(names) && names.length === 1 && /^(current_|local)/i.test(String(names[0])))
      called.add(String(names[0]).toLowerCase());
  }
  for (const each of Object.values(node)) walk(each, found, called);
}

function addTexts(children: unknown, to: Set<string>): void {
  const first = Array.isArray(children) ? (children[0] as Node | undefined) : undefined;
  if (first === undefined) return;
  if (first["class"] === "CONSTANT") {
    const text = (first["value"] as Node | undefined)?.["value"];
    if (typeof text === "string") to.add(text);
  } else if (Array.isArray(first["children"])) for (const each of first["children"]) addTexts([each], to);
}
