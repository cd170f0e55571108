import { join } from "node:path";
import { expect, test } from "vitest";
import { ON_DEMAND } from "../../contracts/model.ts";
import type { Sync } from "../../contracts/sync.ts";
import { FIXTURE_CONNECTORS } from "../../../test/support/fixture-connectors.ts";
import { type Config, loadConfig } from "./load.ts";
import { tableModel } from "../../../test/support/models.ts";

const GOOD = join(import.meta.dirname, "../../../test/fixtures/good-config");

function load(name: string, env: NodeJS.ProcessEnv = {}): Promise<Config> {
  return loadConfig({
    workingDirectory: join(GOOD, name),
    env: { SHOP_URL: "postgres://db/shop", HOOK_SECRET: "whsec_12345678", STRUCTURE: "x\ny: z", ...env },
    connectors: FIXTURE_CONNECTORS,
  });
}

async function onlySync(name: string, env: NodeJS.ProcessEnv = {}): Promise<Sync> {
  const { syncs } = await load(name, env);
  expect(syncs).toHaveLength(1);
  return syncs[0]!;
}

/** The values of constants, by field. */
function constants(sync: Sync): Record<string, unknown> {
  return Object.fromEntries(
    (sync.map ?? []).map((field) => [field.field, field.kind === "constant" ? field.value : undefined]),
  );
}

test("what is not said has its default", async () => {
  const config = await load("001-smallest");
  expect(config).toMatchObject({ name: "tailrace", log: { level: "info" } });
  expect(config.state).toEqual({ type: "sqlite", path: join(GOOD, "001-smallest", ".tailrace/state.db") });
  expect(config.files).toEqual([join(GOOD, "001-smallest", "tailrace.yml")]);
  expect(config.sources.get("shop")).toMatchObject({ type: "postgres", at: "tailrace.yml:2:3" });
  expect(config.sources.get("shop")?.settings).toEqual({ url: "postgres://db/shop", port: 5432 });
  expect(config.destinations.get("hook")).toMatchObject({ rate: null, concurrency: null });
  expect(config.syncs).toEqual([
    {
      name: "a",
      model: { ...tableModel("users", { namespace: "public" }), source: "shop" },
      destination: "hook",
      object: null,
      mode: "upsert",
      onDelete: { kind: "ignore" },
      maxDeletes: { kind: "share", share: 0.3 },
      on: ["insert", "update", "delete"],
      match: null,
      where: null,
      map: null,
      backfill: true,
      batch: { rows: null, bytes: null, ageMs: null },
      onGap: "stop",
      onMappingChange: "ask",
      onTruncate: "ignore",
      unchanged: "auto",
      attempts: 12,
      maxLagMs: null,
      maxWaitMs: 30_000,
      failureShare: 0.05,
      options: { method: "POST" },
      at: "tailrace.yml:8:3",
    },
  ]);
});

