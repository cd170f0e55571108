// What a query may read: every table that its text names, through views, and those whose foreign keys change one of them.
import type { Relation } from "../../contracts/relation.ts";
import { type TableInfo, describeTable } from "./catalog.ts";
import type { Connection } from "./connection.ts";
import { relationId, relationOf } from "./describe.ts";
import { cascadesOf, definitionOf, isSystem } from "./definitions.ts";
import type { Server } from "./server.ts";
import { literal, tableName } from "./sql.ts";
import { namesIn } from "./statements.ts";

export interface QueryReads {
  readonly tables: readonly TableInfo[];
  readonly views: readonly { readonly database: string; readonly name: string; readonly definition: string | null }[];
}

const NAMES_AT_ONCE = 200;

/** Rather too much than too little: a column that is called like a table counts as the table. */
export async function readsOf(
  connection: Connection,
  server: Server,
  sql: string,
  database: string | undefined,
): Promise<QueryReads> {
  const tables = new Map<string, TableInfo>();
  const views = new Map<string, QueryReads["views"][number]>();
  const texts = [{ sql, database: database ?? "" }];
  for (let text = texts.pop(); text !== undefined; text = texts.pop()) {
    for (const { database: schema, name, kind } of await named(connection, text.sql, text.database)) {
      const id = relationId(schema, name);
      if (isSystem(schema) || tables.has(id) || views.has(id)) continue;
      if (kind === "VIEW") {
        const definition = await definitionOf(connection, schema, name);
        views.set(id, { database: schema, name, definition });
        if (definition !== null) texts.push({ sql: definition, database: schema });
        continue;
      }
      const info = await describeTable(connection, server.mariadb, schema, name);
      if (!info) continue;
      tables.set(id, info);
      for (const { parent } of await cascadesOf(connection, tableName(schema, name))) {
        texts.push({ sql: parent, database: schema });
      }
    }
  }
  return { tables: [...tables.values()], views: [...views.values()] };
}

async function named(
  connection: Connection,
  sql: string,
  database: string,
): Promise<readonly { readonly database: string; readonly name: string; readonly kind: string }[]> {
  const pairs = new Map(namesIn(sql, database).map((name) => [`${name.database}.${name.table}`, name]));
  const all = [...pairs.values()];
  const found: { readonly database: string; readonly name: string; readonly kind: string }[] = [];
  for (let at = 0; at < all.length; at += NAMES_AT_ONCE) {
    const list = all.slice(at, at + NAMES_AT_ONCE).map((one) => `(${literal(one.database)}, ${literal(one.table)})`);
    const rows = await connection.rows(
      `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_TYPE AS kind FROM information_schema.TABLES
        WHERE (TABLE_SCHEMA, TABLE_NAME) IN (${list.join(", ")})`,
    );
    found.push(...rows.map((row) => ({ database: row["db"]!, name: row["name"]!, kind: row["kind"]! })));
  }
  return found;
}

/** As the log has a table that is no model's own; of version 0. */
export function baseRelation(table: TableInfo, server: Server): Relation {
  const columns = table.columns.filter(({ generated }) => generated !== "virtual");
  const [primary] = table.uniqueIndexes;
  const names = primary?.name === "PRIMARY" ? primary.columns : [];
  const key = names.map((name) => columns.findIndex((column) => column.name === name));
  return relationOf(table, columns, key.includes(-1) ? [] : key, server);
}

/** What is said to have been touched when a table or view is altered, or written to in a way that the log does not tell by row. */
export function definitionRelation(database: string, name: string): Relation {
  return {
    id: definitionId(database, name),
    namespace: database,
    name,
    version: 0,
    columns: [],
    key: [],
    oldRows: "key",
  };
}

export function definitionId(database: string, name: string): string {
  return `${relationId(database, name)} (definition)`;
}
