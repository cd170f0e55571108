import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Config, loadConfig } from "../../src/app/config/load.ts";
import { mapSync } from "../../src/app/mapped-sync.ts";
import { createSource } from "../../src/app/project.ts";
import type { Capture } from "../../src/contracts/capture.ts";
import type { Source } from "../../src/contracts/source.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { testProject, type TestProject } from "../support/project.ts";
import { silent } from "../support/webhook.ts";

// What README.md and docs/models.md say of their examples, by the database.

const TABLES = `
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, full_name text NOT NULL, email text NOT NULL, plan text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL, total numeric NOT NULL, status text NOT NULL);
CREATE TABLE tickets (id bigint PRIMARY KEY, user_id bigint NOT NULL, closed_at timestamptz);
CREATE TABLE customers (id bigint PRIMARY KEY, spent numeric NOT NULL);
CREATE TABLE accounts (id bigint PRIMARY KEY, email text NOT NULL, trial_ends timestamptz NOT NULL)`;

let stack: AsyncDisposableStack;
let database: TestDatabase;
let config: Config;
let source: Source;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  database = stack.use(await testDatabase());
  await database.sql(TABLES);
  const page = await readFile(join(import.meta.dirname, "../../docs/models.md"), "utf8");
  const query = /```sql\n-- models\/golden_users\.sql\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const compared = /```yaml\nmodels:\n( {2}ranking:\n[\s\S]*?)```/.exec(page)?.[1] ?? "";
  const project: TestProject = stack.use(
    await testProject(`sources:
  shop: { type: postgres, url: "${database.url}" }
models:
  golden_users: { source: shop, sql: models/golden_users.sql, key: id }
${compared}`),
  );
  await mkdir(join(project.folder, "models"));
  await writeFile(join(project.folder, "models/golden_users.sql"), query);
  await writeFile(join(project.folder, "models/everything.sql"), "SELECT id FROM users");
  config = await loadConfig({ path: join(project.folder, "tailrace.yml"), env: {} });
  source = stack.use(createSource(config, "shop", silent));
});
afterAll(() => stack.disposeAsync());

const capture = (model: string): Promise<Capture> =>
  source.capture(config.models.get(model)!, AbortSignal.timeout(30_000));

test("golden users are followed live once the log has old rows, and compared until then", async () => {
  expect(await capture("golden_users")).toMatchObject({
    kind: "diff",
    because: [expect.stringContaining("ALTER TABLE"), expect.stringContaining("ALTER TABLE")],
    timeDependent: false,
  });
  await database.sql("ALTER TABLE orders REPLICA IDENTITY FULL; ALTER TABLE tickets REPLICA IDENTITY FULL");
  const live = await capture("golden_users");
  expect(live).toMatchObject({ kind: "live" });
  if (live.kind === "live") expect(live.query.relations.size).toBe(3);
});

test("a rank over all rows is compared when the log says so", async () => {
  const diff = await capture("ranking");
  expect(diff).toMatchObject({ kind: "diff", timeDependent: false });
  if (diff.kind === "diff") expect(diff.triggers?.size).toBe(1);
});

test("what changes with time is known to, and has its schedule", async () => {
  expect(await capture("trials_ending")).toMatchObject({ kind: "diff", timeDependent: true });
  expect(config.models.get("trials_ending")?.diff.schedule).toEqual({ kind: "every", ms: 3_600_000 });
});

test("what is compared at night needs nothing of the log", async () => {
  expect(await capture("everything")).toMatchObject({ kind: "diff", triggers: null });
});

test("the query of the README is followed live, and its syncs fit their models", async () => {
  const page = await readFile(join(import.meta.dirname, "../../README.md"), "utf8");
  const folder = await mkdtemp(join(tmpdir(), "tailrace-readme-"));
  try {
    await mkdir(join(folder, "models"));
    await writeFile(join(folder, "tailrace.yml"), /```yaml\n([\s\S]*?)```/.exec(page)![1]!);
    await writeFile(join(folder, "models/golden_users.sql"), /```sql\n([\s\S]*?)```/.exec(page)![1]!);
    const env = { WAREHOUSE_URL: database.url, CRM_URL: database.url, HOOK_SECRET: `whsec_${"a".repeat(32)}` };
    const readme = await loadConfig({ path: join(folder, "tailrace.yml"), env });
    await using warehouse = createSource(readme, "warehouse", silent);
    const signal = AbortSignal.timeout(30_000);
    for (const sync of readme.syncs) await mapSync(warehouse, sync, signal);
    expect(await warehouse.capture(readme.models.get("golden_users")!, signal)).toMatchObject({ kind: "live" });
  } finally {
    await rm(folder, { recursive: true });
  }
});
