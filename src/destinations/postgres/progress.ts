// The sync's progress, kept in the destination's database so that it commits with the rows.
import { OwnProgress, type Step } from "../../kit/table-writer/own-progress.ts";
import type { Session } from "./sessions.ts";

const CREATE = `
  CREATE TABLE IF NOT EXISTS tailrace.progress (
    sync text PRIMARY KEY, progress text NOT NULL, batch text NOT NULL, updated_at timestamptz NOT NULL
  )`;

/**
 * Compares and sets: takes the step to `$2`, `$3` when the sync's row still says `$4`, `$5` (null: when there is none); returns a
 * row when it was taken. Locks the row until the transaction ends.
 */
export const STEP = `
  INSERT INTO tailrace.progress AS p (sync, progress, batch, updated_at)
  SELECT $1, $2, $3, now() WHERE $4::text IS NULL OR EXISTS (SELECT FROM tailrace.progress WHERE sync = $1)
  ON CONFLICT (sync) DO UPDATE SET progress = EXCLUDED.progress, batch = EXCLUDED.batch, updated_at = EXCLUDED.updated_at
  WHERE p.progress = $4::text AND p.batch = $5::text AND (p.progress, p.batch) IS DISTINCT FROM (EXCLUDED.progress, EXCLUDED.batch)
  RETURNING 1 AS taken`;

/** How many parameters {@link STEP} has. */
export const STEP_PARAMETERS = 5;

/** Only creates when it is missing: `IF NOT EXISTS` asks for the right to create even where there is nothing to do. */
export async function ensureProgressTable(session: Session): Promise<void> {
  if (await progressTableExists(session)) return;
  await session.query("BEGIN");
  try {
    // Two syncs that start at once would both find nothing.
    await session.query("SELECT pg_advisory_xact_lock(hashtext('tailrace.progress'))");
    if ((await session.rows("SELECT 1 AS there FROM pg_namespace WHERE nspname = 'tailrace'")).length === 0)
      await session.query("CREATE SCHEMA tailrace");
    await session.query(CREATE);
    await session.query("COMMIT");
  } catch (error) {
    await session.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

/** Asks the catalogue itself: `to_regclass` is an error where the user may not use the schema. */
export async function progressTableExists(session: Session): Promise<boolean> {
  const rows = await session.rows(
    "SELECT 1 AS there FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tailrace' AND c.relname = 'progress'",
  );
  return rows.length > 0;
}

/** One writer's knowledge of its sync's row. */
export class StoredProgress {
  readonly #sync: string;
  readonly #own: OwnProgress;

  constructor(sync: string) {
    this.#sync = sync;
    this.#own = new OwnProgress(sync);
  }

  /** Waits for a transaction that is about to change the row, as long as `lock_timeout` and the idle timeout let it. */
  async load(session: Session): Promise<string | null> {
    this.#own.know(await this.#stored(session, "FOR SHARE"));
    return this.#own.expected?.progress ?? null;
  }

  /** For {@link STEP}. */
  parameters({ progress, batch }: Step): (string | null)[] {
    return [this.#sync, progress, batch, this.#own.expected?.progress ?? null, this.#own.expected?.batch ?? null];
  }

  /** The step is committed, now or by an earlier attempt. */
  committed(step: Step): void {
    this.#own.know(step);
  }

  /** The answer to the commit was lost. */
  unknown(step: Step): void {
    this.#own.unknown(step);
  }

  /** Why {@link STEP} was not taken; see {@link OwnProgress.repeated}. */
  async repeated(session: Session, step: Step): Promise<Step> {
    return this.#own.repeated(await this.#stored(session), step);
  }

  async #stored(session: Session, lock = ""): Promise<Step | null> {
    const [row] = await session.rows(`SELECT progress, batch FROM tailrace.progress WHERE sync = $1 ${lock}`, [
      this.#sync,
    ]);
    return row === undefined ? null : { progress: row["progress"]!, batch: row["batch"]! };
  }
}
