import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  AUTOMATIC,
  databricks,
  type DatabricksStage,
  LEGACY,
  LIMIT,
  NEVER,
  query,
  table,
} from "../../../test/fakes/databricks/source.ts";
import { testFolder } from "../../../test/support/duckdb.ts";
import connector from "./index.ts";

const COLUMNS = [
  { name: "id", type: "bigint" },
  { name: "plan", type: "string" },
];
const T = table("shop.t");
const ALTER = "ALTER TABLE `main`.`shop`.`t` SET TBLPROPERTIES (delta.enableChangeDataFeed = true)";
const needs = (...models: readonly (typeof T)[]) => models.map((model) => ({ model, oldColumns: [], deletes: true }));

function make({ fake }: DatabricksStage, properties: Readonly<Record<string, string>>) {
  const t = fake.warehouse.create("shop.t", { columns: COLUMNS, primaryKey: ["id"], properties });
  t.write({
    insert: [
      ["1", "pro"],
      ["2", null],
    ],
  });
  return t;
}

test("a table without a feed is compared whenever it has a new version; check has the statement", async () => {
  await using at = await databricks();
  const t = make(at, {});
  const { source } = at;
  expect(await source.capture(T, NEVER)).toMatchObject({ kind: "diff", because: [expect.stringContaining(ALTER)] });
  expect(await source.check(needs(T), NEVER)).toMatchObject([
    { level: "warning", code: "databricks.feed_off", fix: ALTER },
  ]);
  const start = await source.open([T], [], NEVER);
  t.write({ insert: [["3", "free"]] });
  const stop = new AbortController();
  for await (const { changes } of source.read(start.position, stop.signal)) {
    expect(changes.length === 0 || changes[0]!.op === "touched").toBe(true);
    if (changes.length > 0) break;
  }
  const rows = [];
  for await (const chunk of source.scan(T, null, { ...LIMIT, rows: 2 }, NEVER)) rows.push(...chunk.rows);
  expect(rows).toEqual([
    ["1", "pro"],
    ["2", null],
    ["3", "free"],
  ]);
  // Followed from now on: what was compared until now is a gap, and not taken for a place in the history.
  t.setProperties(LEGACY);
  await expect(source.open([T], [start], NEVER)).rejects.toMatchObject({ code: "source.gap.feed" });
});

test("a query is compared on its schedule; views too", async () => {
  await using at = await databricks();
  make(at, LEGACY);
  const { fake, source } = at;
  const model = query("SELECT plan, count(*) AS n FROM shop.t WHERE plan IS NOT NULL GROUP BY plan -- each", ["plan"]);
  expect(await source.capture(model, NEVER)).toMatchObject({ kind: "diff", triggers: null });
  const start = await source.open([model], [], NEVER);
  expect((await source.lookup(model, [["pro"], ["none"]], NEVER)).rows).toEqual([["pro", "1"]]);
  expect((await source.snapshot(model, null, LIMIT, NEVER)).rows).toEqual([["pro", "1"]]);
  expect(await source.check(needs(model), NEVER)).toEqual([]);
  const reread = await source.open([model], [start], NEVER);
  expect(source.sameModel?.(model, reread)).toBe(true);
  fake.warehouse.create("shop.v", { columns: COLUMNS, kind: "VIEW" });
  expect(await source.capture(table("shop.v", ["id"]), NEVER)).toMatchObject({
    because: [expect.stringContaining("it is a view")],
    triggers: null,
  });
});

test("check names what is wrong with a model: privileges, keys, a table that is not there, a query", async () => {
  await using at = await databricks();
  const t = make(at, AUTOMATIC);
  const { fake, source } = at;
  expect(await source.check(needs(T), NEVER)).toEqual([]);
  t.write({
    insert: [
      ["1", "twice"],
      [null, "none"],
    ],
  });
  expect((await source.check(needs(T), NEVER)).map(({ code, message }) => [code, message.slice(0, 1)])).toEqual([
    ["databricks.duplicate_key", "1"],
    ["databricks.null_key", "1"],
  ]);
  fake.warehouse.forbidden.add("main.shop.t");
  const [secret] = await source.check(needs(T), NEVER);
  expect(secret).toMatchObject({
    code: "databricks.privileges",
    fix: expect.stringContaining("GRANT SELECT ON TABLE shop.t"),
  });
  const wrong = [table("shop.none"), query("SELECT nothing FROM shop.t2", ["id"]), query("SELEKT 1", ["id"])];
  for (const model of wrong)
    expect(await source.check(needs(model), NEVER)).toMatchObject([{ code: "databricks.model", subject: model.name }]);
});

test("explain says what is asked how often, and the statements", async () => {
  await using at = await databricks({ poll: { fastest_ms: 1_000, slowest_ms: 60_000 } });
  make(at, LEGACY);
  const { source } = at;
  const feed = await source.explain(T, NEVER);
  expect(feed).toMatchObject({ kind: "feed", why: expect.stringContaining("delta.enableChangeDataFeed") });
  expect(feed.cost).toMatch(/^60 looks .* an hour when quiet, 3600 while changes flow/);
  expect(feed.statements[1]).toContain("table_changes('`main`.`shop`.`t`', 1, 1)");
  const diff = await source.explain(query("SELECT 1 AS id", ["id"]), NEVER);
  expect(diff).toMatchObject({ kind: "diff", latency: expect.stringContaining("schedule") });
});

test("a service principal logs in by OAuth; a token may lie in a file; wrong ones are refused as such", async () => {
  await using at = await databricks();
  make(at, LEGACY);
  const { fake } = at;
  const oauth = { client_id: fake.principal.id, client_secret: fake.principal.secret };
  await using folder = await testFolder();
  await writeFile(join(folder.path, "token"), `${fake.token}\n`);
  const good = [{ token: undefined, oauth }, { token: { file: join(folder.path, "token") } }];
  for (const settings of good) {
    await using source = sourceOf(fake.settings, settings);
    expect((await source.describe(T, NEVER)).columns).toHaveLength(2);
  }
  const bad = [{ token: "wrong" }, { token: undefined, oauth: { ...oauth, client_secret: "wrong-secret" } }];
  for (const settings of bad) {
    await using source = sourceOf(fake.settings, settings);
    const refused = await source.describe(T, NEVER).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "source.auth" });
    expect((refused as Error).message).not.toContain("wrong");
  }
  await using untrusting = sourceOf(fake.settings, { ca: undefined });
  await expect(untrusting.describe(T, NEVER)).rejects.toMatchObject({ code: "source.tls" });
  expect(connector.settings.safeParse({ host: "h", http_path: "/p" }).success).toBe(false);
});

function sourceOf(base: object, settings: object) {
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  const checked = connector.settings.parse({ ...base, catalog: "main", ...settings });
  return connector.create(checked, { name: "s", project: "p", log });
}
