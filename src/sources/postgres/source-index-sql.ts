// The statements that compare a model with what was sent of it.
import { quoteIdentifier, quoteLiteral } from "../../kit/sql.ts";
import { type DescribedQuery, fromModel } from "./describe-query.ts";
import { partitionsOf } from "./source-index-tables.ts";

export interface CompareSql {
  /** Makes {@link FOUND}: the keys of everything that differs. What else a row has would make the join of all rows larger. */
  readonly find: string;
  /**
   * Makes {@link PLAN} of it, in the same snapshot: numbered from 1 without a gap, what is gone first, then whole rows by key. All rows of a key, of which
   * one may be as it was sent, so that it is always the same one that counts.
   */
  readonly plan: string;
}

export interface Compared {
  readonly model: { readonly sql: string };
  readonly described: DescribedQuery;
  /** Every hash begins with it. */
  readonly content: string;
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
  const { model, described, id, keepsOut, all, utf8 } = compared;
  const { columns } = described.relation;
  const { indexed, keptOut } = partitionsOf(id);
  const hash = hashSql(compared);
  const names = columns.map((_, i) => `c${i}`);
  const keyNames = described.relation.key.map((place) => names[place]!);
  const key = keySql(
    described.relation.key.map((place) => textOf(columns[place]!.name)),
    utf8,
  );
  const texts = (some: readonly string[]) =>
    some.map((name) => `${textOf(columns[names.indexOf(name)]!.name)} AS ${name}`).join(", ");
  const kept = keepsOut ? ` UNION ALL SELECT key, hash, true, true FROM ${keptOut}` : "";
  const match = described.key.map(({ sql, sqlType, keyPlace, operators }) => {
    return `${sql} ${operators.equal} k.${keyNames[keyPlace]}::${sqlType}`;
  });
  return {
    find: `CREATE TEMPORARY TABLE tailrace_found AS
      SELECT m.present IS TRUE AS present, s.kept IS FALSE AS known, s.kept IS TRUE AS kept,
             coalesce(m.key, s.key) AS key, ${keyNames.map((name) => `m.${name}`).join(", ")}
      FROM (SELECT true AS present, ${key} AS key, ${hash} AS hash, ${texts(keyNames)} FROM ${fromModel(model)}) AS m
      FULL JOIN (SELECT key, hash, confirmed, false AS kept FROM ${indexed}${kept}) AS s ON s.key = m.key
      WHERE pg_catalog.decode(m.hash, 'hex') IS DISTINCT FROM s.hash OR NOT s.confirmed${all ? " OR m.present" : ""}`,
    plan: `CREATE TEMPORARY TABLE tailrace_plan AS
      SELECT pg_catalog.row_number() OVER (ORDER BY present, key COLLATE "C", hash COLLATE "C") AS n, r.* FROM (
        SELECT false AS present, key, NULL::pg_catalog.text AS hash, ${names.map((name) => `NULL::pg_catalog.text AS ${name}`).join(", ")}
        FROM ${FOUND} WHERE known AND NOT present
        UNION ALL
        SELECT true, k.key, ${hash}, ${texts(names)}
        FROM (SELECT DISTINCT key, ${keyNames.join(", ")} FROM ${FOUND} WHERE present) AS k
        JOIN ${fromModel(model)} ON ${match.join(" AND ")} AND ${key} = k.key) AS r;
      CREATE UNIQUE INDEX ON ${PLAN} (n)`,
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
function hashSql({ content, hashed }: Pick<Compared, "content" | "hashed">): string {
  const texts = [`${quoteLiteral(content)}::pg_catalog.text`, ...hashed.map(textOf)];
  return `pg_catalog.md5(pg_catalog.array_send(ARRAY[${texts.join(", ")}]))`;
}

function textOf(column: string): string {
  return `m.${quoteIdentifier(column)}::pg_catalog.text`;
}
