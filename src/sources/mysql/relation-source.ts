// A relation that rows are read from: a table, or a query. Everything that reading needs of it is here.
import { TailraceError } from "../../contracts/errors.ts";
import type { Model, QueryModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import { type ReadColumn, readColumn } from "./columns.ts";
import type { Connection } from "./connection.ts";
import { describeModel, sqlOf } from "./describe.ts";
import { resultColumn } from "./result-columns.ts";
import { identifier } from "./sql.ts";

export interface RelationSource {
  /** Of version 0: to be interned before it leaves the source. */
  readonly relation: Relation;
  /** One a column of `relation`. */
  readonly columns: readonly ReadColumn[];
  /** What stands in FROM, as `t`. */
  readonly from: string;
  /** Places of the key's columns, in the order that rows are read in. */
  readonly order: readonly number[];
}

/** Throws `source.model` when there is no such relation, or its key is none. */
export async function relationSource(
  connection: Connection,
  model: Model,
  database: string | undefined,
): Promise<RelationSource> {
  if (model.kind === "query") return querySource(connection, model);
  const { table, relation, columns, index } = await describeModel(connection, model, database);
  return {
    relation,
    columns: columns.map(readColumn),
    from: `${sqlOf(table)} AS t FORCE INDEX (${identifier(index.name)})`,
    order: index.columns.map((name) => relation.columns.findIndex((column) => column.name === name)),
  };
}

async function querySource(connection: Connection, model: QueryModel): Promise<RelationSource> {
  // The line break ends a comment that the query may end in.
  const from = `(${model.sql}\n) AS t`;
  let columns: readonly ReadColumn[] = [];
  await connection.stream(`SELECT * FROM ${from} LIMIT 0`, {
    columns: (found) => (columns = found.map(resultColumn)),
    row: () => {},
  });
  const key = model.key.map((name) => columns.findIndex(({ column }) => column.name === name));
  if (key.includes(-1)) {
    throw new TailraceError(
      "source.model",
      `model ${model.name}: its query has no column ${model.key[key.indexOf(-1)]}, which is named as its key`,
    );
  }
  const relation: Relation = {
    id: `query ${model.name}`,
    namespace: "",
    name: model.name,
    version: 0,
    columns: columns.map(({ column }) => column),
    key,
    oldRows: "key",
  };
  return { relation, columns, from, order: key };
}
