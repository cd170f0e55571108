// The sync's progress, kept in the destination's database so that it commits with the rows.
import { createHash } from "node:crypto";
import type { Delivery } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Session } from "./sessions.ts";

// `batch` tells a repeat of a batch from another batch with the same progress.
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

/** One row of the table, without its time. */
export interface Step {
  readonly progress: string;
  readonly batch: string;
}

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

/**
 * One writer's knowledge of its sync's row. The lease lets only one process write, but a transaction that was open when its
 * process was frozen or cut off may be committed after a successor has looked. Therefore a step is only taken from the row
 * that this writer loaded or wrote last: of two that loaded the same row, one alone can go on from it.
 */
export class OwnProgress {
  readonly #sync: string;
  #expected: Step | null = null;
  /** Steps that may have been committed: the answer was lost. */
  readonly #uncertain: Step[] = [];

  constructor(sync: string) {
    this.#sync = sync;
  }

  /** Waits for a transaction that is about to change the row, as long as `lock_timeout` and the idle timeout let it. */
  async load(session: Session): Promise<string | null> {
    this.#know(await this.#stored(session, "FOR SHARE"));
    return this.#expected?.progress ?? null;
  }

  /** For {@link STEP}. */
  parameters({ progress, batch }: Step): (string | null)[] {
    return [this.#sync, progress, batch, this.#expected?.progress ?? null, this.#expected?.batch ?? null];
  }

  /** The step is committed, now or by an earlier attempt. */
  committed(step: Step): void {
    this.#know(step);
  }

  /** The answer to the commit was lost. */
  unknown(step: Step): void {
    if (this.#uncertain.push(step) > UNCERTAIN_STEPS) this.#uncertain.shift();
  }

  /**
   * Why {@link STEP} was not taken. Returns what is stored when this very batch was committed before; throws
   * `state.lease_lost` when the row is not ours to go on from.
   */
  async repeated(session: Session, step: Step): Promise<Step> {
    const stored = await this.#stored(session);
    if (stored !== null) {
      if (same(stored, step)) return step;
      if (this.#uncertain.some((attempt) => same(attempt, stored))) {
        // Its progress may have moved on since the first attempt; what is stored covers the batch as well.
        if (stored.batch === step.batch) return stored;
        throw new TailraceError(
          "state.lease_lost",
          `a batch of ${this.#sync} whose outcome was not known had been committed; the sync goes on after it`,
        );
      }
    }
    throw new TailraceError(
      "state.lease_lost",
      `the progress of ${this.#sync} in the destination is not what was there before: another process has written, so nothing was written`,
    );
  }

  async #stored(session: Session, lock = ""): Promise<Step | null> {
    const [row] = await session.rows(`SELECT progress, batch FROM tailrace.progress WHERE sync = $1 ${lock}`, [
      this.#sync,
    ]);
    return row === undefined ? null : { progress: row["progress"]!, batch: row["batch"]! };
  }

  #know(step: Step | null): void {
    this.#expected = step;
    this.#uncertain.length = 0;
  }
}

/** So many of one batch's attempts are remembered; one that is forgotten costs no more than loading anew. */
const UNCERTAIN_STEPS = 32;

function same(a: Step, b: Step): boolean {
  return a.progress === b.progress && a.batch === b.batch;
}

/** The same for the same deliveries in the same order. */
export function batchDigest(batch: readonly Delivery[]): string {
  const hash = createHash("sha256");
  for (const delivery of batch) hash.update(`${delivery.id}\n`);
  return hash.digest("base64url");
}
