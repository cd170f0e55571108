// Our replication slot: the place in the log that the server keeps for us.
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { parseLsn } from "./position.ts";

export interface Slot {
  readonly name: string;
  readonly database: string;
  /** The process that reads from it; null: nobody does. */
  readonly activePid: number | null;
  /** What the server has been told is stored; null for a slot that is still being made. */
  readonly confirmedFlush: bigint | null;
  /** Bytes of log that the server keeps because of it. */
  readonly retainedBytes: number | null;
  /** `reserved`, `extended`, `unreserved`, `lost`. */
  readonly walStatus: string | null;
  /** Why the server gave it up; null: it did not. */
  readonly lost: string | null;
}

interface SlotRow {
  readonly slot_name: string;
  readonly database: string;
  readonly active_pid: string | null;
  readonly confirmed: string | null;
  readonly retained: string | null;
  readonly wal_status: string | null;
  readonly reason: string | null;
}

// to_jsonb, because older versions have no column for the reason.
const SLOTS = `
  SELECT s.slot_name::text, s.database::text, s.active_pid::text, s.confirmed_flush_lsn::text AS confirmed,
         pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                         s.restart_lsn)::text AS retained,
         s.wal_status, to_jsonb(s) ->> 'invalidation_reason' AS reason
    FROM pg_replication_slots s
   WHERE s.slot_type = 'logical'`;

function slotOf(row: SlotRow): Slot {
  const lost = row.reason ?? (row.wal_status === "lost" ? "wal_removed" : null);
  return {
    name: row.slot_name,
    database: row.database,
    activePid: row.active_pid === null ? null : Number(row.active_pid),
    confirmedFlush: row.confirmed === null ? null : parseLsn(row.confirmed),
    retainedBytes: row.retained === null ? null : Number(row.retained),
    walStatus: row.wal_status,
    lost,
  };
}

/** null: there is none of that name. A query that fails throws: not knowing is not "missing". */
export async function readSlot(client: pg.Client, name: string): Promise<Slot | null> {
  const { rows } = await client.query<SlotRow>(`${SLOTS} AND s.slot_name = $1`, [name]);
  return rows[0] ? slotOf(rows[0]) : null;
}

const LOOK_EVERY_MS = 500;

/** A statement that is cancelled ends within this time, or its connection is dead. */
const CANCELLED_WITHIN_MS = 10_000;

/** The logical slots of this database whose name starts with `prefix`. */
export async function listSlots(client: pg.Client, prefix: string): Promise<readonly Slot[]> {
  const { rows } = await client.query<SlotRow>(
    `${SLOTS} AND s.database = current_database() AND starts_with(s.slot_name::text, $1) ORDER BY s.slot_name`,
    [prefix],
  );
  return rows.map(slotOf);
}

export interface SlotWish {
  readonly name: string;
  /** Kept on standbys too, so that a failover does not lose it. PostgreSQL 17 and later. */
  readonly failover: boolean;
  /** How long to wait for the transactions that are open now. */
  readonly blockedAfterMs: number;
}

/**
 * Makes the slot; returns the place where its changes start. The server waits for the transactions that are open
 * now: after `blockedAfterMs` it throws `source.blocked` with the pid of the one in the way, and no slot is left behind.
 * `client` may be a replication connection, which takes no parameters; `watcher`: another one, to look and to cancel with.
 */
