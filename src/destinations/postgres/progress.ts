// The sync's progress, kept in the destination's database so that it commits with the rows.
import { createHash } from "node:crypto";
import type { Delivery } from "../../contracts/destination.ts";
import type { Session } from "./sessions.ts";

// `batch` tells a repeat of a batch from another batch with the same progress.
const CREATE = `
  CREATE TABLE IF NOT EXISTS tailrace.progress (
    sync text PRIMARY KEY, progress text NOT NULL, batch text NOT NULL, updated_at timestamptz NOT NULL
  )`;

/**
 * Takes the step to `$2`; returns a row when it was taken, none when this very batch was committed already. Locks the sync's
 * row until the transaction ends, so that two runners of one sync cannot interleave.
 */
export const STEP = `
  INSERT INTO tailrace.progress AS p (sync, progress, batch, updated_at) VALUES ($1, $2, $3, now())
  ON CONFLICT (sync) DO UPDATE SET progress = EXCLUDED.progress, batch = EXCLUDED.batch, updated_at = EXCLUDED.updated_at
  WHERE (p.progress, p.batch) IS DISTINCT FROM (EXCLUDED.progress, EXCLUDED.batch) RETURNING 1 AS taken`;

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

export async function loadProgress(session: Session, sync: string): Promise<string | null> {
  const [row] = await session.rows("SELECT progress FROM tailrace.progress WHERE sync = $1", [sync]);
  return row?.["progress"] ?? null;
}

/** The same for the same deliveries in the same order. */
export function batchDigest(batch: readonly Delivery[]): string {
  const hash = createHash("sha256");
  for (const delivery of batch) hash.update(`${delivery.id}\n`);
  return hash.digest("base64url");
}
