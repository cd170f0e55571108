import { setTimeout as delay } from "node:timers/promises";
import { type GtidSet, formatGtidSet } from "./gtid-set.ts";
import { type LogEnd, readLogEnd, readServer } from "./server.ts";
import type { Connection } from "./connection.ts";
import { literal } from "./sql.ts";
import type { SqlSession } from "./sql-session.ts";
import { snapshotPlace } from "./visibility.ts";

const FIRST_WAIT_MS = 2;
const LONGEST_WAIT_MS = 200;

/**
 * Resolves when everything that is in the log at the call is visible to new snapshots. What has begun and is not in the log yet
 * comes after the call for whoever reads the log, and needs no waiting for.
 * `seen`: on MySQL, what the log has brought.
 */
export async function settle(session: SqlSession, seen: () => GtidSet, signal: AbortSignal): Promise<void> {
  const reached = await session.use(signal, async (connection) => {
    const server = await readServer(connection);
    if (!server.mariadb) {
      const set = literal(formatGtidSet(seen()));
      return async (on: Connection) => (await on.value(`SELECT GTID_SUBSET(${set}, @@GLOBAL.gtid_executed)`)) === "1";
    }
    const end = await readLogEnd(connection, server);
    return (on: Connection) => snapshotReaches(on, end);
  });
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    if (await session.use(signal, reached)) return;
    await delay(waitMs, undefined, { signal });
  }
}

async function snapshotReaches(connection: Connection, { file, offset }: LogEnd): Promise<boolean> {
  await connection.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
  const place = await snapshotPlace(connection);
  await connection.rows("ROLLBACK");
  return place.file > file || (place.file === file && place.offset >= offset);
}
