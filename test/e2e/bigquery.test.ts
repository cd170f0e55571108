// What has no history on BigQuery, through the whole engine: a query and a view, compared when a table behind them was modified.
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { loadConfig } from "../../src/app/config/load.ts";
import { run } from "../../src/app/run.ts";
import type { Log } from "../../src/contracts/log.ts";
import { PROJECT } from "../fakes/bigquery/project.ts";
import { BigQueryServer } from "../fakes/bigquery/server.ts";
import { fold, type State } from "../support/oracle.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };
const USERS = [
  { name: "id", type: "INT64" },
  { name: "name", type: "STRING" },
];
const ORDERS = [
  { name: "id", type: "INT64" },
  { name: "user_id", type: "INT64" },
  { name: "total", type: "NUMERIC" },
];
const SPENT =
  "SELECT u.id, u.name, SUM(o.total) AS spent FROM `shop.users` AS u JOIN `shop.orders` AS o ON o.user_id = u.id GROUP BY u.id, u.name";

test("a query over BigQuery's tables, and a view, follow every change of the tables", { timeout: 60_000 }, async () => {
  await using server = await BigQueryServer.start();
  await server.create("shop.users", USERS, { history: false });
  await server.create("shop.orders", ORDERS, { history: false });
  await server.create("shop.named", USERS, { type: "VIEW", sql: "SELECT id, name FROM shop.users" });
  await server.insert("shop.users", { id: "1", name: "Ann" }, { id: "2", name: "Bo" });
  await server.insert("shop.orders", { id: "10", user_id: "1", total: "12345678901234567890.5" });
  await using receiver = await startReceiver();
  await using views = await startReceiver();
  const config = {
    sources: {
      w: { type: "bigquery", project: PROJECT, api_endpoint: server.url, poll: { fastest_ms: 20, slowest_ms: 50 } },
    },
    models: { spent: { source: "w", sql: SPENT, key: "id" }, named: { source: "w", table: "shop.named", key: "id" } },
    destinations: {
      r: { type: "webhook", url: receiver.url, allow_private: true },
      v: { type: "webhook", url: views.url, allow_private: true },
    },
    syncs: {
      spent: { model: "spent", destination: "r", mode: "mirror", max_deletes: "100%" },
      named: { model: "named", destination: "v", mode: "mirror", max_deletes: "100%" },
    },
  };
  await using project = await testProject(
    Object.entries(config)
      .map(([section, value]) => `${section}: ${JSON.stringify(value)}`)
      .join("\n"),
  );
  const stop = new AbortController();
  const running = run(await loadConfig({ path: join(project.folder, "tailrace.yml"), env: {} }), {
    once: false,
    signal: stop.signal,
    log: quiet,
  });
  running.catch(() => {});
  const held = (): State => fold(receiver.ledger.entries);
  const until = (is: (state: State) => boolean): Promise<unknown> => receiver.until(() => is(held()), 20_000);
  await until((state) => state.size === 1);
  expect(held().get("1")).toEqual({ id: "1", name: "Ann", spent: "12345678901234567890.5" });
  await server.insert("shop.orders", { id: "11", user_id: "2", total: "5" });
  await until((state) => state.get("2")?.["spent"] === "5");
  await server.write("shop.orders", [{ update: { total: "7.25" }, where: { id: "11" } }]);
  await until((state) => state.get("2")?.["spent"] === "7.25");
  await server.write("shop.orders", [{ delete: { id: "10" } }]);
  await until((state) => !state.has("1"));
  await server.write("shop.users", [{ update: { name: "Bob" }, where: { id: "2" } }]);
  await until((state) => state.get("2")?.["name"] === "Bob");
  await views.until(() => fold(views.ledger.entries).get("2")?.["name"] === "Bob", 20_000);

  // Quiet: metadata is looked at, and nothing is read.
  const billed = server.billed.length;
  const looks = server.requests.length;
  await vi.waitFor(() => expect(server.requests.length).toBeGreaterThan(looks + 20), { timeout: 20_000 });
  expect(server.billed.length).toBe(billed);
  stop.abort();
  await running;
});
