// Connections to the server, each set up once so that texts mean the same on all of them.
import { type Connection, type ConnectionOptions, createConnection, type ResultSetHeader } from "mysql2/promise";
import type { TailraceError } from "../../contracts/errors.ts";
import { cut } from "../../kit/mysql/socket.ts";
import { databaseError, isServerError } from "./errors.ts";

/** What the driver takes for a parameter. Bytes only where a column holds bytes. */
export type Cell = string | Buffer;
export type Row = Readonly<Record<string, string | null>>;

/** A connection that nobody uses is closed after this; the server would close it later. */
const IDLE_MS = 10_000;
/** Statements kept prepared on one connection, at most. */
const PREPARED = 200;

// Values that do not fit are errors, and 0 is a number like any other; times are UTC; a lock does not last for ever, and the
// transaction of a process that is frozen or cut off ends before its successor has waited long enough for a lock.
const SET_UP = [
  "SET NAMES utf8mb4",
  `SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO',
     time_zone = '+00:00', innodb_lock_wait_timeout = 30, lock_wait_timeout = 30, wait_timeout = 20, sql_safe_updates = 0`,
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

export class Session {
  readonly connection: Connection;
  /** Bytes of the largest statement, or value, that the server takes. */
  readonly maxPacket: number;
  /** Temporary tables made on this connection, by the statement that made them. */
  readonly temporary = new Map<string, string>();

  constructor(connection: Connection, maxPacket: number) {
    this.connection = connection;
    this.maxPacket = maxPacket;
  }

  /** Rejects with the driver's error; see {@link databaseError}. */
  async rows(sql: string, values: readonly (string | null)[] = []): Promise<Row[]> {
    const [rows] = await this.connection.execute(sql, [...values]);
    return rows as Row[];
  }

  /** Rows that a statement matched, changed or not. */
  async run(sql: string, values: readonly (Cell | null)[] = []): Promise<number> {
    const [result] = await this.connection.execute<ResultSetHeader>(sql, values as (string | Buffer | null)[]);
    return result.affectedRows;
  }

  /** For statements that cannot be prepared. */
  async command(sql: string): Promise<void> {
    await this.connection.query(sql);
  }
}

export class Sessions implements AsyncDisposable {
  readonly #options: () => Promise<ConnectionOptions>;
  readonly #idle: { readonly session: Session; readonly timer: NodeJS.Timeout }[] = [];
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** `options` is asked anew for each connection: certificates and passwords change. */
  constructor(options: () => Promise<ConnectionOptions>, connections: number) {
    this.#options = options;
    this.#free = connections;
  }

  /**
   * Runs `work` on a connection of its own. The connection is kept only when `work` succeeds: after an error, what it knows of
   * the table may be out of date. When `signal` aborts, the connection is cut.
   */
  async use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    let session: Session | null = null;
    let keep = false;
    const abort = (): void => {
      if (session !== null) cut(session.connection);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      session = this.#takeIdle() ?? (await this.#connect());
      signal.throwIfAborted();
      const result = await work(session);
      keep = !signal.aborted;
      return result;
    } finally {
      signal.removeEventListener("abort", abort);
      if (session !== null) {
        if (keep) this.#keep(session);
        else cut(session.connection);
      }
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  #takeIdle(): Session | null {
    const idle = this.#idle.pop();
    if (idle === undefined) return null;
    clearTimeout(idle.timer);
    return idle.session;
  }

  #keep(session: Session): void {
    const timer = setTimeout(() => {
      const at = this.#idle.findIndex((each) => each.session === session);
      if (at >= 0) this.#idle.splice(at, 1);
      cut(session.connection);
    }, IDLE_MS);
    timer.unref();
    this.#idle.push({ session, timer });
  }

  async #connect(): Promise<Session> {
    try {
      const connection = await createConnection({ ...(await this.#options()), maxPreparedStatements: PREPARED });
      // Without a listener a connection that dies between two statements would end the process.
      connection.on("error", () => this.#forget(connection));
      for (const statement of SET_UP) await connection.query(statement);
      const [rows] = await connection.query("SELECT CAST(@@max_allowed_packet AS CHAR) AS bytes");
      return new Session(connection, Number((rows as Row[])[0]!["bytes"]));
    } catch (error) {
      throw databaseError(error, "connecting");
    }
  }

  /** The server has closed it while nobody used it. */
  #forget(connection: Connection): void {
    const at = this.#idle.findIndex(({ session }) => session.connection === connection);
    if (at < 0) return;
    clearTimeout(this.#idle[at]!.timer);
    this.#idle.splice(at, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const idle = this.#idle.splice(0);
    for (const { timer } of idle) clearTimeout(timer);
    await Promise.all(idle.map(({ session }) => session.connection.end().catch(() => {})));
  }
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

/** Runs `work` in a transaction. `committing` is called when the commit is about to be sent. */
export async function transaction<T>(session: Session, committing: () => void, work: () => Promise<T>): Promise<T> {
  await session.command("START TRANSACTION");
  let result: T;
  try {
    result = await work();
  } catch (error) {
    if (isServerError(error)) await session.command("ROLLBACK").catch(() => {});
    throw error;
  }
  committing();
  await session.command("COMMIT");
  return result;
}
