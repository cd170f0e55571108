// The statements that read a table's rows.
import pg from "pg";
import type { Cursor, KeyValues } from "../../contracts/source.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { LOCK_WAIT_MS } from "./connection.ts";
import { type KeyColumn, afterSql } from "./key-sql.ts";
import type { DescribedModel } from "./describe.ts";
import type { RowQuery } from "./read-rows.ts";

/** A transaction in which the table stays as it is; the last result: its snapshot, and what must be the same for a description to hold. */
export function beginQuery({ table }: DescribedModel, publication: string): string {
  return `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL lock_timeout = ${LOCK_WAIT_MS};
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0;
LOCK TABLE ${tableSql(table)} IN ACCESS SHARE MODE;
SELECT pg_current_snapshot()::text AS snapshot, (
  SELECT md5(concat_ws('/', n.nspname, c.relname, c.relkind, c.relreplident,
    (SELECT string_agg(concat_ws(',', a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.attisdropped), ';'
                       ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
    (SELECT string_agg(i.indexrelid::text || i.xmin::text, ';' ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid),
    (SELECT p.xmin FROM pg_publication p WHERE p.pubname = ${pg.escapeLiteral(publication)})))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${BigInt(table.oid)}) AS fingerprint`;
}

/** A plain table without those that inherit from it: the log has their rows under their own names. */
function tableSql(table: DescribedModel["table"]): string {
  return table.kind === "p" ? table.sql : `ONLY ${table.sql}`;
}

function selectList({ columns }: DescribedModel): string {
  return columns.map(({ name }) => `t.${quoteIdentifier(name)}`).join(", ");
}

/** The key's columns in the order of its index. */
function keyColumns({ columns, relation, index }: DescribedModel): readonly KeyColumn[] {
  return index.columns.map((name, i) => {
    const keyPlace = relation.key.findIndex((place) => columns[place]!.name === name);
    const { sqlType } = columns[relation.key[keyPlace]!]!;
    return { sql: `t.${quoteIdentifier(name)}`, sqlType, keyPlace, operators: index.operators[i]! };
  });
}

/** The rows after `after` in the order of the key's index. `rows` null: all of them. */
export function chunkQuery(described: DescribedModel, after: Cursor | null, rows: number | null): RowQuery {
  const key = keyColumns(described);
  const order = key.map(({ sql }) => sql).join(", ");
  const where = after === null ? "" : ` WHERE ${afterSql(key)}`;
  const limit = rows === null ? "" : ` LIMIT ${rows}`;
  return {
    text: `SELECT ${selectList(described)} FROM ${tableSql(described.table)} AS t${where} ORDER BY ${order}${limit}`,
    values: after === null ? [] : key.map(({ keyPlace }) => after[keyPlace]),
  };
}

export function lookupQuery(described: DescribedModel, keys: readonly KeyValues[]): RowQuery {
  const key = keyColumns(described);
  const arrays = key.map((_, i) => `$${i + 1}::text[]`).join(", ");
  const names = key.map((_, i) => `k${i}`).join(", ");
  const match = key
    .map(({ sql, sqlType, operators }, i) => `${sql} ${operators.equal} k.k${i}::${sqlType}`)
    .join(" AND ");
  return {
    text: `SELECT ${selectList(described)} FROM unnest(${arrays}) AS k (${names}) JOIN ${tableSql(described.table)} AS t ON ${match}`,
    values: key.map(({ keyPlace }) => keys.map((values) => values[keyPlace])),
  };
}
