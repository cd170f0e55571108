import type { SyncRequest } from "../../contracts/state.ts";
import { checksum } from "../checksum.ts";
import type { Names } from "./schema.ts";
import type { Session } from "./sessions.ts";
import { corrupt } from "./state-error.ts";

export interface StoredRequest {
  readonly id: number;
  readonly request: SyncRequest;
}

/** The rows of table `request`. */
export class Requests {
  readonly #table: string;
  readonly #where: string;

  constructor(names: Names, where: string) {
    this.#table = names.request;
    this.#where = where;
  }

  async add(session: Session, sync: string, request: SyncRequest): Promise<void> {
    const text = JSON.stringify(request);
    await session.rows(`INSERT INTO ${this.#table} (sync, request, checksum) VALUES ($1, $2, $3)`, [
      sync,
      text,
      checksum("request", [sync, text]),
    ]);
  }

  /** Oldest first. */
  async of(session: Session, sync: string): Promise<StoredRequest[]> {
    const rows = await session.rows(
      `SELECT id::text AS id, request, checksum FROM ${this.#table} WHERE sync = $1 ORDER BY ${this.#table}.id`,
      [sync],
    );
    return rows.map((row) => {
      const text = row["request"] ?? "";
      if (checksum("request", [sync, text]) !== row["checksum"])
        throw corrupt(this.#where, "a request does not match its checksum");
      return { id: Number(row["id"]), request: JSON.parse(text) as SyncRequest };
    });
  }

  async take(session: Session, sync: string, ids: readonly number[]): Promise<void> {
    if (ids.length === 0) return;
    await session.rows(`DELETE FROM ${this.#table} WHERE sync = $1 AND id = ANY ($2::bigint[])`, [sync, [...ids]]);
  }

  async removeAll(session: Session, sync: string): Promise<void> {
    await session.rows(`DELETE FROM ${this.#table} WHERE sync = $1`, [sync]);
  }
}