test("every key arrives", async () => {
  const config = await load("005-every-key");
  expect(config.name).toBe("shop-eu");
  expect(config.state).toEqual({ type: "sqlite", path: join(GOOD, "005-every-key", "state/here.db") });
  expect(config.log).toEqual({ level: "debug" });
  expect(config.sources.get("shop")?.settings).toEqual({
    host: "db.example.com",
    port: 6432,
    user: "tailrace",
    password: "p@ss word/%",
    database: "shop",
    tls: { ca: "./ca.pem", mode: "verify-ca" },
  });
  expect(config.destinations.get("hook")).toMatchObject({ rate: 10, concurrency: 16 });
  expect(config.destinations.get("hook")?.settings).toEqual({
    url: "https://example.com/in",
    secret: "whsec_12345678",
    headers: { "x-team": "growth" },
  });
  const base = { null: "send", as: null } as const;
  expect(config.syncs[0]).toMatchObject({
    model: { key: ["tenant", "id"] },
    object: "contacts",
    mode: "mirror",
    onDelete: { kind: "archive", fields: { status: "inactive", active: false, left_at: null, score: 0 } },
    maxDeletes: { kind: "share", share: 0.125 },
    match: "email",
    where: { text: "plan <> 'internal'\nAND active\n", at: "tailrace.yml:31:12" },
    map: [
      { ...base, field: "email", kind: "column", column: "email", old: false, at: "tailrace.yml:35:7" },
      { field: "id", kind: "column", column: "id", old: false, as: "string", null: "reject" },
      { ...base, field: "kind", kind: "constant", value: "customer" },
      { ...base, field: "vip", kind: "constant", value: true },
      { ...base, field: "nothing", kind: "constant", value: null },
      { field: "name", kind: "template", template: "{{ first_name }} {{ last_name }}", null: "omit" },
    ],
    backfill: false,
    batch: { rows: 500, bytes: 1_000_000, ageMs: 20 },
    onTruncate: "stop",
    unchanged: "fetch",
    attempts: 3,
    options: { method: "PUT", path: "/users", signed: true },
  });
});

test("mode mirror deletes, and stops on a truncate, unless told otherwise", async () => {
  expect(await onlySync("004-from-the-design")).toMatchObject({
    onDelete: { kind: "delete" },
    onTruncate: "stop",
    backfill: true,
  });
});

test("mode event reads old values and does not begin with the rows that exist", async () => {
  const sync = await onlySync("006-events");
  expect(sync).toMatchObject({ on: ["insert", "delete"], backfill: false, onTruncate: "ignore" });
  expect(sync.map).toMatchObject([
    { column: "plan", old: false },
    { column: "plan", old: true },
    { column: "email", old: true, null: "omit" },
    { kind: "template" },
  ]);
});

test("a list of columns maps each to its own name, a star is no map", async () => {
  expect((await onlySync("007-map-as-list")).map).toMatchObject([
    { field: "id", column: "id", at: "tailrace.yml:11:11" },
    { field: "email", column: "email" },
  ]);
  expect((await onlySync("008-map-star")).map).toBeNull();
});

test("table names are taken as written", async () => {
  const { models } = await load("009-quoted-table-names");
  expect([...models].map(([name, model]) => [name, model.kind === "table" ? model.table : null])).toEqual([
    ["plain", { namespace: null, name: "Users" }],
    ["quote", { namespace: null, name: 'a"b' }],
    ["users", { namespace: "My Schema", name: "t.x" }],
  ]);
});

test("a variable becomes a number or a boolean where one is wanted", async () => {
  const sync = await onlySync("010-variables-become-numbers", { ATTEMPTS: "7", BACKFILL: "false" });
  expect(sync).toMatchObject({ attempts: 7, backfill: false, batch: { rows: 250, ageMs: 5 } });
});

test("a variable is a text everywhere else, whatever it holds", async () => {
  const sync = await onlySync("011-variables-stay-texts", { ATTEMPTS: "007", EMPTY: "" });
  expect(constants(sync)).toEqual({ a: "007", b: "${ATTEMPTS}", c: "a, b: c # d", d: "x\ny: z" });
});

test("merge keys give defaults, and own keys win", async () => {
  const { syncs } = await load("012-anchors-and-merge-keys");
  expect(syncs).toMatchObject([
    { name: "one", destination: "hook", mode: "mirror", batch: { rows: 100 } },
    { name: "two", destination: "hook", mode: "upsert", batch: { rows: 100 } },
  ]);
});

test("a folder's files are one configuration, and places name the file", async () => {
  const config = await load("013-folder");
  expect(config.name).toBe("folder");
  expect(config.baseDirectory).toBe(join(GOOD, "013-folder", "tailrace"));
  expect(config.syncs.map(({ name, at }) => [name, at])).toEqual([
    ["a", "tailrace/z.yml:4:3"],
    ["b", "tailrace/z.yml:5:3"],
  ]);
});

