import type { OtherGenerations, SentIndex, SentRecord } from "../../contracts/sent-index.ts";
import type { Names } from "./schema.ts";
import type { Session } from "./sessions.ts";

const COVERED = 5_000;

/** How an index writes: in a transaction that has proven the lease, not waiting for the disk, one after the other. */
export interface SentAccess {
  readonly names: Names;
  write<T>(work: (session: Session) => Promise<T>): Promise<T>;
  read<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** Opens the index of one sync, inside a transaction that has proven the lease. */
export async function openSent(
  session: Session,
  names: Names,
  sync: string,
  identity: string,
): Promise<{ readonly isNew: boolean; readonly rows: number }> {
  const [known] = await session.rows(`SELECT identity FROM ${names.sent_of} WHERE sync = $1`, [sync]);
  const isNew = known?.["identity"] !== identity;
  if (isNew) {
    await removeSent(session, names, sync);
    await session.rows(`INSERT INTO ${names.sent_of} (sync, identity) VALUES ($1, $2)`, [sync, identity]);
  }
  const [count] = await session.rows(`SELECT count(*) AS rows FROM ${names.sent} WHERE sync = $1`, [sync]);
  return { isNew, rows: Number(count?.["rows"]) };
}

export async function removeSent(session: Session, names: Names, sync: string): Promise<void> {
  await session.rows(`DELETE FROM ${names.sent} WHERE sync = $1`, [sync]);
  await session.rows(`DELETE FROM ${names.sent_of} WHERE sync = $1`, [sync]);
}

/** The rows of table `sent` of one sync. */
export class PostgresSentIndex implements SentIndex {
  readonly isNew: boolean;
  readonly rows: number;
  readonly #sync: string;
  readonly #access: SentAccess;
  readonly #table: string;

  constructor(sync: string, access: SentAccess, opened: { readonly isNew: boolean; readonly rows: number }) {
    this.#sync = sync;
    this.#access = access;
    this.#table = access.names.sent;
    this.isNew = opened.isNew;
    this.rows = opened.rows;
  }

  async announce(records: readonly SentRecord[], generation: number): Promise<{ readonly added: number }> {
    const keys = records.map(({ key }) => key);
    const details = records.map(({ identity }) => (identity === null ? null : JSON.stringify(identity)));
    const rows = await this.#access.write((session) =>
      session.rows(
        `INSERT INTO ${this.#table} AS sent (sync, key, generation, detail)
         SELECT $1::text, key, $2::bigint, detail FROM unnest($3::text[], $4::text[]) AS new (key, detail) ORDER BY key
         ON CONFLICT (sync, key) DO UPDATE SET generation = excluded.generation, detail = excluded.detail
           WHERE sent.generation <> excluded.generation OR sent.detail IS DISTINCT FROM excluded.detail
         RETURNING (xmax = 0)::text AS added`,
        [this.#sync, generation, keys, details],
      ),
    );
    return { added: rows.filter((row) => row["added"] === "true").length };
  }

  async known(keys: readonly string[]): Promise<readonly string[]> {
    const rows = await this.#access.read((session) =>
      session.rows(`SELECT key FROM ${this.#table} WHERE sync = $1 AND key = ANY ($2)`, [this.#sync, [...keys]]),
    );
    return rows.map((row) => row["key"] ?? "");
  }

  async forget(keys: readonly string[]): Promise<void> {
    await this.#access.write((session) =>
      session.rows(`DELETE FROM ${this.#table} WHERE sync = $1 AND key = ANY ($2)`, [this.#sync, [...keys]]),
    );
  }

  async others(generation: number, after: string | null): Promise<OtherGenerations> {
    const rows = await this.#access.read((session) =>
      session.rows(
        `SELECT key, detail, (generation <> $2)::text AS other FROM ${this.#table}
         WHERE sync = $1 AND ($3::text IS NULL OR key > $3 COLLATE "C") ORDER BY key LIMIT ${COVERED}`,
        [this.#sync, generation, after],
      ),
    );
    const records = rows
      .filter((row) => row["other"] === "true")
      .map((row): SentRecord => {
        const detail = row["detail"];
        return {
          key: row["key"] ?? "",
          identity: typeof detail === "string" ? (JSON.parse(detail) as string[]) : null,
        };
      });
    return { records, covered: rows.length, next: rows.length < COVERED ? null : (rows.at(-1)?.["key"] ?? null) };
  }
}
