// What the tests of this destination share.
import type { Destination } from "../../src/contracts/destination.ts";
import type { Log } from "../../src/contracts/log.ts";
import connector from "../../src/destinations/mysql/index.ts";
import type { MariadbDatabase } from "./mariadb.ts";

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };

export function mysqlDestination(database: MariadbDatabase, settings: Record<string, unknown> = {}): Destination {
  return connector.create(connector.settings.parse({ url: database.url, ...settings }), {
    name: "d",
    log: LOG,
    baseDirectory: "/",
  });
}

/** Polls until so many transactions wait for a row's lock on the whole server, at most 10 s. */
export async function untilWaiting(database: MariadbDatabase, transactions = 1): Promise<void> {
  const end = Date.now() + 10_000;
  const query = `SELECT 1 AS yes FROM information_schema.global_status
    WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS' AND variable_value >= ${transactions}`;
  while ((await database.rows(query)).length === 0) if (Date.now() > end) throw new Error("nothing waits for a lock");
}
