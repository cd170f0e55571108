import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DbtProblem, Manifest, readManifest } from "./manifest.ts";
import { modelOf, type Wanted } from "./model.ts";

const FIXTURES = join(import.meta.dirname, "../../../test/fixtures/dbt");
const WANTED: Wanted = { key: null, capture: "auto", windowMs: 20 };

async function manifestOf(name: string): Promise<Manifest> {
  const manifest = await readManifest(join(FIXTURES, name, "manifest.json"), "target/manifest.json");
  if (!(manifest instanceof Manifest)) throw new Error(manifest.problem);
  return manifest;
}

function read(manifest: Manifest, name: string, wanted: Partial<Wanted> = {}): ReturnType<typeof modelOf> {
  const found = manifest.model(name);
  return "problem" in found ? found : modelOf(found.node, manifest, { ...WANTED, ...wanted });
}

const SWAPPED = "dbt makes this table anew in each run.";

describe.each(["dbt-1.5", "dbt-1.10"])("the models of %s", (version) => {
  let manifest: Manifest;
  beforeAll(async () => {
    manifest = await manifestOf(`${version}/build`);
  });

  test("a view of raw tables is a query that can be followed", () => {
    expect(read(manifest, "golden_users", { capture: "diff" })).toMatchObject({ read: { capture: "diff" } });
    expect(read(manifest, "golden_users")).not.toHaveProperty("whenChanged");
    expect(read(manifest, "golden_users")).toMatchObject({
      read: {
        kind: "query",
        sql: 'SELECT * FROM "shop"."marts"."golden_users"',
        key: ["id"],
        capture: "auto",
        windowMs: 20,
      },
      origin: {
        id: "model.shop.golden_users",
        materialized: "view",
        description: "Every user with what they have paid.",
        columns: [
          { name: "id", type: "bigint", description: "The user." },
          { name: "email", type: null, description: "" },
          { name: "lifetime_value", type: "numeric", description: "What the user has paid in all." },
        ],
      },
    });
  });

  test("a table that each run makes anew is compared, and so is a view of it", () => {
    expect(read(manifest, "shop.customers")).toMatchObject({
      read: { kind: "query", capture: "diff", key: ["id"] },
      whenChanged: false,
      origin: { because: SWAPPED, builtWith: new Map([["model.shop.customers", expect.any(String)]]) },
    });
    expect(read(manifest, "top_customers", { key: ["id"] })).toMatchObject({
      whenChanged: false,
      read: { kind: "query", sql: 'SELECT * FROM "shop"."marts"."top_customers"', capture: "diff" },
      origin: {
        because: "It reads customers, which dbt makes anew in each run.",
        // Whatever is built of what it reads; what lies below a table shows only once that is built.
        builtWith: new Map([
          ["model.shop.top_customers", expect.any(String)],
          ["model.shop.customers", expect.any(String)],
        ]),
      },
    });
  });

  test("an ephemeral model is its SQL, with those that it uses", () => {
    const found = read(manifest, "paid_orders", { key: ["order_id"] });
    expect(found).toMatchObject({ read: { kind: "query", key: ["order_id"], capture: "auto" } });
    expect(found).toHaveProperty("read.sql", expect.stringContaining('from "shop"."public"."orders"'));
    expect(found).toHaveProperty("read.sql", expect.not.stringMatching(/\{\{|;\s*$/));
  });

  test("an incremental table with a primary key of its own is a table of the log", () => {
    const inPlace = read(manifest, "order_log");
    expect(inPlace).toMatchObject({
      read: { kind: "table", table: { namespace: "marts", name: "order_log" }, key: ["user_id", "order_id"] },
    });
    expect(read(manifest, "order_log", { capture: "diff" })).toMatchObject({
      read: { kind: "query", capture: "diff", key: ["user_id", "order_id"] },
      origin: { because: "The configuration says `capture: diff`." },
    });
  });

  test("one without is compared: the log could not tell its rows apart", () => {
    expect(read(manifest, "order_facts")).toMatchObject({
      read: { kind: "query", sql: 'SELECT * FROM "shop"."marts"."order_facts"', key: ["order_id"], capture: "diff" },
      origin: { because: expect.stringContaining("makes no primary key") },
    });
  });

  test("a materialized view is compared", () => {
    expect(read(manifest, "plan_totals", { key: ["plan"] })).toMatchObject({
      read: { kind: "query", capture: "diff" },
      origin: { because: "The rows of a materialized view are in no log." },
    });
  });

  test("a name without a version is the latest's", () => {
    for (const name of ["accounts", "shop.accounts", "accounts.v2", "model.shop.accounts.v2"])
      expect(read(manifest, name)).toMatchObject({ origin: { id: "model.shop.accounts.v2" } });
    expect(read(manifest, "accounts.v1")).toMatchObject({
      read: { sql: 'SELECT * FROM "shop"."marts"."accounts_v1"' },
      origin: { id: "model.shop.accounts.v1" },
    });
  });

  test.each([
    ["no_key", "does not say in dbt what identifies a row"],
    ["retired", "is disabled in dbt"],
    ["shop.retired", "is disabled in dbt"],
    ["golden_user", /^is not in dbt's manifest of 2026-11-24T.*; did you mean `golden_users`\?$/],
    ["shop.golden_user", /; did you mean `shop.golden_users`\?$/],
    ["plans", /^is not in dbt's manifest/],
    ["accounts.v3", /; did you mean `accounts.v[12]`\?$/],
  ])("%s %s", (name, problem) => {
    expect(read(manifest, name)).toMatchObject({
      problem: expect.stringMatching(problem),
      fix: expect.stringMatching(/./),
    });
  });
});

test("a name that two packages have must say which", async () => {
  const manifest = await manifestOf("dbt-1.10/build");
  expect(read(manifest, "customers")).toEqual({
    problem: "is in more than one package: model.shop.customers, model.billing.customers",
    fix: "write `dbt: billing.customers`, for example.",
  });
  expect(read(manifest, "billing.customers", { key: ["id"] })).toMatchObject({
    read: { sql: 'SELECT * FROM "shop"."marts_billing"."customers"' },
  });
});

test("a manifest that `dbt test` wrote has no compiled SQL", async () => {
  const manifest = await manifestOf("dbt-1.10/test");
  expect(read(manifest, "paid_orders", { key: ["order_id"] })).toMatchObject({
    problem: "is ephemeral, and its SQL is not in dbt's manifest",
  });
  expect(read(manifest, "golden_users")).toMatchObject({ read: { kind: "query" } });
});

describe("a file that is no manifest of today", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tailrace-dbt-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([
    ["{ half", "needs dbt's manifest, and target/manifest.json is none"],
    ["[]", "needs dbt's manifest, and target/manifest.json is none"],
    [
      '{ "metadata": { "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json", "generated_at": "x" }, "nodes": {} }',
      "needs dbt's manifest, and target/manifest.json is none",
    ],
    [
      '{ "metadata": { "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v8.json", "generated_at": "x" }, "nodes": {} }',
      "needs a manifest of dbt 1.5 or later; target/manifest.json is of version 8",
    ],
  ])("%s", async (text, problem) => {
    const path = join(folder, "manifest.json");
    await writeFile(path, text);
    expect(await readManifest(path, "target/manifest.json")).toMatchObject({ problem });
  });

  test("that is not there", async () => {
    const found = (await readManifest(join(folder, "none.json"), "none.json")) as DbtProblem;
    expect(found.problem).toBe("needs dbt's manifest, and none.json cannot be read (ENOENT)");
  });
});
