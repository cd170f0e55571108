// The sync's progress, kept in the destination's database so that it commits with the rows.
import { OwnProgress, type Step } from "../../kit/table-writer/own-progress.ts";
import { quoteName } from "./names.ts";
import type { Session } from "./sessions.ts";

export const PROGRESS_TABLE = "tailrace_progress";

export function createProgressSql(database: string): string {
  return `CREATE TABLE IF NOT EXISTS ${quoteName(database)}.${PROGRESS_TABLE} (
    sync varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
    progress mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    batch varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    updated_at datetime(6) NOT NULL
  ) ENGINE = InnoDB`;
}

/** Only creates when it is missing: `IF NOT EXISTS` asks for the right to create even where there is nothing to do. */
export async function ensureProgressTable(session: Session, database: string): Promise<void> {
  if (!(await progressTableExists(session, database))) await session.command(createProgressSql(database));
}

export async function progressTableExists(session: Session, database: string): Promise<boolean> {
  const rows = await session.rows(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? AND table_name = ?",
    [database, PROGRESS_TABLE],
  );
  return rows.length > 0;
}

/** One writer's knowledge of its sync's row. */
export class StoredProgress {
  readonly #sync: string;
  readonly #table: string;
  readonly #own: OwnProgress;

  constructor(sync: string, database: string) {
    this.#sync = sync;
    this.#table = `${quoteName(database)}.${PROGRESS_TABLE}`;
    this.#own = new OwnProgress(sync);
  }

  /** Waits for a transaction that is about to change the row, as long as the lock and idle timeouts let it. */
  async load(session: Session): Promise<string | null> {
    this.#own.know(await this.#stored(session, "LOCK IN SHARE MODE"));
    return this.#own.expected?.progress ?? null;
  }

  /**
   * In a transaction: compares and sets, and locks the row until the transaction ends. Returns whether the step was taken.
   */
  async take(session: Session, { progress, batch }: Step): Promise<boolean> {
    const { expected } = this.#own;
    if (expected === null) {
      const insert = `INSERT INTO ${this.#table} (sync, progress, batch, updated_at) VALUES (?, ?, ?, UTC_TIMESTAMP(6))`;
      try {
        return (await session.run(insert, [this.#sync, progress, batch])) === 1;
      } catch (error) {
        if ((error as { errno?: number }).errno === DUPLICATE) return false;
        throw error;
      }
    }
    const update = `UPDATE ${this.#table} SET progress = ?, batch = ?, updated_at = UTC_TIMESTAMP(6)
      WHERE sync = ? AND progress = ? AND batch = ? AND NOT (progress = ? AND batch = ?)`;
    const before = [expected.progress, expected.batch];
    return (await session.run(update, [progress, batch, this.#sync, ...before, progress, batch])) === 1;
  }

  /** The step is committed, now or by an earlier attempt. */
  committed(step: Step): void {
    this.#own.know(step);
  }

  /** The answer to the commit was lost. */
  unknown(step: Step): void {
    this.#own.unknown(step);
  }

  /** Why the step was not taken; see {@link OwnProgress.repeated}. */
  async repeated(session: Session, step: Step): Promise<Step> {
    return this.#own.repeated(await this.#stored(session), step);
  }

  async #stored(session: Session, lock = ""): Promise<Step | null> {
    const [row] = await session.rows(`SELECT progress, batch FROM ${this.#table} WHERE sync = ? ${lock}`, [this.#sync]);
    return row === undefined ? null : { progress: row["progress"]!, batch: row["batch"]! };
  }
}

const DUPLICATE = 1062;