test("a byte order mark and CRLF change no place", async () => {
  expect((await onlySync("014-byte-order-mark-and-crlf")).at).toBe("tailrace.yml:8:3");
});

test("words that YAML 1.1 would take for booleans, and keys of any kind, stay what they are", async () => {
  expect((await onlySync("017-yes-and-no-are-texts")).map).toMatchObject([
    { field: "no", column: "yes" },
    { field: "on", column: "off" },
    { field: "null", column: "nothing" },
    { field: "1", column: "one" },
  ]);
});

test("the process's environment wins over .env", async () => {
  const { sources } = await load("018-dotenv-and-process-environment", { SHOP_URL: "wins" });
  expect(sources.get("shop")?.settings).toMatchObject({ url: "from-dotenv?wins" });
});

test("characters that stand in for hidden ones are left alone", async () => {
  expect(constants(await onlySync("020-emoji-and-private-use", { ATTEMPTS: "7" }))).toEqual({ a: "🚀 \uE000 7" });
});

test("a path may name a file or a folder", async () => {
  const options = { workingDirectory: GOOD, env: { SHOP_URL: "x" }, connectors: FIXTURE_CONNECTORS };
  expect((await loadConfig({ ...options, path: "001-smallest/tailrace.yml" })).syncs[0]?.at).toBe(
    "001-smallest/tailrace.yml:8:3",
  );
  expect((await loadConfig({ ...options, path: "013-folder/tailrace" })).syncs).toHaveLength(2);
});

test("a state in PostgreSQL has its url, and a schema of its own", async () => {
  const config = await load("021-state-in-postgres", { CANARY: "p" });
  const { url, ...rest } = config.state as Extract<typeof config.state, { type: "postgres" }>;
  expect(new URL(url).pathname).toBe("/state");
  expect(rest).toEqual({ type: "postgres", schema: "tailrace", tls: { ca: "ca.pem" } });
});

test("a model is a table, a query or a model of dbt", async () => {
  const { models, dbt } = await load("023-queries");
  expect([...models.values()]).toEqual([
    {
      kind: "query",
      name: "golden_users",
      source: "shop",
      sql: "SELECT u.id, sum(o.total) AS spent\nFROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id",
      key: ["id"],
      capture: "auto",
      windowMs: 50,
      diff: { schedule: { kind: "every", ms: 300_000 }, whenChanged: true, state: "local" },
      at: "tailrace.yml:5:3",
    },
    {
      kind: "query",
      name: "order_days",
      source: "shop",
      sql: "SELECT user_id, placed_at::date AS day, count(*) AS orders -- a row a day\nFROM orders GROUP BY 1, 2",
      key: ["user_id", "day"],
      capture: "diff",
      windowMs: 20,
      diff: {
        schedule: { kind: "cron", expression: "30 4 * * 1-5", timezone: "Europe/Berlin" },
        whenChanged: false,
        state: "auto",
      },
      at: "tailrace.yml:6:3",
    },
    {
      kind: "query",
      name: "from_dbt",
      source: "shop",
      sql: 'SELECT * FROM "shop"."marts"."golden_users"',
      key: ["id"],
      capture: "auto",
      windowMs: 0,
      diff: ON_DEMAND,
      at: "tailrace.yml:15:3",
    },
    {
      kind: "table",
      name: "facts",
      source: "shop",
      table: { namespace: "marts", name: "order_log" },
      key: ["user_id", "order_id"],
      diff: ON_DEMAND,
      at: "tailrace.yml:16:3",
    },
  ]);
  expect(dbt?.runResults).toBe(join(GOOD, "../dbt/dbt-1.10/build/run_results.json"));
  expect([...(dbt?.models ?? [])].map(([name, { id }]) => [name, id])).toEqual([
    ["from_dbt", "model.shop.golden_users"],
    ["facts", "model.shop.order_log"],
  ]);
});
