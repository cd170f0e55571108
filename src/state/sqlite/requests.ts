import type { SyncRequest } from "../../contracts/state.ts";
import { checksum } from "../checksum.ts";
import type { Connection } from "./connection.ts";
import { corrupt } from "./sqlite-error.ts";

export interface StoredRequest {
  readonly id: number;
  readonly request: SyncRequest;
}

/** The rows of table `request`. */
export class Requests {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Inside a write transaction. */
  add(sync: string, request: SyncRequest): void {
    const text = JSON.stringify(request);
    const row = this.#connection.get(
      "INSERT INTO request (sync, request, checksum) VALUES (?, ?, '') RETURNING id",
      sync,
      text,
    );
    // The checksum covers the id, which the database has only now given.
    const id = Number(row?.["id"]);
    this.#connection.run("UPDATE request SET checksum = ? WHERE id = ?", checksum("request", [id, sync, text]), id);
  }

  /**
   * Oldest first. Asked several times a second: while no other connection writes, SQLite answers from its own page
   * cache without touching the disk.
   */
  of(sync: string): StoredRequest[] {
    const found: StoredRequest[] = [];
    // All rows, not only this sync's: one whose name was damaged must not look like another sync's.
    for (const row of this.#connection.all("SELECT id, sync, request, checksum FROM request ORDER BY id")) {
      const text = String(row["request"]);
      const id = Number(row["id"]);
      if (checksum("request", [id, String(row["sync"]), text]) !== row["checksum"])
        throw corrupt(this.#connection.path, "a request does not match its checksum");
      if (row["sync"] === sync) found.push({ id, request: JSON.parse(text) as SyncRequest });
    }
    return found;
  }

  take(sync: string, id: number): void {
    this.#connection.run("DELETE FROM request WHERE id = ? AND sync = ?", id, sync);
  }

  takeAll(sync: string): void {
    this.#connection.run("DELETE FROM request WHERE sync = ?", sync);
  }
}
