// Models as they are now: their columns, their key, and the SQL that reads them.
import { closest } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Column, Relation } from "../../contracts/relation.ts";
import type { Cursor, KeyValues } from "../../contracts/source.ts";
import type { Database } from "../../kit/duckdb/database.ts";
import { quoteIdentifier, quoteLiteral, quoteName } from "../../kit/sql.ts";
import { canBeKey, columnOf, textSql, valueSql } from "./types.ts";

export interface DescribedModel {
  readonly relation: Relation;
  /** DuckDB's own, one a column. */
  readonly types: readonly string[];
  /** What goes behind FROM. */
  readonly from: string;
}

/** `model NAME`, for errors. */
export function label(model: Model): string {
  return `model ${model.name}`;
}

export class Models {
  readonly #versions = new Map<string, { readonly signature: string; readonly relation: Relation }>();

  /** Throws `source.model` when it is not there, or has no key. */
  async describe(database: Database, model: Model): Promise<DescribedModel> {
    const from = model.kind === "table" ? quoteName(model.table.namespace, model.table.name) : `(\n${model.sql}\n)`;
    const described = await database.rows(`DESCRIBE SELECT * FROM ${from} AS m`);
    const types = described.map((row) => row["column_type"]!);
    const names = described.map((row) => row["column_name"]!);
    const { key, notNull } = await keyOf(database, model);
    const columns = names.map((name, place) =>
      columnOf(name, types[place]!, !notNull.has(name) && !key.includes(name)),
    );
    const places = key.map((name) => placeOf(model, columns, types, name));
    return { relation: this.#intern(model, columns, places), types, from };
  }

  /** The same object as long as nothing changes. */
  #intern(model: Model, columns: readonly Column[], key: readonly number[]): Relation {
    const id =
      model.kind === "table" ? `table:${model.table.namespace ?? ""}:${model.table.name}` : `query:${model.name}`;
    const signature = JSON.stringify([columns.map(({ name, type, nullable }) => [name, type, nullable]), key]);
    const known = this.#versions.get(id);
    if (known?.signature === signature) return known.relation;
    const relation: Relation = {
      id,
      namespace: model.kind === "table" ? (model.table.namespace ?? "main") : "",
      name: model.kind === "table" ? model.table.name : model.name,
      version: (known?.relation.version ?? 0) + 1,
      columns,
      key,
      oldRows: "key",
    };
    this.#versions.set(id, { signature, relation });
    return relation;
  }
}

async function keyOf(
  database: Database,
  model: Model,
): Promise<{ key: readonly string[]; notNull: ReadonlySet<string> }> {
  if (model.kind === "query") return { key: model.key, notNull: new Set() };
  const { namespace, name } = model.table;
  const rows = await database.rows(
    `SELECT constraint_type AS type, CAST(to_json(constraint_column_names) AS VARCHAR) AS columns FROM duckdb_constraints()
     WHERE table_name = ? AND (schema_name = ? OR database_name = ?) AND constraint_type IN ('PRIMARY KEY', 'NOT NULL')`,
    [name, namespace ?? "main", namespace ?? ""],
  );
  const columnsOf = (type: string) =>
    rows.filter((row) => row["type"] === type).map((row) => JSON.parse(row["columns"]!) as string[]);
  const key = model.key ?? columnsOf("PRIMARY KEY")[0];
  if (key === undefined)
    throw new TailraceError("source.model", `${label(model)}: ${name} has no primary key; give the model a \`key\``);
  return { key, notNull: new Set(columnsOf("NOT NULL").flat()) };
}

function placeOf(model: Model, columns: readonly Column[], types: readonly string[], name: string): number {
  const names = columns.map((column) => column.name);
  const place = names.indexOf(name);
  if (place < 0) {
    const like = closest(name, names);
    const hint = like === null ? "" : `; did you mean ${like}?`;
    throw new TailraceError("source.model", `${label(model)}: there is no column ${name} for its key${hint}`);
  }
  if (!canBeKey(types[place]!))
    throw new TailraceError(
      "source.model",
      `${label(model)}: its key ${name} is of type ${types[place]}, which cannot tell rows apart`,
    );
  return place;
}

/** All rows as texts in the order of the key, those behind `after`. Rows whose key is null come last. */
export function rowsSql({ relation, types, from }: DescribedModel, after: Cursor | null): string {
  const key = relation.key.map((place) => `m.${quoteIdentifier(relation.columns[place]!.name)}`);
  const texts = relation.columns.map(({ name }, place) => `${textSql(name, types[place]!)} AS c${place}`);
  const cursor = (after ?? []).map((text, index) => valueSql(quoteLiteral(text), types[relation.key[index]!]!));
  const where = after === null ? "" : ` WHERE (${key.join(", ")}) > (${cursor.join(", ")})`;
  const order = key.map((column) => `${column} ASC NULLS LAST`).join(", ");
  return `SELECT ${texts.join(", ")} FROM ${from} AS m${where} ORDER BY ${order}`;
}

/** The rows that have one of the keys, which come as one list of texts a key column. */
export function lookupSql({ relation, types, from }: DescribedModel): string {
  const texts = relation.columns.map(({ name }, place) => `${textSql(name, types[place]!)} AS c${place}`);
  const lists = relation.key.map((_place, index) => `unnest(CAST($${index + 1} AS VARCHAR[])) AS t${index}`);
  const values = relation.key.map((place, index) => `${valueSql(`t${index}`, types[place]!)} AS k${index}`);
  const on = relation.key.map((place, index) => `m.${quoteIdentifier(relation.columns[place]!.name)} = k.k${index}`);
  return `SELECT ${texts.join(", ")} FROM ${from} AS m SEMI JOIN (SELECT ${values.join(", ")} FROM (SELECT ${lists.join(", ")})) AS k ON ${on.join(" AND ")}`;
}

/** Of the last row that has one. */
export function lastKey(rows: readonly (readonly (string | null)[])[], { key }: Relation): KeyValues | null {
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    const values = key.map((place) => rows[i]![place]);
    if (values.every((value) => typeof value === "string")) return values;
  }
  return null;
}
