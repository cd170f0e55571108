import type { ErrorCode } from "../../contracts/errors.ts";
import { type FailurePage, type FailurePlace, type FailureQuery, matchesQuery } from "../../contracts/failures.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import { checksum } from "../checksum.ts";
import type { Names } from "./schema.ts";
import type { Row, Session } from "./sessions.ts";
import { corrupt } from "./state-error.ts";

export interface FailureGroup {
  readonly code: ErrorCode;
  readonly message: string;
  readonly count: number;
}

const COLUMNS = "sync, id, position, letter, checksum";
/** Rows read at a time where all are wanted. */
const PAGE = 1_000;

/** The rows of table `failure`. */
export class DeadLetters {
  readonly #table: string;
  readonly #where: string;

  constructor(names: Names, where: string) {
    this.#table = names.failure;
    this.#where = where;
  }

  /** Those that are there already are replaced: the delivery failed again. Of two with one id the last counts. */
  async put(session: Session, sync: string, letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    const last = [...new Map(letters.map((letter) => [letter.id, letter])).values()];
    const texts = last.map((letter) => JSON.stringify(letter, wellFormed));
    await session.rows(
      `INSERT INTO ${this.#table} (${COLUMNS})
       SELECT $1, id, position, letter, checksum
       FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS new (id, position, letter, checksum)
       ON CONFLICT (sync, id) DO UPDATE
         SET position = excluded.position, letter = excluded.letter, checksum = excluded.checksum`,
      [
        sync,
        last.map(({ id }) => id),
        last.map(({ position }) => position),
        texts,
        last.map(({ id, position }, at) => checksum("failure", [sync, id, position, texts[at] ?? ""])),
      ],
    );
  }

  async some(session: Session, sync: string, ids: readonly string[]): Promise<DeadLetter[]> {
    const rows = await session.rows(`SELECT ${COLUMNS} FROM ${this.#table} WHERE sync = $1 AND id = ANY ($2)`, [
      sync,
      [...ids],
    ]);
    return rows.map((row) => this.#decode(row));
  }

  async remove(session: Session, sync: string, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await session.rows(`DELETE FROM ${this.#table} WHERE sync = $1 AND id = ANY ($2)`, [sync, [...ids]]);
  }

  async removeAll(session: Session, sync: string): Promise<void> {
    await session.rows(`DELETE FROM ${this.#table} WHERE sync = $1`, [sync]);
  }

  /** In log order; that of a letter does not change when it fails again. */
  async page(session: Session, sync: string, { where, after, limit, offset = 0 }: FailurePage): Promise<DeadLetter[]> {
    if (where === undefined) return this.#after(session, sync, after, limit, offset);
    const found: DeadLetter[] = [];
    let left = offset;
    for await (const letter of this.#each(session, sync, after)) {
      if (!matchesQuery(letter, where)) continue;
      if (left > 0) left -= 1;
      else found.push(letter);
      if (found.length >= limit) break;
    }
    return found;
  }

  async #after(
    session: Session,
    sync: string,
    place: FailurePlace | undefined,
    limit: number,
    offset: number,
  ): Promise<DeadLetter[]> {
    const rows = await session.rows(
      `SELECT ${COLUMNS} FROM ${this.#table} WHERE sync = $1 AND (position, id) > ($2, $3)
       ORDER BY position, id LIMIT $4 OFFSET $5`,
      [sync, place?.position ?? "", place?.id ?? "", Math.max(0, limit), Math.max(0, offset)],
    );
    return rows.map((row) => this.#decode(row));
  }

  async *#each(session: Session, sync: string, from?: FailurePlace): AsyncGenerator<DeadLetter> {
    for (let after = from; ;) {
      const page = await this.#after(session, sync, after, PAGE, 0);
      yield* page;
      if (page.length < PAGE) return;
      after = page.at(-1);
    }
  }

  async one(session: Session, sync: string, id: string): Promise<DeadLetter | null> {
    const [row] = await session.rows(`SELECT ${COLUMNS} FROM ${this.#table} WHERE sync = $1 AND id = $2`, [sync, id]);
    return row === undefined ? null : this.#decode(row);
  }

  /** Counted here and not by SQL, so that each row is checked; memory grows with the groups, not with the rows. */
  async groups(session: Session, sync: string, where: FailureQuery = {}): Promise<FailureGroup[]> {
    const groups = new Map<string, FailureGroup>();
    for await (const letter of this.#each(session, sync)) {
      if (!matchesQuery(letter, where)) continue;
      const { code, message } = letter;
      const name = JSON.stringify([code, message]);
      groups.set(name, { code, message, count: (groups.get(name)?.count ?? 0) + 1 });
    }
    return [...groups.values()].sort(
      (a, b) => b.count - a.count || order(a.code, b.code) || order(a.message, b.message),
    );
  }

  async counts(session: Session): Promise<ReadonlyMap<string, number>> {
    const rows = await session.rows(`SELECT sync, count(*) AS count FROM ${this.#table} GROUP BY sync`);
    return new Map(rows.map((row) => [row["sync"] ?? "", Number(row["count"])]));
  }

  #decode(row: Row): DeadLetter {
    const { sync, id, position, letter } = row;
    if (checksum("failure", [sync ?? null, id ?? null, position ?? null, letter ?? null]) !== row["checksum"])
      throw corrupt(this.#where, "a dead letter does not match its checksum");
    return JSON.parse(letter ?? "") as DeadLetter;
  }
}

/** An answer that was shortened may end in half a character, which UTF-8 cannot hold. */
function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
