import type { ErrorCode } from "../../contracts/errors.ts";
import { type FailurePage, type FailureQuery, matchesQuery } from "../../contracts/failures.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import { checksum } from "../checksum.ts";
import type { Connection, Row } from "./connection.ts";
import { corrupt } from "./sqlite-error.ts";

const COLUMNS = "id, key, op, position, code, message, answer, attempts, failed_at_ms, payload, checksum";

export interface FailureGroup {
  readonly code: ErrorCode;
  readonly message: string;
  readonly count: number;
}

/** The rows of table `failure`. */
export class DeadLetters {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** One that is there already is replaced: the delivery failed again. */
  put(sync: string, letter: DeadLetter): void {
    // An answer that was shortened may end in half a character, which UTF-8 cannot hold.
    const content = [
      letter.id,
      JSON.stringify(letter.key),
      letter.op,
      letter.position,
      letter.code,
      letter.message,
      letter.answer,
      letter.attempts,
      letter.failedAtMs,
      letter.payload,
    ].map((value) => (typeof value === "string" ? value.toWellFormed() : value));
    this.#connection.run(
      `INSERT OR REPLACE INTO failure (sync, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      sync,
      ...content,
      checksum("failure", [sync, ...content]),
    );
  }

  remove(sync: string, id: string): void {
    this.#connection.run("DELETE FROM failure WHERE sync = ? AND id = ?", sync, id);
  }

  removeAll(sync: string): void {
    this.#connection.run("DELETE FROM failure WHERE sync = ?", sync);
  }

  /** In log order; that of a letter does not change when it fails again. */
  page(sync: string, { where, after, limit, offset = 0 }: FailurePage): DeadLetter[] {
    const behind = [sync, after?.position ?? "", after?.id ?? ""];
    const select = `SELECT ${COLUMNS} FROM failure WHERE sync = ? AND (position, id) > (?, ?) ORDER BY position, id`;
    if (where === undefined) {
      const bounds = [Math.max(0, limit), Math.max(0, offset)];
      return this.#connection
        .all(`${select} LIMIT ? OFFSET ?`, ...behind, ...bounds)
        .map((row) => this.#decode(sync, row));
    }
    const found: DeadLetter[] = [];
    let left = offset;
    this.#connection.until(
      (row) => {
        const letter = this.#decode(sync, row);
        if (!matchesQuery(letter, where)) return false;
        if (left > 0) left -= 1;
        else found.push(letter);
        return found.length >= limit;
      },
      select,
      ...behind,
    );
    return found;
  }

  one(sync: string, id: string): DeadLetter | null {
    const row = this.#connection.get(`SELECT ${COLUMNS} FROM failure WHERE sync = ? AND id = ?`, sync, id);
    return row === undefined ? null : this.#decode(sync, row);
  }

  /** Counted here and not by SQL, so that each row is checked; memory grows with the groups, not with the rows. */
  groups(sync: string, where: FailureQuery = {}): FailureGroup[] {
    const groups = new Map<string, FailureGroup>();
    this.#connection.each(
      (row) => {
        const letter = this.#decode(sync, row);
        if (!matchesQuery(letter, where)) return;
        const { code, message } = letter;
        const name = JSON.stringify([code, message]);
        groups.set(name, { code, message, count: (groups.get(name)?.count ?? 0) + 1 });
      },
      `SELECT ${COLUMNS} FROM failure WHERE sync = ?`,
      sync,
    );
    return [...groups.values()].sort(
      (a, b) => b.count - a.count || order(a.code, b.code) || order(a.message, b.message),
    );
  }

  counts(): ReadonlyMap<string, number> {
    const rows = this.#connection.all("SELECT sync, count(*) AS count FROM failure GROUP BY sync");
    return new Map(rows.map((row) => [String(row["sync"]), Number(row["count"])]));
  }

  #decode(sync: string, row: Row): DeadLetter {
    const content = COLUMNS.split(", ").map((column) => row[column] as string | number | null);
    const sum = content.pop();
    if (checksum("failure", [sync, ...content]) !== sum)
      throw corrupt(this.#connection.path, "a dead letter does not match its checksum");
    return {
      id: String(row["id"]),
      key: JSON.parse(String(row["key"])) as string[],
      op: String(row["op"]),
      position: String(row["position"]),
      code: row["code"] as ErrorCode,
      message: String(row["message"]),
      answer: row["answer"] as string | null,
      attempts: Number(row["attempts"]),
      failedAtMs: Number(row["failed_at_ms"]),
      payload: row["payload"] as string | null,
    };
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
