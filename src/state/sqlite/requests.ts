import type { SyncRequest } from "../../contracts/state.ts";
import { checksum } from "./checksum.ts";
import type { Connection } from "./connection.ts";
import { corrupt } from "./sqlite-error.ts";

export interface StoredRequest {
  readonly id: number;
  readonly request: SyncRequest;
}

/**
 * The rows of table `request`. The checksum leaves the id out: the database gives it on insert.
 */
export class Requests {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  add(sync: string, request: SyncRequest): void {
    const text = JSON.stringify(request);
    this.#connection.run(
      "INSERT INTO request (sync, request, checksum) VALUES (?, ?, ?)",
      sync,
      text,
      checksum("request", [sync, text]),
    );
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
      if (checksum("request", [String(row["sync"]), text]) !== row["checksum"])
        throw corrupt(this.#connection.path, "a request does not match its checksum");
      if (row["sync"] === sync) found.push({ id: Number(row["id"]), request: JSON.parse(text) as SyncRequest });
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
