// The schema of ours in which a source keeps what was sent of the rows of its models.
import type pg from "pg";
import type { RowTables } from "../../kit/row-index/tables.ts";

/** Not `tailrace`, which is where a state keeps its own tables, perhaps in the same database. */
export const SCHEMA = "tailrace_rows";

export const TABLES: RowTables = {
  indexed_model: `${SCHEMA}.indexed_model`,
  indexed: `${SCHEMA}.indexed`,
  indexed_free: `${SCHEMA}.indexed_free`,
  indexed_part: `${SCHEMA}.indexed_part`,
};
export const HOLDERS = `${SCHEMA}.sync`;
export const KEPT_OUT = `${SCHEMA}.kept_out`;

/** What one sync has of the tables that every row is in; `id`: a number, as text. */
export function partitionsOf(id: string): { readonly indexed: string; readonly keptOut: string } {
  return { indexed: `${SCHEMA}.indexed_${id}`, keptOut: `${SCHEMA}.kept_out_${id}` };
}

// Every row carries the sync's number, as text, and each sync has a partition: it is read, and dropped, without the others. epoch: of who
// opened it last. complete: see SourceRowIndex. judged_by: the `where` that has been applied to all rows. The rest is as in the state's tables.
const MAKE = `
  CREATE TABLE IF NOT EXISTS ${HOLDERS} (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,
    sync text NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    complete boolean NOT NULL DEFAULT false,
    judged_by text,
    UNIQUE (project, sync)
  );
  CREATE TABLE IF NOT EXISTS ${TABLES.indexed_model} (
    sync text COLLATE "C" PRIMARY KEY,
    identity text NOT NULL,
    parts text NOT NULL,
    last bigint NOT NULL,
    places bigint NOT NULL,
    rows bigint NOT NULL
  ) WITH (fillfactor = 50);
  CREATE TABLE IF NOT EXISTS ${TABLES.indexed} (
    sync text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    version bigint NOT NULL,
    confirmed boolean NOT NULL,
    hash bytea,
    record text,
    identity text,
    PRIMARY KEY (sync, key)
  ) PARTITION BY LIST (sync);
  CREATE TABLE IF NOT EXISTS ${TABLES.indexed_free} (
    sync text COLLATE "C" NOT NULL, place bigint NOT NULL, PRIMARY KEY (sync, place)
  );
  CREATE TABLE IF NOT EXISTS ${TABLES.indexed_part} (
    sync text COLLATE "C" NOT NULL,
    places text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (sync, places, value, key)
  );
  CREATE TABLE IF NOT EXISTS ${KEPT_OUT} (
    sync text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, hash bytea NOT NULL, PRIMARY KEY (sync, key)
  ) PARTITION BY LIST (sync)`;

/** Whether the tables are there and ours, or may be made. */
async function mayKeep(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ may: string }>(
    `SELECT (NOT pg_is_in_recovery() AND CASE
       WHEN made.relowner IS NOT NULL THEN pg_has_role(made.relowner, 'USAGE') AND usable
       WHEN n.oid IS NOT NULL THEN usable
       ELSE has_database_privilege(current_database(), 'CREATE') END)::text AS may
     FROM (SELECT) AS one
     LEFT JOIN pg_namespace n ON n.nspname = '${SCHEMA}'
     LEFT JOIN LATERAL (SELECT has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE')) AS s (usable) ON true
     LEFT JOIN pg_class made ON made.relnamespace = n.oid AND made.relname = 'indexed'`,
  );
  return rows[0]!.may === "true";
}

/** Outside of a transaction. False: we may not. */
export async function prepareTables(client: pg.Client): Promise<boolean> {
  if (await hasTables(client)) return mayKeep(client);
  if (!(await mayKeep(client))) return false;
  // Two that find nothing at once: the second waits, and finds what the first has made.
  await client.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('${SCHEMA}', 0))`);
  // Not IF NOT EXISTS: that asks for the right to make schemas also where there is nothing to make.
  const { rows } = await client.query(`SELECT FROM pg_namespace WHERE nspname = '${SCHEMA}'`);
  await client.query(`${rows.length === 0 ? `CREATE SCHEMA ${SCHEMA};` : ""} ${MAKE}; COMMIT`);
  return true;
}

/** Whether the tables are there, and we may read them. */
export async function hasTables(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = '${SCHEMA}' AND c.relname = 'kept_out'
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`,
  );
  return rows.length > 0;
}

/** In a transaction. The number of a sync, which is made when there is none. */
export async function numberOf(client: pg.Client, project: string, sync: string): Promise<string> {
  const known = await client.query<{ id: string }>(
    `SELECT id::text AS id FROM ${HOLDERS} WHERE project = $1 AND sync = $2 FOR UPDATE`,
    [project, sync],
  );
  if (known.rows[0] !== undefined) return known.rows[0].id;
  const made = await client.query<{ id: string }>(
    `INSERT INTO ${HOLDERS} (project, sync) VALUES ($1, $2) RETURNING id::text AS id`,
    [project, sync],
  );
  const { id } = made.rows[0]!;
  const { indexed, keptOut } = partitionsOf(id);
  // Announced, then confirmed: room for the second beside the first.
  await client.query(
    `CREATE TABLE ${indexed} PARTITION OF ${TABLES.indexed} FOR VALUES IN ('${id}') WITH (fillfactor = 50);
     CREATE TABLE ${keptOut} PARTITION OF ${KEPT_OUT} FOR VALUES IN ('${id}')`,
  );
  return id;
}

/** In a transaction: removes all that there is of a sync. */
export async function dropNumber(client: pg.Client, id: string): Promise<void> {
  const { indexed, keptOut } = partitionsOf(id);
  await client.query(`DROP TABLE ${indexed}, ${keptOut}`);
  for (const table of [TABLES.indexed_free, TABLES.indexed_part, TABLES.indexed_model])
    await client.query(`DELETE FROM ${table} WHERE sync = $1`, [id]);
  await client.query(`DELETE FROM ${HOLDERS} WHERE id = $1`, [id]);
}

/**
 * A transaction that writes to our tables. What is acknowledged is on the disk; a client that has frozen or is gone lets its locks go, so that
 * another one can take over. After a throw the connection is of no use.
 */
export async function writing<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query(
    `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL lock_timeout = '10s'; SET LOCAL synchronous_commit = on`,
  );
  const result = await work();
  await client.query("COMMIT");
  return result;
}
