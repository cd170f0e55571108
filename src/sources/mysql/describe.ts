// A model's table: its columns as the log has them, and its key.
import { didYouMean } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import { type TableColumn, type TableInfo, type UniqueIndex, describeTable } from "./catalog.ts";
import { columnOf } from "./columns.ts";
import type { Connection } from "./connection.ts";
import { readServer, type Server } from "./server.ts";
import { literal, tableName } from "./sql.ts";

/** A model's table, with the columns that are read. */
export interface DescribedModel {
  readonly table: TableInfo;
  /** Of version 0: to be interned before it leaves the source. */
  readonly relation: Relation;
  /** One a column of `relation`. */
  readonly columns: readonly TableColumn[];
  /** The index of the key; its columns are the key's, perhaps in another order. */
  readonly index: UniqueIndex;
}

export function relationId(database: string, table: string): string {
  return `${database}.${table}`;
}

/** Throws `source.model` when there is no such table, or its key is none. */
export async function describeModel(
  connection: Connection,
  model: TableModel,
  database: string | undefined,
): Promise<DescribedModel> {
  const server = await readServer(connection);
  const namespace = namespaceOf(model, database);
  const table = await describeTable(connection, server.mariadb, namespace, model.table.name);
  if (!table) throw await missingTable(connection, model, namespace);
  if (!isTable(table))
    throw wrong(model, `${sqlOf(table)} is a ${table.kind.toLowerCase()}, so the log does not hold its rows`);
  const columns = table.columns.filter(({ generated }) => generated !== "virtual");
  const { names, index } = keyOf(model, table);
  const key = names.map((name) => columns.findIndex((column) => column.name === name));
  if (key.includes(-1))
    throw wrong(model, `key column ${names[key.indexOf(-1)]} of ${sqlOf(table)} is generated and not stored`);
  return { table, relation: relationOf(table, columns, key, server), columns, index };
}

export function relationOf(
  table: Pick<TableInfo, "database" | "name">,
  columns: readonly TableColumn[],
  key: readonly number[],
  server: Server,
): Relation {
  return {
    id: relationId(table.database, table.name),
    namespace: table.database,
    name: table.name,
    version: 0,
    columns: columns.map(columnOf),
    key,
    oldRows: server.variables.binlog_row_image === "FULL" ? "full" : "key",
  };
}

/** Whether the log holds its rows. */
export function isTable({ kind }: TableInfo): boolean {
  return kind === "BASE TABLE" || kind === "SYSTEM VERSIONED";
}

/** The database of a model's table. Throws `source.model` when neither it nor the settings name one. */
export function namespaceOf(model: TableModel, database: string | undefined): string {
  const namespace = model.table.namespace ?? database;
  if (namespace === undefined)
    throw wrong(
      model,
      `table ${model.table.name} needs its database: DATABASE.${model.table.name}, or \`database\` on the source`,
    );
  return namespace;
}

/** A model's key, and the index that makes it one. Throws `source.model` when it does not identify a row. */
export function keyOf(
  model: TableModel,
  table: TableInfo,
): { readonly names: readonly string[]; readonly index: UniqueIndex } {
  const notNull = (name: string) => table.columns.find((column) => column.name === name)?.nullable === false;
  if (model.key === null) {
    const [first] = table.uniqueIndexes;
    if (first?.name === "PRIMARY") return { names: first.columns, index: first };
    const other = table.uniqueIndexes.find(({ columns }) => columns.every(notNull));
    const how = other
      ? `its unique index ${other.name} would do: key: [${other.columns.join(", ")}]`
      : "add one, or name a `key`";
    throw wrong(model, `${sqlOf(table)} has no primary key; ${how}`);
  }
  const names = model.key.map((wanted) => {
    // Names of columns do not differ by case.
    const column = table.columns.find(({ name }) => name.toLowerCase() === wanted.toLowerCase());
    if (!column) {
      const hint = didYouMean(
        wanted,
        table.columns.map((known) => known.name),
      );
      throw wrong(model, `${sqlOf(table)} has no column ${wanted}${hint}, which is named as its key`);
    }
    if (column.nullable)
      throw wrong(
        model,
        `key column ${wanted} of ${sqlOf(table)} may be null: declare it NOT NULL, or choose another key`,
      );
    return column.name;
  });
  const index = table.uniqueIndexes.find(
    ({ columns }) => columns.length === names.length && columns.every((name) => names.includes(name)),
  );
  if (!index)
    throw wrong(
      model,
      `the key (${names.join(", ")}) of ${sqlOf(table)} is not unique by an index of just these columns: make one, or choose another key`,
    );
  return { names, index };
}

export function sqlOf({ database, name }: Pick<TableInfo, "database" | "name">): string {
  return tableName(database, name);
}

async function missingTable(connection: Connection, model: TableModel, namespace: string): Promise<TailraceError> {
  const rows = await connection.rows(
    `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name FROM information_schema.TABLES
      WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
      ORDER BY TABLE_SCHEMA <> ${literal(namespace)}, TABLE_SCHEMA, TABLE_NAME LIMIT 5000`,
  );
  const elsewhere = rows.find((row) => row["name"] === model.table.name && row["db"] !== namespace);
  const hint = elsewhere
    ? ` (there is ${elsewhere["db"]}.${elsewhere["name"]})`
    : didYouMean(
        model.table.name,
        rows.filter((row) => row["db"] === namespace).map((row) => row["name"]!),
      );
  return wrong(
    model,
    `there is no table ${tableName(namespace, model.table.name)}${hint}, or the user may not read it`,
  );
}

function wrong(model: TableModel, what: string): TailraceError {
  return new TailraceError("source.model", `model ${model.name}: ${what}`);
}
