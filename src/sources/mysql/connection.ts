// Opening sessions. Every session prints values the same way, whatever the server's defaults are.
import type { Socket } from "node:net";
import { type Connection as DriverConnection, createConnection } from "mysql2";
import { connectionOptions } from "../../kit/mysql/connection-options.ts";
import type { ConnectionSettings } from "../../kit/mysql/settings.ts";
import { asSourceError } from "./source-error.ts";

/** A row as it came: bytes, one a column. */
export type RawRow = readonly (Buffer | null)[];

export interface ResultColumn {
  readonly name: string;
  /** As in wire/types.ts. */
  readonly type: number;
  /** The number of its collation. */
  readonly charset: number;
  readonly flags: number;
  /** Digits after the point, or of a second's fraction. */
  readonly decimals: number;
  /** Type, character set, flags and length: changes when the column's definition does. */
  readonly signature: string;
}

/** A session. What breaks while it is idle does not end the process; its next query rejects. */
export class Connection {
  readonly #driver: DriverConnection;
  /** What is under way. The driver tells the loss of the connection to the connection alone. */
  #reject: ((error: unknown) => void) | null = null;

  constructor(driver: DriverConnection) {
    this.#driver = driver;
    this.onLost((error) => this.#reject?.(error));
  }

  /** The rows of one statement, by column name, as texts. */
  async rows(sql: string): Promise<readonly Readonly<Record<string, string | null>>[]> {
    const rows: Record<string, string | null>[] = [];
    let names: readonly string[] = [];
    await this.stream(sql, {
      columns: (columns) => (names = columns.map(({ name }) => name)),
      row: (row) => {
        rows.push(Object.fromEntries(names.map((name, i) => [name, row[i]?.toString("utf8") ?? null])));
      },
    });
    return rows;
  }

  /** One row's first column. */
  async value(sql: string): Promise<string | null> {
    const [row] = await this.rows(sql);
    return Object.values(row ?? {})[0] ?? null;
  }

  /** Hands on the rows of one statement as they come. Rejects with the driver's error. */
  stream(sql: string, to: { columns?(columns: readonly ResultColumn[]): void; row(row: RawRow): void }): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#reject = reject;
      const query = this.#driver.query({ sql, rowsAsArray: true, typeCast: (field) => field.buffer() });
      query.on("fields", (fields: readonly DriverField[] | undefined) => to.columns?.((fields ?? []).map(columnOf)));
      query.on("result", (row: unknown) => {
        // A statement without rows has a header in their place.
        if (Array.isArray(row)) to.row(row as RawRow);
      });
      query.on("error", reject);
      query.on("end", () => resolve());
    }).finally(() => (this.#reject = null));
  }

  /** Cuts the connection: what is under way rejects at once, and the server ends the session. */
  destroy(): void {
    this.#socket.destroy();
  }

  get isCut(): boolean {
    return this.#socket.destroyed;
  }

  /** What has arrived so far, in bytes. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** Runs when the session is lost. */
  onLost(callback: (error: unknown) => void): void {
    this.#driver.on("error", callback);
    this.#driver.on("end", () => callback(new Error("the connection was ended")));
  }

  /** Says goodbye and closes; cuts the connection when that takes longer than a second. Never rejects. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isCut) return resolve();
      const timer = setTimeout(() => this.destroy(), 1000);
      this.#socket.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
      this.#driver.end(() => this.#socket.end());
    });
  }

  /** The socket, without the driver. The session must be idle, and is of no use after that. */
  takeSocket(): Socket {
    const socket = this.#socket;
    socket.removeAllListeners("data");
    return socket;
  }

  get #socket(): Socket {
    return (this.#driver as unknown as { stream: Socket }).stream;
  }
}

interface DriverField {
  readonly name: string;
  readonly columnType: number;
  readonly characterSet: number;
  readonly flags: number;
  readonly columnLength: number;
  readonly decimals: number;
}

function columnOf({ name, columnType, characterSet, flags, columnLength, decimals }: DriverField): ResultColumn {
  const signature = [name, columnType, characterSet, flags, columnLength, decimals].join("/");
  return { name, type: columnType, charset: characterSet, flags, decimals, signature };
}

const CODES = { config: "source.config", tls: "source.tls" } as const;

export interface ConnectOptions {
  /** Aborting ends the attempt; afterwards the signal has no effect on the session. */
  readonly signal: AbortSignal;
  readonly baseDirectory?: string | undefined;
}

/**
 * A connected session with our settings. Throws a TailraceError (`source.unreachable`, `source.auth`, `source.tls`,
 * `source.config`), or the signal's reason.
 */
export async function connect(settings: ConnectionSettings, options: ConnectOptions): Promise<Connection> {
  const { signal, baseDirectory = "." } = options;
  signal.throwIfAborted();
  const driver = createConnection(await connectionOptions(settings, { baseDirectory, codes: CODES }));
  const connection = new Connection(driver);
  const stop = () => connection.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      driver.connect((error) => (error === null ? resolve() : reject(error)));
    });
    // How values are printed (no padding, no zero date refused), in which zone, and from which kind of snapshot. MariaDB's
    // semi-joins with grouped subqueries leave out rows when several keys are asked for (seen in 10.11.19).
    await connection.rows(
      "SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION sql_mode = '', SESSION lock_wait_timeout = 10, " +
        "SESSION net_write_timeout = 3600, SESSION wait_timeout = 28800, SESSION sql_select_limit = DEFAULT" +
        " /*M!100304 , SESSION optimizer_switch = 'semijoin=off' */",
    );
    await connection.rows("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    return connection;
  } catch (error) {
    connection.destroy();
    signal.throwIfAborted();
    throw asSourceError(error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
