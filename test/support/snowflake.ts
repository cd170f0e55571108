import type { ChangeBatch } from "../../src/contracts/change.ts";
import type { Values } from "../../src/contracts/values.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { SourceContext } from "../../src/contracts/source.ts";
import snowflake from "../../src/sources/snowflake/index.ts";
import { settings } from "../../src/sources/snowflake/settings.ts";
import { SnowflakeSession } from "../../src/sources/snowflake/session.ts";
import { keyPair } from "../fakes/snowflake/key-pair.ts";
import { SnowflakeServer } from "../fakes/snowflake/server.ts";

/**
 * An account with the database SHOP, where ACCOUNTADMIN owns the tables of PUBLIC and the role TAILRACE_ROLE of user TAILRACE may read those that are
 * granted to it; and, `writes`, make its own in the schema TAILRACE.
 */
export async function snowflakeAccount(options: { readonly writes: boolean }): Promise<SnowflakeServer> {
  const server = await SnowflakeServer.start();
  server.addUser("TAILRACE", keyPair().publicKey, "TAILRACE_ROLE");
  const statements = [
    "CREATE DATABASE SHOP",
    "GRANT USAGE ON DATABASE SHOP TO ROLE TAILRACE_ROLE",
    "GRANT USAGE ON SCHEMA SHOP.PUBLIC TO ROLE TAILRACE_ROLE",
    ...(options.writes
      ? [
          "CREATE SCHEMA SHOP.TAILRACE",
          "GRANT USAGE, CREATE TABLE, CREATE STREAM ON SCHEMA SHOP.TAILRACE TO ROLE TAILRACE_ROLE",
        ]
      : []),
  ];
  for (const sql of statements) await server.account.sql(sql);
  return server;
}

/** A tracked table with one column as its key, which our role may read. */
export async function makeTable(server: SnowflakeServer, name: string, columns: string): Promise<void> {
  const { account } = server;
  await account.sql(`CREATE OR REPLACE TABLE SHOP.PUBLIC.${name} (${columns}) CHANGE_TRACKING = TRUE`);
  await account.sql(`GRANT SELECT ON TABLE SHOP.PUBLIC.${name} TO ROLE TAILRACE_ROLE`);
}

export function snowflakeSettings(
  server: SnowflakeServer,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    account: "FAKE",
    user: "TAILRACE",
    private_key: keyPair().privateKey,
    role: "TAILRACE_ROLE",
    warehouse: "WH",
    database: "SHOP",
    url: server.url,
    poll: { fastest_ms: 20, slowest_ms: 50 },
    settle_ms: 20,
    ...more,
  };
}

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };
const CONTEXT: SourceContext = { name: "shop", project: "test", log: LOG };

export function snowflakeSource(server: SnowflakeServer, more: Record<string, unknown> = {}) {
  return snowflake.create(settings.parse(snowflakeSettings(server, more)), CONTEXT);
}

export function snowflakeSession(server: SnowflakeServer, refreshMs?: number): SnowflakeSession {
  return new SnowflakeSession(settings.parse(snowflakeSettings(server)), ".", refreshMs);
}

/** What changed, without where. */
export function changesOf({ changes }: ChangeBatch): (readonly [string, Values | null, Values | null])[] {
  return changes.map(({ op, before, after }) => [op, before, after]);
}
