// From a model's SQL and key to what following it by the log takes.
import type { QueryModel } from "../../../contracts/model.ts";
import type { Path } from "../../../kit/live-query/paths.ts";
import { NotLive, type Reason, reasonOf } from "../../../kit/live-query/reasons.ts";
import { takeApart } from "../../../kit/live-query/take-apart.ts";
import { type Node, names } from "../../../kit/live-query/tree.ts";
import type { Connection, ResultColumn } from "../connection.ts";
import type { RelationSource } from "../relation-source.ts";
import type { Server } from "../server.ts";
import { serverErrorNumber } from "../source-error.ts";
import { identifier } from "../sql.ts";
import { type MysqlReference, referenceOf } from "./affected-sql.ts";
import type { MysqlTable, ServerCatalog } from "./catalog.ts";
import { familyOf } from "./families.ts";
import { parseSelect } from "./parse.ts";
import { screen } from "./screen.ts";

export interface LiveAnalysis {
  readonly kind: "live";
  /** Each base table once. */
  readonly tables: readonly MysqlTable[];
  readonly references: readonly MysqlReference[];
  /** Columns whose old values it takes, and the log does not hold. As long as there are some, it cannot be followed. */
  readonly missingOld: readonly { readonly table: MysqlTable; readonly columns: readonly string[] }[];
}

export interface DiffAnalysis {
  readonly kind: "diff";
  readonly reasons: readonly Reason[];
  readonly timeDependent: boolean;
}

export type QueryAnalysis = LiveAnalysis | DiffAnalysis;

/** `source`: what the server says of the same model. */
export async function analyse(
  model: Pick<QueryModel, "sql" | "key">,
  source: RelationSource,
  connection: Connection,
  catalog: ServerCatalog,
  server: Server,
): Promise<QueryAnalysis> {
  const { relation } = source;
  const folded = relation.columns.map((column) => ({ ...column, name: column.name.toLowerCase() }));
  const taken = await takeApart(
    model,
    { columns: folded, key: relation.key },
    {
      catalog,
      looseGroups: true,
      resultName,
      parse: parseSelect,
      screen: (parsed, place) => Promise.resolve(screen(parsed, place)),
    },
  );
  const { timeDependent } = taken;
  const diff = (...reasons: Reason[]): DiffAnalysis => ({ kind: "diff", reasons, timeDependent });
  if (taken.reasons.length > 0) return diff(...taken.reasons);
  const tables = [...taken.tables.values()] as MysqlTable[];
  const changedUnseen = tables.find(({ cascades }) => cascades.length > 0);
  if (changedUnseen) {
    return diff({
      construct: `${changedUnseen.sql}, which foreign keys change (${changedUnseen.cascades.map(({ constraint }) => constraint).join(", ")})`,
      place: null,
      advice: "what a cascade does is not in the log: delete and update the rows by statements (ON DELETE RESTRICT)",
    });
  }
  try {
    const families = await familiesOf(model, source, connection);
    const references = await allReferences(taken.paths, families, connection);
    return { kind: "live", tables, references, missingOld: missingOld(references, server) };
  } catch (error) {
    return diff(reasonOf(error));
  }
}

/** How the server calls a column of a result that has no AS; else, it is the text of the expression. */
function resultName(expression: Node): string | null {
  return "ColumnRef" in expression ? (names(expression.ColumnRef.fields).at(-1) ?? null) : null;
}

async function familiesOf(
  { key }: Pick<QueryModel, "key">,
  { from }: RelationSource,
  connection: Connection,
): Promise<readonly string[]> {
  const columns = await columnsOf(
    connection,
    `SELECT ${key.map((name) => `t.${identifier(name)}`).join(", ")} FROM ${from} LIMIT 0`,
  );
  return columns.map(familyOf);
}

async function columnsOf(connection: Connection, sql: string): Promise<readonly ResultColumn[]> {
  let found: readonly ResultColumn[] = [];
  await connection.stream(sql, { columns: (columns) => (found = columns), row: () => {} });
  return found;
}

/** Throws {@link NotLive} when the server does not take a query of it, or gives keys of another form. */
async function allReferences(
  paths: readonly Path[],
  families: readonly string[],
  connection: Connection,
): Promise<readonly MysqlReference[]> {
  const references = new Map<string, MysqlReference>();
  for (const path of paths) {
    const reference = referenceOf(path, families);
    const { table, needs, sql, direct, keyPlaces } = reference;
    const text = sql?.([]);
    const same = JSON.stringify([table.id, needs, keyPlaces, direct, text]);
    if (references.has(same)) continue;
    references.set(same, reference);
    if (text === undefined) continue;
    let columns: readonly ResultColumn[];
    try {
      columns = await columnsOf(connection, `${text} LIMIT 0`);
    } catch (error) {
      if (serverErrorNumber(error) === null) throw error;
      throw new NotLive("a query that was derived from it", `the server does not take it: ${(error as Error).message}`);
    }
    const wrong = columns.findIndex((column, i) => familyOf(column) !== families[keyPlaces[i]!]);
    if (wrong !== -1) {
      throw new NotLive(
        `the key, whose values are written in another way where they come from (${reference.path})`,
        "give it one type by CAST, or the columns the same type",
      );
    }
  }
  return [...references.values()];
}

function missingOld(references: readonly MysqlReference[], { variables }: Server): LiveAnalysis["missingOld"] {
  if (variables.binlog_row_image === undefined || variables.binlog_row_image === "FULL") return [];
  const missing = new Map<MysqlTable, Set<string>>();
  for (const { table, needs } of references) {
    const key = new Set(table.keys[0]);
    const beyond = needs.filter((name) => !key.has(name));
    if (beyond.length > 0) missing.set(table, new Set([...(missing.get(table) ?? []), ...beyond]));
  }
  return [...missing].map(([table, columns]) => ({ table, columns: [...columns] }));
}
