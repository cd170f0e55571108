// Some rows of a query, with the snapshot that they are from, in one statement.
import { createHash } from "node:crypto";
import pg from "pg";
import type { KeyValues } from "../../contracts/source.ts";
import type { Value, Values } from "../../contracts/values.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { type DescribedQuery, fingerprintSql } from "./describe-query.ts";
import type { KnownQuery } from "./known-query.ts";
import { takeRow } from "./read-rows.ts";
import { asSourceError } from "./source-error.ts";

export interface FoundRows {
  readonly rows: readonly Values[];
  readonly snapshot: string;
  /** A place in the log that all is before which the snapshot sees. */
  readonly lsn: string;
  /** Of what the model reads, as that snapshot has it. */
  readonly fingerprint: string;
}

/**
 * All rows that have these keys. The statement is prepared once in a session. null: it does not hold any more, because something that the
 * model reads was altered; the session is then gone.
 */
export async function lookUp(
  client: pg.Client,
  known: KnownQuery,
  keys: readonly KeyValues[],
): Promise<FoundRows | null> {
  const once = [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()];
  const { described } = known;
  const values = described.key.map(({ keyPlace }) => once.map((key) => key[keyPlace]));
  try {
    return await run(client, lookupSql(known), values, described);
  } catch (error) {
    const state = sqlState(error);
    // `cached plan must not change result type`, and whatever is called otherwise now.
    if (state !== "0A000" && !state?.startsWith("42")) throw asSourceError(error);
    destroy(client);
    return null;
  }
}

function run(
  client: pg.Client,
  text: string,
  values: readonly unknown[],
  { normalise }: DescribedQuery,
): Promise<FoundRows> {
  const name = `tailrace_${createHash("md5").update(text).digest("hex")}`;
  const query = new pg.Query({ name, text, values: [...values], rowMode: "array" } as unknown as pg.QueryConfig);
  const rows: Values[] = [];
  let seen: Omit<FoundRows, "rows"> | null = null;
  return new Promise((resolve, reject) => {
    query.on("row", (row) => {
      const [place, snapshot, lsn, fingerprint, ...texts] = row as unknown as Value[];
      seen ??= { snapshot: snapshot as string, lsn: lsn as string, fingerprint: fingerprint as string };
      if (place === null) return;
      takeRow(texts as (string | null)[], normalise);
      rows.push(texts);
    });
    query.on("end", () => resolve({ rows, ...seen! }));
    query.on("error", reject);
    client.query(query);
  });
}

/** `$1` …: one list of texts a key column. The first row tells the snapshot; without any row, one that is empty does. */
function lookupSql({ described: { relation, reads }, rowsOfKeys }: KnownQuery): string {
  const names = relation.columns.map((_, i) => `c${i}`);
  const once = (sql: string) => `CASE WHEN r.n IS NULL OR r.n OPERATOR(pg_catalog.=) 1 THEN ${sql} END`;
  return `SELECT r.n, ${once("pg_catalog.pg_current_snapshot()::pg_catalog.text")},
       ${once("pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text")},
       ${once(fingerprintSql(reads))},
       ${names.map((name) => `r.${name}`).join(", ")}
  FROM (SELECT 1) AS one LEFT JOIN (
    SELECT pg_catalog.row_number() OVER (), found.* FROM (
${rowsOfKeys.sql}
    ) AS found
  ) AS r (n, ${names.join(", ")}) ON true`;
}
