// The sync's progress, kept in the database so that it commits with the rows.
import type { Database } from "../../kit/duckdb/database.ts";
import { OwnProgress, type Step } from "../../kit/table-writer/own-progress.ts";

const TABLE = "tailrace.progress";

export async function ensureProgressTable(database: Database): Promise<void> {
  await database.rows("CREATE SCHEMA IF NOT EXISTS tailrace");
  await database.rows(
    `CREATE TABLE IF NOT EXISTS ${TABLE} (sync VARCHAR PRIMARY KEY, progress VARCHAR NOT NULL, batch VARCHAR NOT NULL, updated_at TIMESTAMPTZ NOT NULL)`,
  );
}

/** One writer's knowledge of its sync's row. */
export class StoredProgress {
  readonly #sync: string;
  readonly #own: OwnProgress;

  constructor(sync: string) {
    this.#sync = sync;
    this.#own = new OwnProgress(sync);
  }

  async load(database: Database): Promise<string | null> {
    this.#own.know(await this.#stored(database));
    return this.#own.expected?.progress ?? null;
  }

  /**
   * In a transaction: takes the step when the row is as this writer left it; else returns what {@link OwnProgress.repeated} says. Nobody else
   * can write to the file meanwhile. Returns the progress that the transaction leaves behind.
   */
  async take(database: Database, step: Step): Promise<{ readonly taken: boolean; readonly stored: Step }> {
    const stored = await this.#stored(database);
    const { expected } = this.#own;
    const same = stored?.progress === expected?.progress && stored?.batch === expected?.batch;
    const again = stored?.progress === step.progress && stored.batch === step.batch;
    if (!same || again) return { taken: false, stored: this.#own.repeated(stored, step) };
    await database.rows(`INSERT OR REPLACE INTO ${TABLE} VALUES (?, ?, ?, now())`, [
      this.#sync,
      step.progress,
      step.batch,
    ]);
    return { taken: true, stored: step };
  }

  /** The step is committed, now or by an earlier attempt. */
  committed(step: Step): void {
    this.#own.know(step);
  }

  /** Whether the commit happened is not known. */
  unknown(step: Step): void {
    this.#own.unknown(step);
  }

  async #stored(database: Database): Promise<Step | null> {
    const [row] = await database.rows(`SELECT progress, batch FROM ${TABLE} WHERE sync = ?`, [this.#sync]);
    return row === undefined ? null : { progress: row["progress"]!, batch: row["batch"]! };
  }
}
