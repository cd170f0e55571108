// Opening sessions. Every session prints values the same way, whatever the server's, database's or role's defaults are.
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { clientConfig } from "../../kit/postgres/client-config.ts";
import type { ConnectionSettings } from "../../kit/postgres/settings.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { asSourceError } from "./source-error.ts";

export interface ConnectOptions {
  /** A walsender for this database, that takes replication commands as well as SQL. */
  readonly replication: boolean;
  /** Aborting ends the attempt; afterwards the signal has no effect on the session. */
  readonly signal: AbortSignal;
  /** Where relative file names start. Default: the working directory. */
  readonly baseDirectory?: string | undefined;
  /**
   * For the SQL of models: schemas that its names are looked up in, after `pg_catalog`. Nothing can be written in such a session. Absent:
   * for our own statements.
   */
  readonly schemas?: readonly string[] | undefined;
}

/** How long a reading waits for a lock: somebody alters the table. Then it is `source.blocked`, and tried again. */
export const LOCK_WAIT_MS = 10_000;

/** From connecting to a session that is set up. */
const CONNECTED_WITHIN_MS = 20_000;

const CODES = { config: "source.config", tls: "source.tls" } as const;

// Set after connecting, because poolers refuse unknown startup parameters. What a server does not know yet
// (transaction_timeout before 17) is left out.
const SESSION: Readonly<Record<string, string>> = {
  client_encoding: "UTF8",
  standard_conforming_strings: "on",
  // How values are printed.
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  extra_float_digits: "1",
  bytea_output: "hex",
  xmlbinary: "base64",
  // Names that values print (regclass) get their schema, and no function of a user's schema stands in for a built-in.
  search_path: "pg_catalog",
  // A query that row security would thin out fails instead of leaving rows out in silence.
  row_security: "off",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
  transaction_timeout: "0",
  default_transaction_read_only: "off",
  default_transaction_isolation: "read committed",
  // Our commits are only marks in the log: flushed here, without waiting for a standby that may be away.
  synchronous_commit: "local",
  jit: "off",
};

const SET_SESSION = `
  WITH wish AS MATERIALIZED (
    SELECT w.name, w.value FROM (VALUES ${Object.entries(SESSION)
      .map(([name, value]) => `('${name}', '${value}')`)
      .join(", ")}) AS w (name, value)
    JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name
  )
  SELECT pg_catalog.count(pg_catalog.set_config(wish.name, wish.value, false)) FROM wish`;

/**
 * A connected session with our settings. Throws a TailraceError (`source.unreachable`, `source.auth`, `source.tls`,
 * `source.config`), or the signal's reason. A session that breaks while idle does not end the process; its next query
 * rejects.
 */
export async function connect(settings: ConnectionSettings, options: ConnectOptions): Promise<pg.Client> {
  const { signal } = options;
  signal.throwIfAborted();
  const client = new pg.Client({
    ...clientConfig(settings, { baseDirectory: options.baseDirectory ?? ".", codes: CODES }),
    ...(options.replication ? { replication: "database" } : {}),
  });
  client.on("error", () => {});
  const stop = () => destroy(client);
  signal.addEventListener("abort", stop, { once: true });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    destroy(client);
  }, CONNECTED_WITHIN_MS);
  try {
    await client.connect();
    await client.query(SET_SESSION);
    if (options.schemas) await client.query(forModels(options.schemas));
    return client;
  } catch (error) {
    destroy(client);
    signal.throwIfAborted();
    if (late) throw new TailraceError("source.unreachable", `no session within ${CONNECTED_WITHIN_MS / 1000} s`);
    throw asSourceError(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

// A statement that is run again and again is planned once: what changes is only which keys it is asked for.
function forModels(schemas: readonly string[]): string {
  return `SET search_path = ${schemas.map(quoteIdentifier).join(", ")};
    SET default_transaction_read_only = on;
    SET plan_cache_mode = force_generic_plan;
    SET lock_timeout = ${LOCK_WAIT_MS}`;
}

/** Says goodbye and closes; cuts the connection when that takes longer than a second. Never rejects. */
export async function close(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => destroy(client), 1000);
  try {
    await client.end();
  } catch {
    destroy(client);
  } finally {
    clearTimeout(timer);
  }
}
