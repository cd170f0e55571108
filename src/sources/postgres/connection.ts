// Opening sessions. Every session prints values the same way, whatever the server's, database's or role's defaults are.
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { type Address, type AddressSettings, addressOf } from "./address.ts";
import { asSourceError } from "./source-error.ts";

export { asSourceError };

export interface ConnectOptions {
  /** A walsender for this database, that takes replication commands as well as SQL. */
  readonly replication: boolean;
  /** Aborting ends the attempt; afterwards the signal has no effect on the session. */
  readonly signal: AbortSignal;
  /** Where relative file names start. Default: the working directory. */
  readonly baseDirectory?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Every value arrives as the text that the server sent. */
const RAW_TEXT = { getTypeParser: () => (text: unknown) => text } as unknown as pg.CustomTypesConfig;

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
export async function connect(settings: AddressSettings, options: ConnectOptions): Promise<pg.Client> {
  const { signal } = options;
  signal.throwIfAborted();
  const client = new pg.Client(await clientConfig(settings, options));
  client.on("error", () => {});
  const stop = () => destroy(client);
  signal.addEventListener("abort", stop, { once: true });
  try {
    await client.connect();
    await client.query(SET_SESSION);
    return client;
  } catch (error) {
    destroy(client);
    signal.throwIfAborted();
    throw asSourceError(error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Cuts the connection: what is under way rejects at once, and the server ends the session. */
export function destroy(client: pg.Client): void {
  socketOf(client).destroy();
}

/** Whether the connection was cut or has failed. */
export function isCut(client: pg.Client): boolean {
  return socketOf(client).destroyed;
}

/** What has arrived on the connection so far. */
export function bytesRead(client: pg.Client): number {
  return socketOf(client).bytesRead;
}

function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
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

async function clientConfig(settings: AddressSettings, options: ConnectOptions): Promise<pg.ClientConfig> {
  const address = addressOf(settings);
  if ("problem" in address) throw new TailraceError("source.config", address.problem);
  const { host, port, user, password, database } = address;
  return {
    host,
    port,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
    ssl: await tlsOptions(address, options.baseDirectory ?? "."),
    sslnegotiation: address.tls.direct ? "direct" : "postgres",
    enableChannelBinding: address.channelBinding,
    application_name: "tailrace",
    types: RAW_TEXT,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...(options.replication ? { replication: "database" } : {}),
  };
}

/** The files are read at every connection, so that a renewed certificate is taken without a restart. */
async function tlsOptions(address: Address, baseDirectory: string): Promise<pg.ClientConfig["ssl"]> {
  const { mode, ca, cert, key } = address.tls;
  if (mode === "disable") return false;
  return {
    rejectUnauthorized: mode !== "require",
    // verify-ca: the chain is verified, the name is not.
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
    ...(ca === undefined ? {} : { ca: await readSetting("ca", ca, baseDirectory) }),
    ...(cert === undefined ? {} : { cert: await readSetting("cert", cert, baseDirectory) }),
    ...(key === undefined ? {} : { key: await readSetting("key", key, baseDirectory) }),
  };
}

async function readSetting(name: string, file: string, baseDirectory: string): Promise<string> {
  try {
    return await readFile(resolve(baseDirectory, file), "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "error";
    throw new TailraceError("source.tls", `\`tls.${name}\`: the file ${file} cannot be read (${why})`);
  }
}
