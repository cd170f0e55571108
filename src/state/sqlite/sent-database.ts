import type { Connection } from "./connection.ts";
import { IndexedRows } from "./indexed-rows.ts";
import { SentRows } from "./sent-rows.ts";

/** The file of what was sent: the records, and the rows of models that are not read from the log itself. */
export class SentDatabase {
  readonly records: SentRows;
  readonly rows: IndexedRows;
  readonly #connection: Connection;
  /** Whether something was written that the disk may not have. */
  #unsynced = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.records = new SentRows(connection);
    this.rows = new IndexedRows(connection);
  }

  /** All of `work`'s writes or none. They outlive the process; on the disk they are after {@link sync}. */
  write<T>(work: () => T): T {
    this.#unsynced = true;
    return this.#connection.write("volatile", work);
  }

  /** All that was written is on the disk when it returns. */
  sync(): void {
    if (!this.#unsynced) return;
    this.#connection.write("durable", () =>
      // A page must change for SQLite to sync the log; the number says nothing.
      this.#connection.run("UPDATE synced SET times = times + 1"),
    );
    this.#unsynced = false;
  }

  forget(sync: string): void {
    this.#connection.write("durable", () => {
      this.records.remove(sync);
      this.rows.remove(sync);
    });
  }

  close(): void {
    this.#connection.close();
  }
}
