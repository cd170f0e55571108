import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Config, loadConfig } from "../../src/app/config/load.ts";
import { createSource } from "../../src/app/project.ts";
import type { Capture } from "../../src/contracts/capture.ts";
import type { Source } from "../../src/contracts/source.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { silent } from "../support/webhook.ts";

// The models of a manifest that dbt wrote, over relations as dbt makes them.

const RELATIONS = `
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, plan text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL, total numeric NOT NULL, status text NOT NULL);
ALTER TABLE orders REPLICA IDENTITY FULL;
CREATE SCHEMA marts;
CREATE VIEW marts.golden_users AS
  WITH __dbt__cte__stg_orders AS (SELECT id, user_id, total, status FROM orders WHERE status <> 'test'),
  __dbt__cte__paid_orders AS (SELECT id AS order_id, user_id, total FROM __dbt__cte__stg_orders WHERE status = 'paid')
  SELECT u.id, u.email, u.plan, coalesce(sum(o.total), 0) AS lifetime_value
  FROM users u LEFT JOIN __dbt__cte__paid_orders o ON o.user_id = u.id GROUP BY u.id;
CREATE TABLE marts.customers AS SELECT * FROM marts.golden_users;
CREATE VIEW marts.top_customers AS SELECT id, email, lifetime_value FROM marts.customers WHERE lifetime_value > 100;
CREATE TABLE marts.order_log (user_id bigint NOT NULL, order_id bigint NOT NULL, total numeric, PRIMARY KEY (user_id, order_id))`;

let stack: AsyncDisposableStack;
let database: TestDatabase;
let config: Config;
let source: Source;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  database = stack.use(await testDatabase());
  await database.sql(RELATIONS);
  const project = stack.use(
    await testProject(`dbt: { project: analytics }
sources:
  shop: { type: postgres, url: "${database.url}" }
models:
  golden: { source: shop, dbt: golden_users }
  paid: { source: shop, dbt: paid_orders, key: order_id }
  log: { source: shop, dbt: order_log }
  customers: { source: shop, dbt: shop.customers }
  top: { source: shop, dbt: top_customers, key: id }
`),
  );
  const written = join(import.meta.dirname, "../fixtures/dbt/dbt-1.10/build/manifest.json");
  const target = join(project.folder, "analytics/target");
  await mkdir(target, { recursive: true });
  const manifest = (await readFile(written, "utf8")).replaceAll(
    String.raw`\"shop\".`,
    String.raw`\"${database.name}\".`,
  );
  await writeFile(join(target, "manifest.json"), manifest);
  config = await loadConfig({ path: join(project.folder, "tailrace.yml"), env: {} });
  source = stack.use(createSource(config, "shop", silent));
});
afterAll(() => stack.disposeAsync());

const capture = (model: string): Promise<Capture> =>
  source.capture(config.models.get(model)!, AbortSignal.timeout(30_000));

test.each(["golden", "paid"])("a view or ephemeral model of raw tables is followed live: %s", async (model) => {
  const live = await capture(model);
  expect(live).toMatchObject({ kind: "live" });
  expect(
    (await source.describe(config.models.get(model)!, AbortSignal.timeout(30_000))).columns.length,
  ).toBeGreaterThan(2);
});

test("an incremental table with a primary key is read from its log", async () => {
  expect(await capture("log")).toEqual({ kind: "log" });
});

test.each(["customers", "top"])("what dbt makes anew needs nothing of the log: %s", async (model) => {
  expect(await capture(model)).toMatchObject({ kind: "diff", triggers: null });
});

test("no table that dbt makes anew is published", async () => {
  const statements = (await source.plan([...config.models.values()], [], AbortSignal.timeout(30_000))).join("\n");
  expect(statements).toContain('"public"."orders"');
  expect(statements).toContain('"marts"."order_log"');
  expect(statements).not.toContain("customers");
});
