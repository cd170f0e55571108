// The statement that reads a query's rows by their keys.
import type pg from "pg";
import type { QueryModel } from "../../contracts/model.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { type DescribedQuery, fromModel } from "./describe-query.ts";
import { type FullRead, fullReads } from "./full-reads.ts";

export interface RowsOfKeys {
  /** All columns of the rows of some keys; `$1` …: a list of texts a key column, each key once. */
  readonly sql: string;
  /** Tables that are read as a whole though a single key is asked for. */
  readonly fullReads: readonly FullRead[];
}

/** Of two ways the one that reads fewer tables as a whole, then the cheaper one. `client`: a session for models. */
export async function rowsOfKeys(client: pg.Client, model: QueryModel, described: DescribedQuery): Promise<RowsOfKeys> {
  const { length } = described.key;
  const each = keyByKey(model, described);
  const all = atOnce(model, described);
  const ofEach = await fullReads(client, each, length);
  const ofAll = await fullReads(client, all, length);
  const fewer = ofAll.reads.length - ofEach.reads.length || ofAll.cost - ofEach.cost;
  return { sql: fewer < 0 ? all : each, fullReads: ofEach.reads };
}

/**
 * A value that equals the key reaches through joins and groupings into the model, which a list of values does not. OFFSET 0 keeps the
 * planner from making a join of it, above them.
 */
function keyByKey(model: QueryModel, { key, relation }: DescribedQuery): string {
  const match = key.map(({ sql, operators }, i) => `${sql} ${operators.equal} k.k${i}`).join(" AND ");
  const values = key.map(({ sqlType }, i) => `t.k${i}::${sqlType} AS k${i}`).join(", ");
  return `SELECT o.* FROM (SELECT ${values} FROM ${keyLists(key.length)} AS t (${keyNames(key.length)})) AS k
CROSS JOIN LATERAL (SELECT ${columns(relation)} FROM ${fromModel(model)} WHERE ${match} OFFSET 0) AS o`;
}

/** For a model that is evaluated as a whole, whatever is asked of it. */
function atOnce(model: QueryModel, { key, relation }: DescribedQuery): string {
  const [first] = key;
  const select = `SELECT ${columns(relation)} FROM ${fromModel(model)} WHERE`;
  if (first && key.length === 1) {
    return `${select} ${first.sql} ${first.operators.equal} ANY ($1::pg_catalog.text[]::${first.sqlType}[])`;
  }
  const match = key.map(({ sql, sqlType, operators }, i) => `${sql} ${operators.equal} k.k${i}::${sqlType}`);
  return `${select} EXISTS (SELECT FROM ${keyLists(key.length)} AS k (${keyNames(key.length)}) WHERE ${match.join(" AND ")})`;
}

function columns(relation: DescribedQuery["relation"]): string {
  return relation.columns.map(({ name }) => `m.${quoteIdentifier(name)}`).join(", ");
}

function keyLists(count: number): string {
  const lists = Array.from({ length: count }, (_, i) => `pg_catalog.unnest($${i + 1}::pg_catalog.text[])`);
  return `ROWS FROM (${lists.join(", ")})`;
}

function keyNames(count: number): string {
  return Array.from({ length: count }, (_, i) => `k${i}`).join(", ");
}