export async function createSlot(client: pg.Client, watcher: pg.Client, wish: SlotWish): Promise<bigint> {
  const pid = await backendPid(client);
  let blocker: string | null = null;
  // Looked for until the end: on a busy machine the wait may begin late, and who looks is not taken for dead.
  let looking = false;
  const timer = setInterval(
    () => {
      if (!looking) void lookForBlocker();
    },
    Math.min(wish.blockedAfterMs / 8, LOOK_EVERY_MS),
  );
  const lookForBlocker = async () => {
    looking = true;
    try {
      blocker = (await blockerOf(watcher, pid)) ?? blocker;
    } catch {
      // Only for the message; the statement itself reports what is wrong.
    } finally {
      looking = false;
    }
  };
  // lock_timeout ends the wait for a transaction; statement_timeout is not always looked at here. The cancel is for
  // several waits in a row, each shorter than the limit.
  const cancel = setTimeout(() => {
    watcher.query("SELECT pg_cancel_backend($1::int)", [pid]).catch(() => {});
  }, wish.blockedAfterMs * 2);
  const giveUp = setTimeout(() => destroy(client), wish.blockedAfterMs * 2 + CANCELLED_WITHIN_MS);
  try {
    await client.query(`SET lock_timeout = ${wish.blockedAfterMs}`);
    const { rows } = await client.query<{ lsn: string }>(
      `SELECT lsn::text FROM pg_create_logical_replication_slot(${pg.escapeLiteral(wish.name)}, 'pgoutput', false${wish.failover ? ", false, true" : ""})`,
    );
    failpoint("slot-created");
    return parseLsn(rows[0]!.lsn);
  } catch (error) {
    const code = (error as { code?: string }).code;
    // 55P03 lock_not_available, 57014 query_canceled
    if (code === "55P03" || code === "57014") {
      throw new TailraceError(
        "source.blocked",
        `the replication slot ${wish.name} cannot be made while an older transaction is open${blocker ? `: ${blocker as string}` : ""}`,
      );
    }
    if (code === "42501") {
      throw new TailraceError(
        "source.config",
        `the role may not make a replication slot: ALTER ROLE ${await roleOf(client)} REPLICATION`,
      );
    }
    if (code === "53400" || code === "55000") {
      // Every slot is taken, or wal_level is not logical: the server's own text says which.
      throw new TailraceError("source.config", `the replication slot cannot be made: ${(error as Error).message}`);
    }
    throw error;
  } finally {
    clearInterval(timer);
    clearTimeout(cancel);
    clearTimeout(giveUp);
    await client.query("SET lock_timeout = 0").catch(() => {});
  }
}

/**
 * Makes a slot that stands where another one does. It may be read meanwhile; the copy keeps what the other kept when this
 * was called. Throws `source.config` when every slot of the server is taken.
 */
export async function copySlot(client: pg.Client, from: string, to: string): Promise<void> {
  try {
    await client.query("SELECT pg_copy_logical_replication_slot($1, $2)", [from, to]);
  } catch (error) {
    if ((error as { code?: string }).code !== "53400") throw error;
    throw new TailraceError("source.config", `the replication slot ${to} cannot be made: ${(error as Error).message}`);
  }
}

export async function dropSlot(client: pg.Client, name: string): Promise<void> {
  await client.query("SELECT pg_drop_replication_slot($1)", [name]);
}

async function backendPid(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: string }>("SELECT pg_backend_pid()::text AS pid");
  return Number(rows[0]!.pid);
}

async function roleOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ role: string }>("SELECT current_user::text AS role");
  return pg.escapeIdentifier(rows[0]!.role);
}

/** Who is in the way of a backend, in words: pid, role, since when. Without the statement, which may hold values. */
async function blockerOf(client: pg.Client, pid: number): Promise<string | null> {
  const { rows } = await client.query<{
    pid: string;
    usename: string | null;
    state: string | null;
    seconds: string | null;
  }>(
    `SELECT a.pid::text, a.usename::text, a.state, floor(extract(epoch FROM now() - a.xact_start))::bigint::text AS seconds
       FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids($1::int)) ORDER BY a.xact_start LIMIT 3`,
    [pid],
  );
  if (rows.length === 0) return null;
  return rows
    .map((row) => `pid ${row.pid} (${row.usename ?? "?"}, ${row.state ?? "?"}, open for ${row.seconds ?? "?"} s)`)
    .join(", ");
}
