import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { until } from "../support/postgres-destination.ts";
import { testProject } from "../support/project.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/dbt/dbt-1.10");

/** What `dbt run` does to a model that is materialized as a table: another table takes its name. */
const REBUILD = `
CREATE TABLE marts.customers__dbt_tmp AS SELECT id, email, plan, 0 AS lifetime_value FROM users;
BEGIN;
ALTER TABLE marts.customers RENAME TO customers__dbt_backup;
ALTER TABLE marts.customers__dbt_tmp RENAME TO customers;
COMMIT;
DROP TABLE marts.customers__dbt_backup CASCADE`;

test("a table that dbt makes anew is compared when dbt has run, and only what differs is sent", async () => {
  await using database = await testDatabase();
  await using crm = await testDatabase();
  await database.sql(`
    CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, plan text NOT NULL);
    INSERT INTO users SELECT i, 'u' || i, 'free' FROM generate_series(1, 50) i;
    CREATE SCHEMA marts;
    CREATE TABLE marts.customers AS SELECT id, email, plan, 0 AS lifetime_value FROM users`);
  await using project = await testProject(`
dbt: { manifest: target/manifest.json }
sources: { shop: { type: postgres, url: "${database.url}" } }
models: { customers: { source: shop, dbt: shop.customers } }
destinations: { crm: { type: postgres, url: "${crm.url}", create_tables: true } }
syncs: { customers: { model: customers, destination: crm, object: customers, mode: mirror } }
`);
  const target = join(project.folder, "target");
  await mkdir(target);
  const manifest = await readFile(join(FIXTURE, "build/manifest.json"), "utf8");
  const named = manifest.replaceAll(String.raw`\"shop\".`, String.raw`\"${database.name}\".`);
  await writeFile(join(target, "manifest.json"), named);

  await using run = startCli(["run", "-c", project.folder], { cwd: project.folder });
  void run.exit;
  await until(crm, "SELECT 1 FROM pg_class WHERE relname = 'customers'");
  await until(crm, "SELECT 1 FROM customers HAVING count(*) = 50");
  await crm.sql(
    "CREATE TABLE written (id bigint); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO written VALUES (coalesce(NEW.id, OLD.id)); RETURN NULL; END'; CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION note()",
  );

  const results = await readFile(join(FIXTURE, "run/run_results.json"), "utf8");
  for (const [at, change] of [
    [
      "first",
      "DELETE FROM users WHERE id = 1; UPDATE users SET plan = 'pro' WHERE id = 2; INSERT INTO users VALUES (51, 'u51', 'free')",
    ],
    ["second", "UPDATE users SET plan = 'team' WHERE id = 3"],
  ] as const) {
    await database.sql(change);
    await database.sql(REBUILD);
    const text = results.replace(/"invocation_id": "[^"]*"/, `"invocation_id": "${at}"`);
    expect(text).not.toBe(results);
    await writeFile(join(target, "half"), text);
    await rename(join(target, "half"), join(target, "run_results.json"));
    await until(
      crm,
      at === "first" ? "SELECT 1 FROM customers WHERE id = 51" : "SELECT 1 FROM customers WHERE plan = 'team'",
    );
  }
  const copied = "SELECT string_agg(concat_ws(' ', id, email, plan), ',' ORDER BY id) AS rows FROM";
  const wanted = (await database.rows(`${copied} marts.customers`))[0]!["rows"]!;
  await until(crm, `SELECT 1 FROM (${copied} customers) c WHERE rows = '${wanted}'`);
  const [written] = await crm.rows("SELECT string_agg(id::text, ',' ORDER BY id) AS ids FROM written");
  expect(written).toEqual({ ids: "1,2,3,51" });
});
