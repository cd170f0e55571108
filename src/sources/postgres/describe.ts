// A model's table: its columns as the log sends them, and its key.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import { quoteName } from "../../kit/sql.ts";
import { type TableColumn, type TableInfo, type UniqueIndex, describeTable } from "./catalog.ts";
import { didYouMean } from "../../contracts/did-you-mean.ts";
import { asSourceError } from "./source-error.ts";
import { SCHEMA } from "./source-index-tables.ts";

export interface DescribeOptions {
  /** Schema of tables that are named without one. */
  readonly schema: string;
  /** Name of the publication that is, or will be, read. */
  readonly publication: string;
}

/** A model's table, with the columns that the log sends. */
export interface DescribedModel {
  readonly table: TableInfo;
  /** Of version 0: to be interned before it leaves the source. */
  readonly relation: Relation;
  /** One a column of `relation`. */
  readonly columns: readonly TableColumn[];
  /** The index of the key; its columns are the key's, perhaps in another order. */
  readonly index: UniqueIndex;
}

/** Throws `source.model` when there is no such table, or its key is none. */
export async function describe(
  client: pg.Client,
  model: TableModel,
  options: DescribeOptions,
): Promise<DescribedModel> {
  const namespace = model.table.namespace ?? options.schema;
  const table = await describeTable(client, { namespace, name: model.table.name });
  if (!table) throw await missingTable(client, model, namespace);
  if (namespace === SCHEMA) throw wrong(model, `${table.sql} is where Tailrace keeps what was sent`);
  const what = notReadable(table);
  if (what !== null) throw wrong(model, `${table.sql} is ${what}, so the log does not hold its rows`);
  const generatedToo = await sendsGenerated(client, options.publication);
  const columns = table.columns.filter(({ generated }) => generated === "" || (generated === "s" && generatedToo));
  const { names, index } = keyOf(model, table);
  const key = names.map((name) => columns.findIndex((column) => column.name === name));
  if (key.includes(-1)) {
    throw wrong(
      model,
      `key column ${names[key.indexOf(-1)]} of ${table.sql} is generated, and the log does not hold it`,
    );
  }
  // With a partitioned table, the log has what each partition gives.
  const full = [table, ...table.leaves].every(({ replicaIdentity }) => replicaIdentity.kind === "full");
  return {
    table,
    relation: {
      id: table.oid,
      namespace: table.namespace,
      name: table.name,
      version: 0,
      columns: columns.map(({ column }) => column),
      key,
      oldRows: full ? "full" : "key",
      keptPlaces: [...columns.keys()].filter((place) =>
        table.leaves.every(({ replicaIdentity }) => replicaIdentity.columns.includes(columns[place]!.name)),
      ),
    },
    columns,
    index,
  };
}

/** Why the log cannot hold a relation's rows, as a noun; null: it can. */
export function notReadable(table: Pick<TableInfo, "kind" | "persistence">): string | null {
  switch (table.kind) {
    case "r":
    case "p":
      return table.persistence === "u" ? "an unlogged table" : table.persistence === "t" ? "a temporary table" : null;
    case "v":
      return "a view";
    case "m":
      return "a materialised view";
    case "f":
      return "a foreign table";
    default:
      return "not a table";
  }
}

/** A model's key, and the index that makes it one. Throws `source.model` when it does not identify a row. */
export function keyOf(
  model: TableModel,
  table: TableInfo,
): { readonly names: readonly string[]; readonly index: UniqueIndex } {
  if (model.key === null) {
    const primary = table.uniqueIndexes.find((index) => index.primary);
    if (primary) return { names: primary.columns, index: primary };
    const other = table.uniqueIndexes.find(({ columns }) => columns.every((name) => columnOf(table, name)?.notNull));
    const how = other
      ? `its unique index ${other.name} would do: key: [${other.columns.join(", ")}]`
      : "add one, or name a `key`";
    throw wrong(model, `${table.sql} has no ${table.primaryKey ? "ordinary " : ""}primary key; ${how}`);
  }
  const key = model.key;
  for (const name of key) {
    const column = columnOf(table, name);
    if (!column) {
      const hint = didYouMean(
        name,
        table.columns.map((known) => known.name),
      );
      throw wrong(model, `${table.sql} has no column ${name}${hint}, which is named as its key`);
    }
    if (!column.notNull)
      throw wrong(model, `key column ${name} of ${table.sql} may be null: declare it NOT NULL, or choose another key`);
  }
  const index = table.uniqueIndexes.find(
    ({ columns }) => columns.length === key.length && columns.every((name) => key.includes(name)),
  );
  if (!index) {
    throw wrong(
      model,
      `the key (${key.join(", ")}) of ${table.sql} is not unique by an index of just these columns: make one, or choose another key`,
    );
  }
  return { names: key, index };
}

function columnOf(table: TableInfo, name: string): TableColumn | undefined {
  return table.columns.find((column) => column.name === name);
}

/** Whether stored generated columns are in the log: from 18 on, if the publication says so; our own does. */
export async function sendsGenerated(client: pg.Client, publication: string): Promise<boolean> {
  try {
    const { rows } = await client.query<{ sends: string | null }>(
      `SELECT (current_setting('server_version_num')::int >= 180000 AND coalesce(
                (SELECT to_jsonb(p) ->> 'pubgencols' = 's' FROM pg_publication p WHERE p.pubname = $1), true))::text AS sends`,
      [publication],
    );
    return rows[0]!.sends === "true";
  } catch (error) {
    throw asSourceError(error);
  }
}

async function missingTable(client: pg.Client, model: TableModel, namespace: string): Promise<TailraceError> {
  const { rows } = await client.query<{ namespace: string; name: string }>(
    `SELECT n.nspname::text AS namespace, c.relname::text AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      ORDER BY n.nspname = $1 DESC, n.nspname, c.relname LIMIT 5000`,
    [namespace],
  );
  const elsewhere = rows.find((row) => row.name === model.table.name && row.namespace !== namespace);
  const hint = elsewhere
    ? ` (there is ${elsewhere.namespace}.${elsewhere.name})`
    : didYouMean(
        model.table.name,
        rows.filter((row) => row.namespace === namespace).map((row) => row.name),
      );
  return wrong(model, `there is no table ${quoteName(namespace, model.table.name)}${hint}`);
}

function wrong(model: TableModel, what: string): TailraceError {
  return new TailraceError("source.model", `model ${model.name}: ${what}`);
}
