// What Snowflake keeps of the past: tables at a time, and what changed between two times.
import type { StreamObject, TableObject, ViewObject } from "./catalogue.ts";
import { noChangeTracking, noHistory, sourceGone, staleStream, unsupported } from "./errors.ts";
import { quoted, type Store, visible } from "./store.ts";
import { Reader, type Token, tokensOf } from "./tokens.ts";

const DAY_MS = 86_400_000;
export const CHANGE_COLUMNS = ["METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID"] as const;

export interface Times {
  readonly store: Store;
  readonly nowMs: () => number;
  /** Rewrites the query of a view, its tables as of a commit; `rows`: with a column `__row` that tells its rows apart. */
  readonly viewSql: (view: ViewObject, at: number, rows: boolean) => Promise<string>;
}

/**
 * https://docs.snowflake.com/en/user-guide/data-time-travel: within DATA_RETENTION_TIME_IN_DAYS, and not before the object was made. A
 * stream extends how long it can be read itself, not Time Travel.
 */
export function needHistory(
  table: TableObject,
  at: { readonly sequence: number; readonly ms: number },
  nowMs: number,
): void {
  if (at.sequence < table.createdAt || at.ms < nowMs - table.retentionDays * DAY_MS)
    throw noHistory(`${table.database}.${table.schema}.${table.name}`);
}

/** https://docs.snowflake.com/en/sql-reference/constructs/changes: change tracking is on, and was at the beginning of the time. */
export function needTracking(table: TableObject, at: number): void {
  if (table.trackedFrom === null || table.trackedFrom > at) throw noChangeTracking();
}

/**
 * https://docs.snowflake.com/en/user-guide/streams-intro#stale-streams and SHOW STREAMS: stale after the last consumption and the longer of retention
 * and extension; https://docs.snowflake.com/en/user-guide/streams-manage: recreating the table makes it stale, renaming does not.
 */
export function needFresh(stream: StreamObject, nowMs: number): void {
  const name = `${stream.database}.${stream.schema}.${stream.name}`;
  for (const base of [stream.source, ...stream.bases]) if (base.dropped) throw sourceGone(base.name, stream.name);
  if (stream.stale || nowMs > staleAfterMs(stream)) throw staleStream(name);
}

export function staleAfterMs({ bases, consumedMs }: StreamObject): number {
  const days = Math.min(...bases.map(({ retentionDays, extensionDays }) => Math.max(retentionDays, extensionDays)));
  return consumedMs + days * DAY_MS;
}

/** Rows at a commit, as SQL in parentheses; `rows`: with their `__row` and `__from`. */
export async function stateSql(
  source: TableObject | ViewObject,
  at: number,
  pending: number | null,
  rows: boolean,
  times: Times,
): Promise<string> {
  if (source.kind === "view") return `(${await times.viewSql(source, at, rows)})`;
  const columns = source.columns.map(({ name }) => quoted(name));
  if (rows) columns.push("__row", "__from");
  return `(SELECT ${columns.join(", ")} FROM ${source.storage} WHERE ${visible(at, pending)})`;
}

/**
 * https://docs.snowflake.com/en/user-guide/streams-intro#data-flow: the difference between two times, by row: an update is its old row as
 * DELETE and its new one as INSERT, both METADATA$ISUPDATE, with one METADATA$ROW_ID; what came and went in between is not there; a row that was
 * inserted and then updated is one INSERT.
 */
export async function deltaSql(
  source: TableObject | ViewObject,
  from: number,
  to: number,
  times: Times,
): Promise<string> {
  const columns = source.columns.map(({ name }) => quoted(name));
  const before = await stateSql(source, from, null, true, times);
  const after = await stateSql(source, to, null, true, times);
  const differs =
    source.kind === "view"
      ? `(${columns.map((column) => `o.${column} IS DISTINCT FROM n.${column}`).join(" OR ")})`
      : "o.__from <> n.__from";
  const half = (row: "o" | "n", action: string, join: string): string => {
    const other = row === "o" ? "n" : "o";
    return `SELECT ${columns.map((column) => `${row}.${column}`).join(", ")}, '${action}' AS "METADATA$ACTION", ${other}.__row IS NOT NULL AS "METADATA$ISUPDATE", ${row}.__row AS "METADATA$ROW_ID" FROM ${join} WHERE ${other}.__row IS NULL OR ${differs}`;
  };
  return `(${half("o", "DELETE", `${before} o LEFT JOIN ${after} n ON o.__row = n.__row`)} UNION ALL ${half("n", "INSERT", `${after} n LEFT JOIN ${before} o ON o.__row = n.__row`)})`;
}

const REFUSED = new Set(["GROUP", "DISTINCT", "LIMIT", "QUALIFY", "OVER", "UNION", "EXCEPT", "INTERSECT", "*"]);
const NO_ALIAS = new Set(["JOIN", "INNER", "CROSS", "ON", "WHERE", ""]);

/**
 * Where `__row` goes in a view's query, and what it is. https://docs.snowflake.com/en/user-guide/streams-intro#streams-on-views: projections, filters, inner
 * and cross joins, UNION ALL; this knows no UNION ALL, and no `*`.
 */
export function withRowColumn(sql: string): Token[] {
  const tokens = tokensOf(sql);
  const refused = tokens.find(({ kind, text }) => kind !== "name" && kind !== "text" && REFUSED.has(text));
  if (refused !== undefined) throw unsupported(`stream on a view with ${refused.text}`);
  const from = tokens.findIndex(({ text }) => text === "FROM");
  const aliases: string[] = [];
  for (const [at, { text }] of tokens.entries()) {
    if (text !== "FROM" && text !== "JOIN") continue;
    const reader = new Reader(tokens, at + 1);
    const parts = reader.name();
    reader.take("AS");
    aliases.push(NO_ALIAS.has(reader.peek()) ? quoted(parts.at(-1)!) : reader.next());
  }
  const row = `md5(concat(${aliases.map((alias) => `${alias}.__row`).join(", ")})) AS __row`;
  return [...tokens.slice(0, from), { kind: "sign", text: `, ${row}` }, ...tokens.slice(from)];
}
