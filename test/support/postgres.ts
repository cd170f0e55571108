import { randomBytes } from "node:crypto";
import { Client, type CustomTypesConfig } from "pg";
import { inject } from "vitest";

/** A database of its own, dropped when disposed (with the slots on it). */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  /** A connected client, raw texts: every value comes back as the server prints it. */
  readonly client: Client;
  /** Runs statements separated by `;` as one simple query. */
  sql(text: string): Promise<void>;
  /** Rows of texts, by column name. */
  rows(text: string, values?: readonly unknown[]): Promise<Record<string, string | null>[]>;
}

const RAW_TYPES = { getTypeParser: () => (text: string | Buffer) => text } as unknown as CustomTypesConfig;

/** A database that is there already; disposing only disconnects. */
export async function databaseAt(url: string): Promise<TestDatabase> {
  const client = new Client({ connectionString: url, types: RAW_TYPES });
  // A test that crashes the server must not crash with it.
  client.on("error", () => {});
  await client.connect();
  return {
    name: new URL(url).pathname.slice(1),
    url,
    client,
    sql: async (text) => {
      await client.query(text);
    },
    rows: async (text, values = []) => (await client.query(text, [...values])).rows as Record<string, string | null>[],
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** Makes a fresh database on the shared server. `server`: another server's superuser URL. */
export async function testDatabase(server: string = inject("postgresUrl")): Promise<TestDatabase> {
  const name = `t_${randomBytes(6).toString("hex")}`;
  const admin = new Client({ connectionString: server });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name}`);
  await admin.end();
  const url = new URL(server);
  url.pathname = `/${name}`;
  const database = await databaseAt(url.href);
  return {
    ...database,
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]();
      const dropper = new Client({ connectionString: server });
      await dropper.connect();
      try {
        const slots = await dropper.query<{ slot_name: string; active_pid: number | null }>(
          "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = $1",
          [name],
        );
        for (const { slot_name, active_pid } of slots.rows) {
          if (active_pid !== null) await dropper.query("SELECT pg_terminate_backend($1, 5000)", [active_pid]);
          await dropper.query("SELECT pg_drop_replication_slot($1)", [slot_name]);
        }
        await dropper.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      } finally {
        await dropper.end();
      }
    },
  };
}
