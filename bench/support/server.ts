// The PostgreSQL that floor and subject both read from.
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { type Server, startServer } from "../../src/cli/demo/embedded-postgres.ts";

/** As a server that is in use: durable commits, room for its work. */
const SETTINGS = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "512MB",
  wal_buffers: "16MB",
  max_wal_size: "8GB",
  checkpoint_timeout: "30min",
  // Vacuum in the middle of a measurement is another's noise; the scenarios vacuum what they fill.
  autovacuum: "off",
};

/** `more`: beside these settings. */
export function startBenchServer(more: Readonly<Record<string, string>> = {}): Promise<Server> {
  return startServer({ settings: { ...SETTINGS, ...more } });
}

export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

export async function sql(url: string, ...statements: readonly string[]): Promise<void> {
  await withClient(url, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

/** A slot at the same place as `slot`, with the same plugin. */
export async function copySlot(url: string, slot: string, copy: string): Promise<void> {
  await withClient(url, (client) => client.query("SELECT pg_copy_logical_replication_slot($1, $2)", [slot, copy]));
}

export async function dropSlot(url: string, slot: string): Promise<void> {
  await withClient(url, (client) => client.query("SELECT pg_drop_replication_slot($1)", [slot]));
}

/** The end of the log now, as the server writes it. */
export async function logEnd(url: string): Promise<string> {
  const { rows } = await withClient(url, (client) =>
    client.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn"),
  );
  return rows[0]!.lsn;
}

/**
 * When the server was asked to send what a slot holds (START_REPLICATION), in ms since the epoch. Waits for the reader
 * to come; must be called before.
 */
export async function startOfReading(url: string, slot: string): Promise<number> {
  return withClient(url, async (client) => {
    const text = `SELECT (extract(epoch FROM a.query_start) * 1000)::text AS ms
                    FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid
                   WHERE s.slot_name = $1`;
    for (const deadlineMs = Date.now() + READER_MS; Date.now() < deadlineMs;) {
      const { rows } = await client.query<{ ms: string }>({ name: "start", text, values: [slot] });
      if (rows[0] !== undefined) return Number(rows[0].ms);
      await delay(POLL_MS);
    }
    throw new Error(`nobody came to read ${slot}`);
  });
}

const READER_MS = 30_000;
const POLL_MS = 20;
