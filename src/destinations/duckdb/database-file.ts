// The one connection to the file: DuckDB lets one process at a time write, and we write one batch at a time.
import { type Database, interruptible, openDatabase } from "../../kit/duckdb/database.ts";
import { kindOf } from "../../kit/duckdb/errors.ts";
import { lockFile } from "../../kit/duckdb/file-locks.ts";
import { loadDuckdb } from "../../kit/duckdb/library.ts";
import { databaseError } from "./errors.ts";
import type { Settings } from "./settings.ts";

interface Open {
  readonly database: Database;
  readonly unlock: () => void;
}

export class DatabaseFile implements AsyncDisposable {
  readonly path: string;
  readonly #settings: Settings;
  #open: Open | null = null;
  #idle: NodeJS.Timeout | null = null;
  /** The end of whoever has it now. */
  #turn: Promise<void> = Promise.resolve();

  constructor(path: string, settings: Settings) {
    this.path = path;
    this.#settings = settings;
  }

  /** Runs `work` alone. Rejects with the library's error; what `work` began is rolled back then. */
  async use<T>(signal: AbortSignal, work: (database: Database) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      await before;
      if (this.#idle !== null) clearTimeout(this.#idle);
      const { database } = (this.#open ??= await this.#openFile(signal));
      try {
        return await interruptible(database.connection, signal, () => work(database));
      } catch (error) {
        await this.#rollBack(database, error);
        throw error;
      }
    } finally {
      this.#idle = setTimeout(() => void this.#closeIdle(), this.#settings.hold_ms);
      this.#idle.unref();
      resolve();
    }
  }

  async #openFile(signal: AbortSignal): Promise<Open> {
    const duckdb = await loadDuckdb("destination.config");
    const unlock = await lockFile(this.path, "write", signal);
    try {
      return { database: await openDatabase(duckdb, this.path, "READ_WRITE", this.#settings), unlock };
    } catch (error) {
      unlock();
      throw databaseError(error, "opening");
    }
  }

  async #rollBack(database: Database, error: unknown): Promise<void> {
    const kind = kindOf(error);
    // After these the whole database is of no use until it is opened anew.
    if (kind === "FATAL" || kind === "INTERNAL") return this.#close();
    await database.rows("ROLLBACK").catch(() => {});
  }

  async #closeIdle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#turn;
    this.#turn = promise;
    await before;
    await this.#close().finally(resolve);
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    await open.database.close().finally(open.unlock);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    await this.#closeIdle();
  }
}
