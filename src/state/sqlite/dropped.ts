import type { DroppedFailure, DroppedFailures } from "../../contracts/failures.ts";
import { checksum } from "../checksum.ts";
import type { Connection, Row } from "./connection.ts";
import { corrupt } from "./sqlite-error.ts";

/** The rows of tables `dropped` and `dropped_count`. */
export class Dropped {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Inside a write transaction. */
  add(sync: string, records: readonly DroppedFailure[]): void {
    if (records.length === 0) return;
    for (const { id, droppedAtMs, ...rest } of records) {
      const text = JSON.stringify(rest);
      this.#connection.run(
        "INSERT OR REPLACE INTO dropped (sync, at_ms, id, record, checksum) VALUES (?, ?, ?, ?, ?)",
        sync,
        droppedAtMs,
        id,
        text,
        checksum("dropped", [sync, droppedAtMs, id, text]),
      );
    }
    const count = this.#total(sync) + records.length;
    this.#connection.run(
      "INSERT OR REPLACE INTO dropped_count (sync, count, checksum) VALUES (?, ?, ?)",
      sync,
      count,
      checksum("dropped_count", [sync, count]),
    );
  }

  /** Inside a write transaction. The number of all stays. */
  forgetBefore(sync: string, ms: number): void {
    this.#connection.run("DELETE FROM dropped WHERE sync = ? AND at_ms < ?", sync, ms);
  }

  removeAll(sync: string): void {
    this.#connection.run("DELETE FROM dropped WHERE sync = ?", sync);
    this.#connection.run("DELETE FROM dropped_count WHERE sync = ?", sync);
  }

  page(sync: string, limit: number, offset: number): DroppedFailures {
    if (offset <= 0) this.#verify();
    const rows = this.#connection.all(
      "SELECT at_ms, id, record, checksum FROM dropped WHERE sync = ? ORDER BY at_ms DESC, id DESC LIMIT ? OFFSET ?",
      sync,
      Math.max(0, limit),
      Math.max(0, offset),
    );
    return { total: this.#total(sync), records: rows.map((row) => this.#decode(sync, row)) };
  }

  /** All rows: one whose sync's name is damaged would be missing without a word. */
  #verify(): void {
    const rows = this.#connection.all("SELECT sync, at_ms, id, record, checksum FROM dropped");
    for (const row of rows) this.#decode(String(row["sync"]), row);
  }

  #total(sync: string): number {
    let total = 0;
    for (const { sync: name, count, checksum: sum } of this.#connection.all("SELECT * FROM dropped_count")) {
      if (checksum("dropped_count", [String(name), Number(count)]) !== sum)
        throw corrupt(this.#connection.path, "the number of dropped failures does not match its checksum");
      if (name === sync) total = Number(count);
    }
    return total;
  }

  #decode(sync: string, row: Row): DroppedFailure {
    const { at_ms: at, id, record } = row;
    const text = String(record);
    if (checksum("dropped", [sync, Number(at), String(id), text]) !== row["checksum"])
      throw corrupt(this.#connection.path, "the record of a dropped failure does not match its checksum");
    const rest = JSON.parse(text) as Omit<DroppedFailure, "id" | "droppedAtMs">;
    return { ...rest, id: String(id), droppedAtMs: Number(at) };
  }
}
