// Every statement that reads rows.
import { quoteName, quoteText } from "./names.ts";
import { textSql, valueSql } from "./types.ts";

/** A column as DESCRIBE prints it. */
export interface ColumnType {
  readonly name: string;
  readonly type: string;
}

/** Rows' columns in order, and which of them are the key. */
export interface Shape {
  readonly columns: readonly ColumnType[];
  readonly key: readonly number[];
}

/** A column of the rows themselves, whatever the result's columns are called. */
const own = (name: string): string => `m.${quoteName(name)}`;

const texts = ({ columns }: Shape): string =>
  columns.map(({ name, type }, place) => `${textSql(own(name), type)} AS c${place}`).join(", ");

const keyNames = ({ columns, key }: Shape): string[] => key.map((place) => own(columns[place]!.name));

/** The columns of any SELECT. */
export function describeSql(select: string): string {
  return `DESCRIBE QUERY ${select}`;
}

/** A table's rows as of a version. */
export function tableAt(table: string, version: bigint): string {
  return `${table} VERSION AS OF ${version}`;
}

export function queryRows(sql: string): string {
  return `(\n${sql}\n)`;
}

/** Both ends inclusive. */
export function changesOf(table: string, first: bigint, last: bigint): string {
  return `table_changes(${quoteText(table)}, ${first}, ${last})`;
}

/**
 * Columns `v`, `us`, `op`, then each column's text as `c0`, `c1` …; in the order that `ModelFeed.changes` asks for. Where several rows have
 * one key, their texts decide. What is ordered by is computed beneath: Spark takes no window function in an ORDER BY.
 */
export function changesSql(from: string, shape: Shape): string {
  const key = keyNames(shape);
  const order = [
    "m._commit_version",
    `max(CASE WHEN m._change_type IN ('insert', 'update_postimage') THEN 1 ELSE 0 END) OVER (PARTITION BY m._commit_version, ${key.join(", ")})`,
    ...key,
    "CASE WHEN m._change_type IN ('delete', 'update_preimage') THEN 0 ELSE 1 END",
  ];
  const all = shape.columns.map((_, place) => `c${place}`).join(", ");
  return `SELECT v, us, op, ${all} FROM (
  SELECT CAST(m._commit_version AS STRING) AS v, CAST(unix_micros(m._commit_timestamp) AS STRING) AS us, m._change_type AS op, ${texts(shape)}, ${order.map((each, place) => `${each} AS o${place}`).join(", ")}
  FROM ${from} AS m
) ORDER BY ${order.map((_, place) => `o${place}`).join(", ")}, ${all}`;
}

/** `isAfter`: rows behind the key whose texts are the parameters `k0`, `k1` … */
export function rowsSql(from: string, shape: Shape, isAfter: boolean): string {
  const key = keyNames(shape);
  const values = shape.key.map((place, index) => valueSql(`:k${index}`, shape.columns[place]!.type));
  const behind = key.map((column, index) => {
    const equal = key.slice(0, index).map((each, at) => `${each} = ${values[at]} AND `);
    return `(${equal.join("")}${column} > ${values[index]})`;
  });
  const where = isAfter ? ` WHERE ${behind.join(" OR ")}` : "";
  return `SELECT ${texts(shape)} FROM ${from} AS m${where} ORDER BY ${key.join(", ")}`;
}

/** Rows of the keys in the parameter `keys`, a JSON array of objects `{"k0": …}`. */
export function lookupSql(from: string, shape: Shape): string {
  const { columns, key } = shape;
  const fields = key.map((_, index) => `k${index}: STRING`).join(", ");
  const values = key.map((place, index) => `${valueSql(`a.k${index}`, columns[place]!.type)} AS k${index}`);
  const equal = key.map((place, index) => `${own(columns[place]!.name)} = asked.k${index}`);
  return `SELECT ${texts(shape)} FROM ${from} AS m JOIN (SELECT DISTINCT ${values.join(", ")} FROM (SELECT explode(from_json(:keys, 'ARRAY<STRUCT<${fields}>>')) AS a)) AS asked ON ${equal.join(" AND ")}`;
}
