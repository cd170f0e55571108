// The statements that compare a model with what was sent of it.
import { quoteIdentifier } from "../../kit/sql.ts";
import { type DescribedQuery, fromModel } from "./describe-query.ts";
import { partitionsOf } from "./source-index-tables.ts";

export interface CompareSql {
  /** Makes {@link FOUND}: everything that differs. */
  readonly find: string;
  /** Makes {@link PLAN} of it: numbered from 1 without a gap, what is gone first, then by key. */
  readonly plan: (altered: boolean) => string;
}

export interface Compared {
  readonly model: { readonly sql: string };
  readonly described: DescribedQuery;
  /** Names of the columns that are hashed. */
  readonly hashed: readonly string[];
  /** The sync's number. */
  readonly id: string;
  /** Rows are kept out. */
  readonly keepsOut: boolean;
  /** Every row of the model is to be offered. */
  readonly all: boolean;
  readonly utf8: boolean;
}

export const FOUND = "pg_temp.tailrace_found";
export const PLAN = "pg_temp.tailrace_plan";

export function compareSql(compared: Compared): CompareSql {
  const { model, described, hashed, id, keepsOut, all, utf8 } = compared;
  const { columns } = described.relation;
  const { indexed, keptOut } = partitionsOf(id);
  const names = columns.map((_, i) => `c${i}`);
  const key = described.relation.key.map((place) => textOf(columns[place]!.name));
  const rows = `SELECT true AS present, ${keySql(key, utf8)} AS key, ${hashSql(hashed)} AS hash,
    ${columns.map(({ name }, i) => `m.${quoteIdentifier(name)} AS c${i}`).join(", ")} FROM ${fromModel(model)}`;
  const kept = keepsOut ? ` UNION ALL SELECT key, hash, true, true FROM ${keptOut}` : "";
  return {
    find: `CREATE TEMPORARY TABLE tailrace_found AS
      SELECT m.present IS TRUE AS present, s.kept IS FALSE AS known, s.kept IS TRUE AS kept,
             coalesce(m.key, s.key) AS key, m.hash, ${names.map((name) => `m.${name}::pg_catalog.text AS ${name}`).join(", ")}
      FROM (${rows}) AS m
      FULL JOIN (SELECT key, hash, confirmed, false AS kept FROM ${indexed}${kept}) AS s ON s.key = m.key
      WHERE pg_catalog.decode(m.hash, 'hex') IS DISTINCT FROM s.hash OR NOT s.confirmed${all ? " OR m.present" : ""}`,
    plan: (altered) => {
      const each = ["present", "key", "hash", ...names].join(", ");
      // Of a key that several rows have, one may be as it was sent: all are told, so that it is always the same one that counts.
      const match = described.key.map(({ sql, sqlType, keyPlace, operators }) => {
        const place = described.relation.key[keyPlace]!;
        return `${sql} ${operators.equal} k.c${place}::${sqlType}`;
      });
      const several = `WITH several AS MATERIALIZED (
        SELECT * FROM (
          SELECT true AS present, k.key, ${hashSql(hashed)} AS hash, ${columns.map(({ name }, i) => `${textOf(name)} AS c${i}`).join(", ")},
                 pg_catalog.count(*) OVER (PARTITION BY k.key) AS of_key
          FROM (SELECT DISTINCT key, ${described.relation.key.map((place) => `c${place}`).join(", ")} FROM ${FOUND} WHERE present AND known) AS k
          JOIN ${fromModel(model)} ON ${match.join(" AND ")}) AS m
        WHERE of_key > 1)`;
      const others = `SELECT ${each} FROM ${FOUND} WHERE (present OR known)`;
      return `CREATE TEMPORARY TABLE tailrace_plan AS ${altered ? several : ""}
        SELECT pg_catalog.row_number() OVER (ORDER BY present, key COLLATE "C", hash COLLATE "C") AS n, ${each} FROM (
          ${others}${altered ? ` AND key NOT IN (SELECT key FROM several) UNION ALL SELECT ${each} FROM several` : ""}) AS r;
        CREATE UNIQUE INDEX ON ${PLAN} (n)`;
    },
  };
}

/** As the engine puts a key into one text; null when a column is. */
function keySql(texts: readonly string[], utf8: boolean): string {
  if (texts.length === 1) return `(${texts[0]}) COLLATE "C"`;
  // In UTF-16 units: what lies beyond 16 bits counts twice. Other encodings have none of that.
  const length = (text: string): string => {
    if (!utf8) return `pg_catalog.char_length(${text})`;
    const units = `pg_catalog.char_length(pg_catalog.regexp_replace(${text}, '[\\U00010000-\\U0010FFFF]', '..', 'g'))`;
    return `CASE WHEN pg_catalog.octet_length(${text}) = pg_catalog.char_length(${text}) THEN pg_catalog.char_length(${text}) ELSE ${units} END`;
  };
  const parts = texts.map((text) => `(${length(text)})::pg_catalog.text || ':' || ${text}`);
  return `(${parts.join(" || ',' || ")}) COLLATE "C"`;
}

/** See kit/row-hash.ts. */
function hashSql(columns: readonly string[]): string {
  return `pg_catalog.md5(pg_catalog.array_send(ARRAY[${columns.map(textOf).join(", ")}]))`;
}

function textOf(column: string): string {
  return `m.${quoteIdentifier(column)}::pg_catalog.text`;
}
