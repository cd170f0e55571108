// Connections to the destination's database, each set up once so that texts mean the same on all of them.
import pg from "pg";
import type { TailraceError } from "../../contracts/errors.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { databaseError } from "./errors.ts";

export type Row = Readonly<Record<string, string | null>>;

// Dates are read day-unambiguously and in UTC; a lock does not last for ever, and the transaction of a process that is frozen
// or cut off ends before its successor has waited long enough for a lock; a statement sees what was committed before it; and
// `delivered` means durable, whatever the role's defaults say.
const SET_UP = `
  SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET lock_timeout = '30s';
  SET idle_in_transaction_session_timeout = '10s'; SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'error'; SET standard_conforming_strings = on;
  SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

/** Statements kept prepared on one connection, at most. */
const PREPARED = 200;

export class Session {
  readonly client: pg.ClientBase;
  /** Temporary tables made on this connection. */
  readonly temporary = new Set<string>();
  readonly #names = new Map<string, string>();

  constructor(client: pg.ClientBase) {
    this.client = client;
  }

  /** Rejects with the driver's error; see {@link databaseError}. */
  async query(text: string, values?: readonly unknown[]): Promise<pg.QueryResult<Row>> {
    return values === undefined ? this.client.query<Row>(text) : this.client.query<Row>(text, [...values]);
  }

  async rows(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.query(text, values)).rows;
  }

  /** As {@link query}, planned once a connection. For statements that recur. */
  async prepared(text: string, values: readonly unknown[]): Promise<pg.QueryResult<Row>> {
    let name = this.#names.get(text);
    if (name === undefined) {
      if (this.#names.size >= PREPARED) return this.query(text, values);
      name = `tailrace_${this.#names.size}`;
      this.#names.set(text, name);
    }
    return this.client.query<Row>({ name, text, values: [...values] });
  }
}

export class Sessions implements AsyncDisposable {
  readonly #pool: pg.Pool;
  readonly #sessions = new WeakMap<pg.ClientBase, Session>();

  /** `config` is asked anew for each connection: certificates and passwords change. */
  constructor(config: () => pg.ClientConfig, connections: number) {
    this.#pool = new pg.Pool({
      Client: class extends pg.Client {
        constructor() {
          super(config());
        }
      },
      max: connections,
      idleTimeoutMillis: 60_000,
      // pg waits for the promise that comes back, though its types say void.
      onConnect: (client): unknown => this.#setUp(client),
    });
    this.#pool.on("error", () => {});
  }

  async #setUp(client: pg.ClientBase): Promise<void> {
    // Without a listener a connection that dies between two statements would end the process.
    client.on("error", () => {});
    await client.query(SET_UP);
    this.#sessions.set(client, new Session(client));
  }

  /**
   * Runs `work` on a connection of its own. The connection is kept only when `work` succeeds, or fails with an error of
   * the server outside of a transaction. When `signal` aborts, the connection is cut.
   */
  async use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw databaseError(error, "connecting");
    }
    const session = this.#sessions.get(client)!;
    const cut = (): void => destroy(client);
    signal.addEventListener("abort", cut, { once: true });
    let keep = false;
    try {
      signal.throwIfAborted();
      const result = await work(session);
      keep = true;
      return result;
    } catch (error) {
      keep = sqlState(error) !== null && !isFatal(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", cut);
      client.release(!keep || signal.aborted);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ended && !this.#pool.ending) await this.#pool.end();
  }
}

function isFatal(error: unknown): boolean {
  const { severity } = error as { severity?: string };
  return severity === "FATAL" || severity === "PANIC";
}

/** As {@link Sessions.use}, for work that commits nothing that matters: errors come out as ours. */
export async function ask<T>(
  sessions: Sessions,
  signal: AbortSignal,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  try {
    return await sessions.use(signal, work);
  } catch (error) {
    throw asOurs(error, signal);
  }
}

function asOurs(error: unknown, signal: AbortSignal): TailraceError | Error {
  return signal.aborted && error === signal.reason ? (error as Error) : databaseError(error, "working");
}
