// Models without a feed through the whole engine: compared when their table has a new version, or by their schedule.
import { join } from "node:path";
import { expect, test } from "vitest";
import { DatabricksServer } from "../../../test/fakes/databricks/server.ts";
import { fold } from "../../../test/support/oracle.ts";
import { testProject } from "../../../test/support/project.ts";
import { startReceiver } from "../../../test/support/receiver.ts";
import { loadConfig } from "../../app/config/load.ts";
import { run } from "../../app/run.ts";
import type { Log } from "../../contracts/log.ts";

const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };

test("a table without a feed, and a query: only what differs is sent, while running and at the next start", async () => {
  await using fake = await DatabricksServer.start();
  await using receiver = await startReceiver();
  const columns = [
    { name: "id", type: "int" },
    { name: "plan", type: "string" },
  ];
  const t = fake.warehouse.create("shop.t", { columns, primaryKey: ["id"] });
  t.write({
    insert: [
      ["1", "pro"],
      ["2", "free"],
      ["3", "pro"],
    ],
  });
  const sections = {
    sources: { w: { type: "databricks", ...fake.settings, catalog: "main", poll: { fastest_ms: 20, slowest_ms: 50 } } },
    models: {
      t: { source: "w", table: "shop.t" },
      plans: { source: "w", sql: "SELECT plan, count(*) AS n FROM shop.t GROUP BY plan", key: "plan", every: "1s" },
    },
    destinations: { r: { type: "webhook", url: receiver.url, allow_private: true } },
    syncs: Object.fromEntries(
      ["t", "plans"].map((model) => [model, { model, destination: "r", mode: "mirror", max_deletes: "100%" }]),
    ),
  };
  const text = Object.entries(sections).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  await using project = await testProject(text.join("\n"));
  const config = await loadConfig({ path: join(project.folder, "tailrace.yml"), env: {} });
  const held = () =>
    Object.fromEntries(
      [...fold(receiver.ledger.entries)].map(([key, row]) => [key, row["plan"] === key ? row["n"] : row["plan"]]),
    );
  const stop = new AbortController();
  const running = run(config, { once: false, signal: stop.signal, log: LOG });
  try {
    await receiver.until(() => receiver.counts.acknowledgedRows === 5, 30_000);
    expect(held()).toEqual({ 1: "pro", 2: "free", 3: "pro", pro: "2", free: "1" });
    t.write({ update: [{ at: ([id]) => id === "1", to: () => ["1", "free"] }], delete: ([id]) => id === "3" });
    await receiver.until(() => receiver.counts.acknowledgedRows === 9, 30_000);
    expect(held()).toEqual({ 1: "free", 2: "free", free: "2" });
  } finally {
    stop.abort();
    await running;
  }
  t.write({ insert: [["4", "pro"]] });
  for (const _run of [1, 2]) {
    expect(await run(config, { once: true, signal: new AbortController().signal, log: LOG })).toEqual({ problems: [] });
    expect(held()).toEqual({ 1: "free", 2: "free", 4: "pro", pro: "1", free: "2" });
    expect(receiver.counts.acknowledgedRows).toBe(11);
  }
});
