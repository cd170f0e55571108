import pg from "pg";
import { describe, expect, inject, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import { connect } from "./connection.ts";
import { settle } from "./settle.ts";
import { SqlSession } from "./sql-session.ts";

const SERVERS = [
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
];
const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent } as Log;

async function clientOf(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

describe.each(SERVERS)("settling on $server", ({ url }) => {
  const missing = url === "";
  const signal = AbortSignal.timeout(50_000);

  test.skipIf(missing)("waits for the transactions of this database that had begun, and for no others", async () => {
    await using database = await testDatabase(url);
    await using elsewhere = await testDatabase(url);
    await using session = new SqlSession((inner) =>
      connect({ url: database.url }, { replication: false, signal: inner }),
    );
    await using earlier = await clientOf(database.url);
    await using later = await clientOf(database.url);
    await using foreign = await clientOf(elsewhere.url);
    await foreign.query("BEGIN; SELECT pg_current_xact_id()");
    await settle(session, silent, signal);

    await earlier.query("BEGIN; SELECT pg_current_xact_id()");
    const looks: string[] = [];
    let settled = false;
    const counted = new Proxy(session, {
      get: (target, name) =>
        name === "use"
          ? (...args: Parameters<SqlSession["use"]>) => {
              looks.push("look");
              return target.use(...args);
            }
          : (Reflect.get(target, name) as unknown),
    });
    const settling = settle(counted, silent, signal).then(() => (settled = true));
    // The session is free between two looks.
    while (looks.length < 5) await session.use(signal, (client) => client.query("SELECT 1"));
    await later.query("BEGIN; SELECT pg_current_xact_id()");
    expect(settled).toBe(false);
    await earlier.query("COMMIT");
    await settling;
    await later.query("COMMIT");
    await foreign.query("COMMIT");
  });

  test.skipIf(missing)("ends when it is told to", async () => {
    await using database = await testDatabase(url);
    await using session = new SqlSession((inner) =>
      connect({ url: database.url }, { replication: false, signal: inner }),
    );
    await using other = await clientOf(database.url);
    await other.query("BEGIN; SELECT pg_current_xact_id()");
    const abort = new AbortController();
    const settling = settle(session, silent, abort.signal);
    await session.use(signal, (client) => client.query("SELECT 1"));
    abort.abort(new Error("stopped by the test"));
    await expect(settling).rejects.toThrow();
    await other.query("COMMIT");
  });
});
