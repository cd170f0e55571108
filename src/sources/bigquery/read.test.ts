import { expect, it } from "vitest";
import { BigQueryServer } from "../../../test/fakes/bigquery/server.ts";
import { bigquerySource, changesAfter, plain, scanned, tableModel } from "../../../test/support/bigquery-source.ts";

const FIELDS = [
  { name: "id", type: "INT64", mode: "REQUIRED" },
  { name: "name", type: "STRING" },
];
const NEVER = new AbortController().signal;
const users = tableModel("users");

async function shop(options: Parameters<BigQueryServer["create"]>[2] = {}): Promise<BigQueryServer> {
  const server = await BigQueryServer.start();
  await server.create("shop.users", FIELDS, { key: ["id"], ...options });
  return server;
}

it("reads the rows that there are, and every kind of change, in commit order", async () => {
  await using server = await shop();
  await server.insert("shop.users", { id: "1", name: "Ann" }, { id: "2", name: "Bo" });
  await using source = bigquerySource(server);
  const opened = await source.open([users], [], NEVER);
  expect(await scanned(source, users)).toEqual([
    ["1", "Ann"],
    ["2", "Bo"],
  ]);
  await server.insert("shop.users", { id: "3", name: null });
  await server.write("shop.users", [{ update: { name: "Anna" }, where: { id: "1" } }]);
  await server.write("shop.users", [{ update: { id: "20" }, where: { id: "2" } }]);
  await server.write("shop.users", [{ update: { name: "Anna" }, where: { id: "1" } }]);
  await server.write("shop.users", [{ delete: { id: "3" } }]);
  const { changes } = await changesAfter(source, opened.position, 5);
  expect(plain(changes)).toEqual([
    { op: "insert", before: null, after: ["3", null] },
    { op: "update", before: ["1", "Ann"], after: ["1", "Anna"] },
    { op: "delete", before: ["2", "Bo"], after: null },
    { op: "insert", before: null, after: ["20", "Bo"] },
    { op: "delete", before: ["3", null], after: null },
  ]);
});
