import type { DroppedFailure, DroppedFailures } from "../../contracts/failures.ts";
import { checksum } from "../checksum.ts";
import type { Names } from "./schema.ts";
import type { Row, Session } from "./sessions.ts";
import { corrupt } from "./state-error.ts";

/** The rows of tables `dropped` and `dropped_count`. */
export class Dropped {
  readonly #names: Names;
  readonly #where: string;

  constructor(names: Names, where: string) {
    this.#names = names;
    this.#where = where;
  }

  async add(session: Session, sync: string, records: readonly DroppedFailure[]): Promise<void> {
    if (records.length === 0) return;
    const texts = records.map(({ id: _id, droppedAtMs: _at, ...rest }) => JSON.stringify(rest));
    await session.rows(
      `INSERT INTO ${this.#names.dropped} (sync, at_ms, id, record, checksum)
       SELECT $1, at_ms, id, record, checksum
       FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[]) AS new (at_ms, id, record, checksum)
       ON CONFLICT (sync, at_ms, id) DO UPDATE SET record = excluded.record, checksum = excluded.checksum`,
      [
        sync,
        records.map(({ droppedAtMs }) => droppedAtMs),
        records.map(({ id }) => id),
        texts,
        records.map(({ id, droppedAtMs }, at) => sumOf(sync, String(droppedAtMs), id, texts[at] ?? "")),
      ],
    );
    const count = (await this.#total(session, sync)) + records.length;
    await session.rows(
      `INSERT INTO ${this.#names.dropped_count} (sync, count, checksum) VALUES ($1, $2, $3)
       ON CONFLICT (sync) DO UPDATE SET count = excluded.count, checksum = excluded.checksum`,
      [sync, count, checksum("dropped_count", [sync, count])],
    );
  }

  /** The number of all stays. */
  async forgetBefore(session: Session, sync: string, ms: number): Promise<void> {
    await session.rows(`DELETE FROM ${this.#names.dropped} WHERE sync = $1 AND at_ms < $2`, [sync, ms]);
  }

  async removeAll(session: Session, sync: string): Promise<void> {
    for (const table of [this.#names.dropped, this.#names.dropped_count])
      await session.rows(`DELETE FROM ${table} WHERE sync = $1`, [sync]);
  }

  async page(session: Session, sync: string, limit: number, offset: number): Promise<DroppedFailures> {
    const rows = await session.rows(
      `SELECT at_ms::text AS at_ms, id, record, checksum FROM ${this.#names.dropped} AS dropped WHERE sync = $1
       ORDER BY dropped.at_ms DESC, id DESC LIMIT $2 OFFSET $3`,
      [sync, Math.max(0, limit), Math.max(0, offset)],
    );
    return { total: await this.#total(session, sync), records: rows.map((row) => this.#decode(sync, row)) };
  }

  async #total(session: Session, sync: string): Promise<number> {
    const [row] = await session.rows(
      `SELECT count::text AS count, checksum FROM ${this.#names.dropped_count} WHERE sync = $1`,
      [sync],
    );
    if (row === undefined) return 0;
    const count = Number(row["count"]);
    if (checksum("dropped_count", [sync, count]) !== row["checksum"])
      throw corrupt(this.#where, "the number of dropped failures does not match its checksum");
    return count;
  }

  #decode(sync: string, { at_ms: at, id, record, checksum: sum }: Row): DroppedFailure {
    if (sumOf(sync, at ?? "", id ?? "", record ?? "") !== sum)
      throw corrupt(this.#where, "the record of a dropped failure does not match its checksum");
    const rest = JSON.parse(record ?? "") as Omit<DroppedFailure, "id" | "droppedAtMs">;
    return { ...rest, id: id ?? "", droppedAtMs: Number(at) };
  }
}

function sumOf(sync: string, at: string, id: string, record: string): string {
  return checksum("dropped", [sync, at, id, record]);
}
