import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { sqliteError } from "./sqlite-error.ts";

export type Row = Record<string, SQLOutputValue>;

/**
 * `durable`: on the disk when it returns. `volatile`: written as one piece, but lost with the machine's power when no
 * durable write follows; never a torn file (WAL with synchronous=NORMAL).
 */
export type Durability = "durable" | "volatile";

/** A database with its prepared statements; what SQLite throws becomes a TailraceError that names the file. */
export class Connection {
  readonly path: string;
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #durability: Durability = "durable";

  constructor(path: string, database: DatabaseSync) {
    this.path = path;
    this.database = database;
  }

  /** How many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#guard(() => Number(this.#statement(sql).run(...values).changes));
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#guard(() => this.#statement(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#guard(() => this.#statement(sql).all(...values));
  }

  /** One row at a time, for what may not fit into memory. */
  each(visit: (row: Row) => void, sql: string, ...values: SQLInputValue[]): void {
    this.#guard(() => {
      for (const row of this.#statement(sql).iterate(...values)) visit(row);
    });
  }

  /** As {@link each}, until `visit` has enough (true). */
  until(visit: (row: Row) => boolean, sql: string, ...values: SQLInputValue[]): void {
    this.#guard(() => {
      for (const row of this.#statement(sql).iterate(...values)) if (visit(row)) return;
    });
  }

  /** All of `work`'s writes or none. */
  write<T>(durability: Durability, work: () => T): T {
    if (durability !== this.#durability) {
      this.#exec(durability === "durable" ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      this.#durability = durability;
    }
    return this.#transaction("BEGIN IMMEDIATE", work);
  }

  /** `work` reads from one snapshot. */
  read<T>(work: () => T): T {
    return this.#transaction("BEGIN", work);
  }

  close(): void {
    this.#statements.clear();
    this.#guard(() => this.database.close());
  }

  #transaction<T>(begin: string, work: () => T): T {
    this.#exec(begin);
    try {
      const result = work();
      this.#exec("COMMIT");
      return result;
    } catch (error) {
      // After SQLITE_FULL or SQLITE_IOERR SQLite has often rolled back by itself.
      if (this.database.isTransaction) this.#exec("ROLLBACK");
      throw error;
    }
  }

  #exec(sql: string): void {
    this.#guard(() => this.database.exec(sql));
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }
}
