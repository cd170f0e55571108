// Every statement that reads rows.
import { quoteName, quoteText, sqlName, type TablePlace } from "./names.ts";
import { type Field, textSql, valueSql } from "./types.ts";

/** Rows' columns in order, and which of them are the key. */
export interface Shape {
  readonly fields: readonly Field[];
  readonly key: readonly number[];
}

/** Which function tells a table's history: all changes of rows, or those that were added. */
export type History = "CHANGES" | "APPENDS";

/** The longest window that CHANGES takes. */
export const DAY_US = 86_400_000_000n;

export const CLOCK_SQL = "SELECT UNIX_MICROS(CURRENT_TIMESTAMP()) AS now";

const texts = ({ fields }: Shape): string => fields.map((field, place) => `${textSql(field)} AS c${place}`).join(", ");

const keyNames = ({ fields, key }: Shape): string[] => key.map((place) => `m.${quoteName(fields[place]!.name)}`);

function instant(us: bigint): string {
  return `TIMESTAMP_MICROS(${us})`;
}

/** A table's rows as of a time: `FROM …`. */
export function tableAt(place: TablePlace, us: bigint): string {
  return `${sqlName(place)} AS m FOR SYSTEM_TIME AS OF ${instant(us)}`;
}

/** What is not a table with a history: a view, a query. */
export function rowsOf(sql: string): string {
  return `(\n${sql}\n) AS m`;
}

/**
 * Changes from `start` on, those at `end` not among them. Columns: when (µs), which image of the row, then each column's text; in the
 * order that `ModelFeed.changes` asks for. Where several rows have one key, their texts decide.
 */
export function changesSql(history: History, place: TablePlace, shape: Shape, start: bigint, end: bigint): string {
  const key = keyNames(shape).join(", ");
  const all = shape.fields.map((_, index) => `c${index}`).join(", ");
  const remains = `MAX(IF(_CHANGE_TYPE = 'DELETE', 0, 1)) OVER (PARTITION BY _CHANGE_TIMESTAMP, ${key})`;
  const order = history === "APPENDS" ? key : `${remains}, ${key}, image`;
  return `SELECT UNIX_MICROS(_CHANGE_TIMESTAMP) AS changed_at, IF(_CHANGE_TYPE = 'DELETE', 0, 1) AS image, ${texts(shape)}
FROM ${history}(TABLE ${sqlName(place)}, ${instant(start)}, ${instant(end)}) AS m
ORDER BY changed_at, ${order}, ${all}`;
}

/** `isAfter`: rows behind the key whose texts are in the parameter `after`, a JSON array. */
export function rowsSql(from: string, shape: Shape, isAfter: boolean): string {
  const key = keyNames(shape);
  const values = shape.key.map((place, index) => valueSql(`JSON_VALUE(@after, '$[${index}]')`, shape.fields[place]!));
  const behind = key.map((column, index) => {
    const equal = key.slice(0, index).map((each, at) => `${each} = ${values[at]} AND `);
    return `(${equal.join("")}${column} > ${values[index]})`;
  });
  const where = isAfter ? ` WHERE ${behind.join(" OR ")}` : "";
  return `SELECT ${texts(shape)} FROM ${from}${where} ORDER BY ${key.join(", ")}`;
}

/** Rows of the keys in the parameter `keys`, a JSON array of arrays of texts. */
export function lookupSql(from: string, shape: Shape): string {
  const { fields, key } = shape;
  const values = key.map((place, index) => `${valueSql(`JSON_VALUE(a, '$[${index}]')`, fields[place]!)} AS k${index}`);
  const equal = keyNames(shape).map((column, index) => `${column} = asked.k${index}`);
  return `SELECT ${texts(shape)} FROM ${from} JOIN (SELECT DISTINCT ${values.join(", ")} FROM UNNEST(JSON_QUERY_ARRAY(@keys)) AS a) AS asked ON ${equal.join(" AND ")}`;
}

/** Whether its changes are kept, and whether rows are upserted into it through the Storage Write API. */
export function optionsSql({ project, dataset, table }: TablePlace): string {
  const views = `${quoteName(project)}.${quoteName(dataset)}.INFORMATION_SCHEMA`;
  const name = quoteText(table);
  return `SELECT o.option_value AS history, t.upsert_stream_apply_watermark IS NOT NULL AS upserted
FROM ${views}.TABLES AS t LEFT JOIN ${views}.TABLE_OPTIONS AS o ON o.table_name = t.table_name AND o.option_name = 'enable_change_history'
WHERE t.table_name = ${name}`;
}

export function keepHistory(place: TablePlace): string {
  return `ALTER TABLE ${sqlName(place)} SET OPTIONS (enable_change_history = TRUE)`;
}
