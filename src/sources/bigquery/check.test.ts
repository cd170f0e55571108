// What a person is told before a sync runs: `check`, `explain`, and how each kind of table is read.
import { expect, it } from "vitest";
import type { Model } from "../../contracts/model.ts";
import type { Finding } from "../../contracts/finding.ts";
import { BigQueryServer } from "../../../test/fakes/bigquery/server.ts";
import { bigquerySource, NEVER, queryModel, scanned, tableModel } from "../../../test/support/bigquery-source.ts";

const FIELDS = [
  { name: "id", type: "INT64", mode: "REQUIRED" },
  { name: "name", type: "STRING" },
];
const users = tableModel("users");

async function shop(options: Parameters<BigQueryServer["create"]>[2] = {}): Promise<BigQueryServer> {
  const server = await BigQueryServer.start();
  await server.create("shop.users", FIELDS, { key: ["id"], ...options });
  return server;
}

async function checked(
  server: BigQueryServer,
  settings: Readonly<Record<string, unknown>> = {},
  model: Model = users,
): Promise<readonly Finding[]> {
  await using source = bigquerySource(server, settings);
  return source.check([{ model, oldColumns: [], deletes: true }], NEVER);
}

const codes = (findings: readonly Finding[]): string[] => findings.map(({ level, code }) => `${level} ${code}`);

it("finds nothing wrong with a table whose history is kept and may be read", async () => {
  await using server = await shop();
  server.overridesPolicies = true;
  expect(await checked(server)).toEqual([]);
});

it("gives the statement that keeps a table's changes, and what that means for those who write to it", async () => {
  await using server = await shop({ history: false });
  const [finding, ...others] = await checked(server);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ level: "warning", code: "bigquery.no_change_history", subject: "users" });
  expect(finding!.fix).toContain(
    "ALTER TABLE `test-project`.`shop`.`users` SET OPTIONS (enable_change_history = TRUE)",
  );
  expect(finding!.fix).toContain("streamed recently fail");
});

it("names rights that are missing, and those that only tables with row access policies need", async () => {
  await using server = await shop();
  expect(codes(await checked(server))).toEqual(["info bigquery.row_access_policies"]);
  server.denied.add("shop.users");
  expect(codes(await checked(server))).toEqual(["error bigquery.privilege"]);
});

it("names what its history does not tell, and what would be refused", async () => {
  await using server = await shop();
  server.overridesPolicies = true;
  await server.stream("shop.users", { id: "1", name: "a" });
  const table = server.table("shop.users");
  table.expirationMs = "86400000";
  table.requiresFilter = true;
  expect(codes(await checked(server))).toEqual([
    "warning bigquery.streamed_rows",
    "warning bigquery.partition_expiry",
    "error bigquery.partition_filter",
  ]);
  table.requiresFilter = false;
  expect(codes(await checked(server, { append_only: ["shop.users"] }))).toEqual(["warning bigquery.append_only"]);
});

it("tells a mistake in a query as BigQuery does, and a table that is not there", async () => {
  await using server = await shop();
  const [finding] = await checked(server, {}, queryModel("SELECT id, nane FROM shop.users", ["id"]));
  expect(finding).toMatchObject({ level: "error", code: "bigquery.model" });
  expect(finding!.message).toContain("Unrecognized name: nane");
  expect(codes(await checked(server, {}, tableModel("nowhere")))).toEqual(["error bigquery.model"]);
});

it("compares what has no history, says why, and looks at the tables behind it", async () => {
  await using server = await shop();
  await server.insert("shop.users", { id: "1", name: "a" });
  const sql = "SELECT id, name FROM shop.users";
  await server.create("shop.v", FIELDS, { type: "VIEW", sql });
  await server.create("shop.mv", FIELDS, { type: "MATERIALIZED_VIEW", sql });
  await server.create("shop.ext", FIELDS, { type: "EXTERNAL" });
  await server.create("shop.cdc", FIELDS, { key: ["id"] });
  server.table("shop.cdc").upserted = true;
  await using source = bigquerySource(server);
  for (const [name, why, isWatched] of [
    ["v", /is a view/, true],
    ["mv", /is a materialized view/, true],
    ["ext", /is an external table.*does not know when it changes/s, false],
    ["cdc", /upserted .* Storage Write API/, true],
  ] as const) {
    const capture = await source.capture(tableModel(name, ["id"]), NEVER);
    if (capture.kind !== "diff") throw new Error(`${name} is not compared`);
    expect(capture.because.join("; ")).toMatch(why);
    expect(capture.triggers !== null).toBe(isWatched);
  }
  expect(await scanned(source, tableModel("v", ["id"]))).toEqual([["1", "a"]]);
});

it("knows a query whose result changes by itself", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  const timed = await source.capture(
    queryModel("SELECT id, CURRENT_TIMESTAMP() AS now FROM shop.users", ["id"]),
    NEVER,
  );
  expect(timed).toMatchObject({ kind: "diff", timeDependent: true });
  const plain = { ...queryModel("SELECT id, 'CURRENT_DATE' AS d FROM shop.users -- RAND()", ["id"]), name: "plain" };
  expect(await source.capture(plain, NEVER)).toMatchObject({ kind: "diff", timeDependent: false });
});

it("explains what each way of reading costs, without reading anything", async () => {
  await using server = await shop();
  await server.insert("shop.users", { id: "1", name: "a" });
  await using source = bigquerySource(server, { safety_lag_ms: 5000 });
  const billed = server.billed.filter(({ sql }) => !sql.includes("INFORMATION_SCHEMA")).length;
  const feed = await source.explain(users, NEVER);
  expect(feed.kind).toBe("feed");
  expect(feed.latency).toContain("5000 ms old");
  expect(feed.cost).toContain("6 reads an hour, 63 MB ($0.0004)");
  expect(feed.statements[0]).toContain("FROM CHANGES(TABLE `test-project`.`shop`.`users`, TIMESTAMP_MICROS(");
  const diff = await source.explain(queryModel("SELECT id, name FROM shop.users", ["id"]), NEVER);
  expect(diff.kind).toBe("diff");
  expect(diff.why).toContain("not of queries");
  expect(server.billed.filter(({ sql }) => !sql.includes("INFORMATION_SCHEMA"))).toHaveLength(billed);
});
