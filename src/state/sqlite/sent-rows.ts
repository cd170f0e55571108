import type { OtherGenerations, SentRecord } from "../../contracts/sent-index.ts";
import type { Connection } from "./connection.ts";

const COVERED = 20_000;

/** Records that are new are the rule in a backfill, records that are there already elsewhere: two statements, of which the second is often spared. */
interface Put {
  readonly insert: string;
  readonly update: string;
}

const COUNT = "SELECT json_array_length(?) AS rows";

const PLAIN: Put = {
  insert: "INSERT OR IGNORE INTO sent (sync, key, generation) SELECT ?1, value, ?2 FROM json_each(?3)",
  update: `
    UPDATE sent SET generation = ?2, detail = NULL
    WHERE sync = ?1 AND key IN (SELECT value FROM json_each(?3)) AND (generation <> ?2 OR detail IS NOT NULL)`,
};

const DETAILED: Put = {
  insert: `
    INSERT OR IGNORE INTO sent (sync, key, generation, detail)
    SELECT ?1, value ->> 0, ?2, value -> 1 FROM json_each(?3)`,
  // Not an UPDATE that is joined to the list: SQLite would go through the whole index for that.
  update: `
    INSERT INTO sent (sync, key, generation, detail)
    SELECT ?1, value ->> 0, ?2, value -> 1 FROM json_each(?3) WHERE true
    ON CONFLICT (sync, key) DO UPDATE SET generation = excluded.generation, detail = excluded.detail
      WHERE generation <> excluded.generation OR detail IS NOT excluded.detail`,
};

/**
 * The rows of table `sent`: the records that each sync may have at its destination. Lists of keys come as JSON, which SQLite takes apart
 * itself. What writes does so in a transaction of the caller's.
 */
export class SentRows {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  open(sync: string, identity: string): { readonly id: number; readonly isNew: boolean; readonly rows: number } {
    const known = this.#connection.get("SELECT id, identity FROM sent_of WHERE sync = ?", sync);
    const isNew = known?.["identity"] !== identity;
    if (isNew && known !== undefined) this.#remove(Number(known["id"]));
    const made = isNew
      ? this.#connection.get(
          "INSERT INTO sent_of (sync, identity, syncs) VALUES (?, ?, 0) RETURNING id",
          sync,
          identity,
        )
      : known;
    const id = Number(made?.["id"]);
    const count = this.#connection.get("SELECT count(*) AS rows FROM sent WHERE sync = ?", id);
    return { id, isNew, rows: Number(count?.["rows"]) };
  }

  /** `plain`: JSON of keys; `detailed`: JSON of [key, identity] pairs. How many were not there. */
  announce(id: number, generation: number, plain: string | null, detailed: string | null): number {
    const added = plain === null ? 0 : this.#put(PLAIN, id, generation, plain);
    return added + (detailed === null ? 0 : this.#put(DETAILED, id, generation, detailed));
  }

  #put({ insert, update }: Put, id: number, generation: number, list: string): number {
    const added = this.#connection.run(insert, id, generation, list);
    const all = Number(this.#connection.get(COUNT, list)?.["rows"]);
    if (added < all) this.#connection.run(update, id, generation, list);
    return added;
  }

  /** `keys`: JSON. */
  known(id: number, keys: string): string[] {
    return this.#connection
      .all("SELECT key FROM sent WHERE sync = ?1 AND key IN (SELECT value FROM json_each(?2))", id, keys)
      .map((row) => String(row["key"]));
  }

  /** `keys`: JSON. */
  forget(id: number, keys: string): void {
    this.#connection.run("DELETE FROM sent WHERE sync = ?1 AND key IN (SELECT value FROM json_each(?2))", id, keys);
  }

  others(id: number, generation: number, after: string | null): OtherGenerations {
    const records: SentRecord[] = [];
    let covered = 0;
    let last: string | null = null;
    // Two statements: with "or there is none" in one, SQLite would go through all that is before it.
    const beyond = after === null ? "" : "AND key > ?2";
    this.#connection.each(
      (row) => {
        covered += 1;
        last = String(row["key"]);
        if (Number(row["generation"]) === generation) return;
        const detail = row["detail"];
        records.push({ key: last, identity: typeof detail === "string" ? (JSON.parse(detail) as string[]) : null });
      },
      `SELECT key, generation, detail FROM sent WHERE sync = ?1 ${beyond} ORDER BY key LIMIT ${COVERED}`,
      ...(after === null ? [id] : [id, after]),
    );
    return { records, covered, next: covered < COVERED ? null : last };
  }

  remove(sync: string): void {
    const known = this.#connection.get("SELECT id FROM sent_of WHERE sync = ?", sync);
    if (known !== undefined) this.#remove(Number(known["id"]));
  }

  #remove(id: number): void {
    this.#connection.run("DELETE FROM sent WHERE sync = ?", id);
    this.#connection.run("DELETE FROM sent_of WHERE id = ?", id);
  }
}
