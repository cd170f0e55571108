// Every statement that is about a model's rows. `from` is what stands in FROM: a quoted name, or a query in parentheses.
import { quoteIdentifier, quoteLiteral } from "../../kit/sql.ts";

export const CURSOR = "tailrace";
/** A read's own columns come first. */
export const READ_COLUMNS = 2;
/** `mz_timestamp`, `mz_progressed`, `mz_diff` */
export const SUBSCRIBE_COLUMNS = 3;

export const NOW = "SELECT mz_now()";

export function fetchRows(count: number): string {
  return `FETCH ${count} ${CURSOR}`;
}

/** `asOf` null: from now on. What is at or before it does not come. */
export function subscribe(from: string, asOf: bigint | null): string {
  const at = asOf === null ? "" : ` AS OF ${asOf}`;
  return `DECLARE ${CURSOR} CURSOR FOR SUBSCRIBE ${from} WITH (PROGRESS, SNAPSHOT = false)${at}`;
}

export function describe(from: string): string {
  return `SELECT * FROM ${from} AS m LIMIT 0`;
}

/** The timestamp, whether there is a row (else one comes that is none), and the row. `where` null: all. */
export function readRows(from: string, where: string | null, order: readonly string[]): string {
  const inner = `SELECT true AS tailrace_found, m.* FROM ${from} AS m${where === null ? "" : ` WHERE ${where}`}`;
  const by = order.length === 0 ? "" : ` ORDER BY ${order.map((name) => `r.${quoteIdentifier(name)}`).join(", ")}`;
  return `SELECT mz_now() AS mark, r.* FROM (SELECT 1) AS one LEFT JOIN (${inner}) AS r ON true${by}`;
}

export function declareRead(sql: string): string {
  return `DECLARE ${CURSOR} CURSOR FOR ${sql}`;
}

export function behind(key: readonly string[], after: readonly string[]): string {
  return key
    .map((name, index) => {
      const equal = key.slice(0, index).map((each, at) => comparison(each, "=", after[at]!));
      return `(${[...equal, comparison(name, ">", after[index]!)].join(" AND ")})`;
    })
    .join(" OR ");
}

export function anyOf(key: readonly string[], keys: readonly (readonly string[])[]): string {
  return keys
    .map((texts) => `(${key.map((name, index) => comparison(name, "=", texts[index]!)).join(" AND ")})`)
    .join(" OR ");
}

export function duplicates(from: string, key: readonly string[]): string {
  const names = key.map((name) => `m.${quoteIdentifier(name)}`).join(", ");
  return `SELECT count(*) FROM (SELECT 1 FROM ${from} AS m GROUP BY ${names} HAVING count(*) > 1) AS twice`;
}

/** The object's id and kind. */
export function identify(schema: string, name: string): string {
  return `SELECT o.id, o.type FROM mz_catalog.mz_objects AS o JOIN mz_catalog.mz_schemas AS s ON s.id = o.schema_id JOIN mz_catalog.mz_databases AS d ON d.id = s.database_id WHERE d.name = current_database() AND s.name = ${quoteLiteral(schema).trim()} AND o.name = ${quoteLiteral(name).trim()}`;
}

function comparison(name: string, operator: string, text: string): string {
  return `m.${quoteIdentifier(name)} ${operator} ${quoteLiteral(text).trim()}`;
}
