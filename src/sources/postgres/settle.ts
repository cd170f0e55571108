import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { Log } from "../../contracts/log.ts";
import type { SqlSession } from "./sql-session.ts";
import { oldestRunning, running } from "./visibility.ts";

const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 1000;
const TELL_AFTER_MS = 5000;
const TELL_EVERY_MS = 30_000;

/**
 * Resolves when every transaction of this database that had begun before the call has ended and is visible to new
 * snapshots. The session is free between two looks. Says in the log whom it waits for, when it takes long.
 */
export async function settle(session: SqlSession, log: Log, signal: AbortSignal): Promise<void> {
  // An id of our own: a transaction that is in the log and not yet visible may have any id before it.
  const mark = await session.use(signal, async (client) => {
    const { rows } = await client.query<{ id: string }>("SELECT pg_current_xact_id()::text AS id");
    return BigInt(rows[0]!.id);
  });
  const startedAtMs = Date.now();
  let toldAtMs = startedAtMs + TELL_AFTER_MS - TELL_EVERY_MS;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const blockers = await session.use(signal, (client) => runningBefore(client, mark));
    if (blockers.length === 0) return;
    if (Date.now() - toldAtMs >= TELL_EVERY_MS) {
      toldAtMs = Date.now();
      log.warn("waiting for transactions that are open on the source", {
        waitedSeconds: Math.round((toldAtMs - startedAtMs) / 1000),
        transactions: blockers.length,
        oldest: blockers[0],
      });
    }
    await delay(waitMs, undefined, { signal });
  }
}

/** What runs of this database with an id before `mark`, in words: the pid, or the name of a prepared transaction. */
async function runningBefore(client: pg.Client, mark: bigint): Promise<readonly string[]> {
  const { rows } = await client.query<{ snapshot: string }>("SELECT pg_current_snapshot()::text AS snapshot");
  const snapshot = rows[0]!.snapshot;
  if (oldestRunning(snapshot) > mark) return [];
  const ids = running(snapshot).filter((id) => BigInt(id) < mark);
  if (ids.length === 0) return [];
  // Transactions of other databases are in snapshots too, and cannot touch our tables. One whose lock is not found is
  // ending just now: it counts.
  const owners = await client.query<{ xid: string; elsewhere: string; who: string }>(
    `SELECT w.xid, (CASE WHEN p.gid IS NOT NULL THEN p.database IS DISTINCT FROM current_database()
                         ELSE coalesce(a.datname IS DISTINCT FROM current_database(), false) AND a.pid IS NOT NULL END)::text AS elsewhere,
            coalesce('prepared transaction ' || p.gid, 'pid ' || l.pid, 'a transaction that is ending') AS who
       FROM unnest($1::text[]) AS w (xid)
       LEFT JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock'
                           AND l.transactionid::text = (w.xid::numeric % 4294967296)::text
       LEFT JOIN pg_stat_activity a ON a.pid = l.pid
       LEFT JOIN pg_prepared_xacts p ON p.transaction::text = (w.xid::numeric % 4294967296)::text
      ORDER BY w.xid::numeric`,
    [ids],
  );
  return owners.rows.filter(({ elsewhere }) => elsewhere !== "true").map(({ who }) => who);
}
