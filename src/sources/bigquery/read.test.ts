import { expect, it, vi } from "vitest";
import { BigQueryFault } from "../../../test/fakes/bigquery/errors.ts";
import { BigQueryServer } from "../../../test/fakes/bigquery/server.ts";
import {
  bigquerySource,
  changesAfter,
  LIMIT,
  NEVER,
  plain,
  queryModel,
  scanned,
  tableModel,
} from "../../../test/support/bigquery-source.ts";

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

const eventually = (condition: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 20_000, interval: 10 });

const metadataLooks = ({ requests }: BigQueryServer): number =>
  requests.filter((each) => each === "GET /datasets/shop/tables/users").length;
const changeReads = ({ billed }: BigQueryServer): string[] =>
  billed.map(({ sql }) => sql).filter((sql) => sql.includes("FROM CHANGES("));

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

it("gives each change the same position on every replay, within one commit too", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  const opened = await source.open([users], [], NEVER);
  const rows = Array.from({ length: 250 }, (_, id) => ({ id: String(id), name: "a" }));
  const commit = await server.insert("shop.users", ...rows);
  const { changes } = await changesAfter(source, opened.position, 250);
  const positions = changes.map(({ position }) => position);
  expect(positions[0]).toBe(`${commit}-0000000000`);
  expect(positions).toEqual(positions.toSorted());
  expect(changes.map(({ after }) => Number(after![0]))).toEqual(rows.map((_, id) => id));
  await using again = bigquerySource(server);
  await again.open([users], [{ ...opened, position: positions[99]! }], NEVER);
  const rest = await changesAfter(again, positions[99]!, 150);
  expect(rest.changes.map(({ position }) => position)).toEqual(positions.slice(100));
});

it("does not lose what becomes visible late, within the safety lag", async () => {
  await using server = await shop();
  await using source = bigquerySource(server, { safety_lag_ms: 700 });
  const opened = await source.open([users], [], NEVER);
  const reading = changesAfter(source, opened.position, 2);
  const early = server.now();
  await server.insert("shop.users", { id: "1", name: "in time" });
  const looks = metadataLooks(server);
  await eventually(() => metadataLooks(server) >= looks + 2);
  await server.write("shop.users", [{ insert: { id: "2", name: "late" } }], early);
  expect(plain((await reading).changes).map(({ after }) => after)).toEqual([
    ["2", "late"],
    ["1", "in time"],
  ]);
});

it("runs no query that is billed while nothing is modified, and one for what was", async () => {
  await using server = await shop();
  await using source = bigquerySource(server, { safety_lag_ms: 100 });
  const opened = await source.open([users], [], NEVER);
  const reading = changesAfter(source, opened.position, 1);
  await eventually(() => metadataLooks(server) >= 10);
  const before = changeReads(server).length;
  expect(before).toBeLessThanOrEqual(1);
  await server.insert("shop.users", { id: "1", name: "a" });
  await reading;
  expect(changeReads(server).length - before).toBe(1);
});

it("reads rows that are streamed, of which the metadata's time of modification says nothing", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  const opened = await source.open([users], [], NEVER);
  const reading = changesAfter(source, opened.position, 1);
  const looks = metadataLooks(server);
  await eventually(() => metadataLooks(server) >= looks + 3);
  await server.stream("shop.users", { id: "1", name: "a" });
  expect(plain((await reading).changes)).toEqual([{ op: "insert", before: null, after: ["1", "a"] }]);
});

it("catches up in windows of a day", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  const opened = await source.open([users], [], NEVER);
  for (const id of ["1", "2", "3"]) {
    await server.insert("shop.users", { id, name: "a" });
    server.advance(25 * 3_600_000);
  }
  await server.insert("shop.users", { id: "4", name: "a" });
  await using later = bigquerySource(server);
  await later.open([users], [opened], NEVER);
  const { changes } = await changesAfter(later, opened.position, 4);
  expect(changes.map(({ after }) => after![0])).toEqual(["1", "2", "3", "4"]);
  expect(changeReads(server)).toHaveLength(4);
});

it("reads columns that came and went while it read", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  const opened = await source.open([users], [], NEVER);
  await server.insert("shop.users", { id: "1", name: "a" });
  const { end } = await changesAfter(source, opened.position, 1);
  await server.store.addColumn(server.table("shop.users"), { name: "age", type: "INT64" });
  await server.insert("shop.users", { id: "2", name: "b", age: "7" });
  const wider = await changesAfter(source, end, 1);
  expect(wider.changes[0]!.relation.columns.map(({ name }) => name)).toEqual(["id", "name", "age"]);
  expect(wider.changes[0]!.after).toEqual(["2", "b", "7"]);
  await server.insert("shop.users", { id: "3", name: "c", age: "8" });
  // Between the look at the columns and the query.
  const gone = new BigQueryFault(400, "invalidQuery", "Unrecognized name: age; Did you mean name? at [1:1]");
  server.faults.add(({ path, sql }) => path === "/jobs" && sql.includes("FROM CHANGES("), {
    kind: "answer",
    answer: gone,
  });
  await server.store.dropColumn(server.table("shop.users"), "age");
  expect((await changesAfter(source, wider.end, 1)).changes[0]!.after).toEqual(["3", "c"]);
});

it("bills a query once whose answer was lost", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  const opened = await source.open([users], [], NEVER);
  await server.insert("shop.users", { id: "1", name: "a" });
  server.faults.add(({ path, sql }) => path === "/jobs" && sql.includes("FROM CHANGES("), { kind: "lost" });
  await changesAfter(source, opened.position, 1);
  expect(changeReads(server)).toHaveLength(1);
  expect(server.faults.done).toBe(true);
});

it("goes on when the service comes back, with what it kept of a query's results", async () => {
  await using server = await shop();
  await server.insert("shop.users", ...Array.from({ length: 250 }, (_, id) => ({ id: String(id), name: "a" })));
  await using source = bigquerySource(server);
  await source.open([users], [], NEVER);
  const first = await source.snapshot(users, null, { ...LIMIT, rows: 50 }, NEVER);
  await server.restart();
  server.faults.add(() => true, { kind: "refused" });
  const rest = await source.snapshot(users, first.next, { ...LIMIT, rows: 50 }, NEVER);
  expect([first.rows.length, rest.rows.length]).toEqual([50, 50]);
  expect(server.billed.filter(({ sql }) => sql.includes("SYSTEM_TIME"))).toHaveLength(1);
});

it("waits for a query that takes long", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  await server.insert("shop.users", { id: "1", name: "a" });
  await source.open([users], [], NEVER);
  server.waits = 2;
  expect(await scanned(source, users)).toEqual([["1", "a"]]);
});

it("stops a query that nobody waits for any more", async () => {
  await using server = await shop();
  await using source = bigquerySource(server);
  await source.open([users], [], NEVER);
  server.waits = Number.POSITIVE_INFINITY;
  const stop = new AbortController();
  const scan = source.scan(users, null, LIMIT, stop.signal)[Symbol.asyncIterator]().next();
  const asked = (): number => server.requests.filter((each) => each.startsWith("GET /queries/")).length;
  await eventually(() => asked() > 1);
  stop.abort(new Error("enough"));
  await expect(scan).rejects.toThrow("enough");
  await eventually(() => server.requests.some((each) => each.startsWith("POST /jobs/") && each.endsWith("/cancel")));
});

it("reads rows by their keys, and a page of the caller's measure at a time", async () => {
  await using server = await shop();
  await server.insert("shop.users", ...["1", "2", "10", "11"].map((id) => ({ id, name: `n"${id}` })));
  await using source = bigquerySource(server);
  await source.open([users], [], NEVER);
  const found = await source.lookup(users, [["10"], ["2"], ["77"]], NEVER);
  expect(new Map(found.rows.map(([id, name]) => [id, name]))).toEqual(
    new Map([
      ["10", 'n"10'],
      ["2", 'n"2'],
    ]),
  );
  const first = await source.snapshot(users, null, { ...LIMIT, rows: 2 }, NEVER);
  expect(first.rows.map(([id]) => id)).toEqual(["1", "2"]);
  expect(first.next).toEqual(["2"]);
  // Another process goes on with it.
  await using other = bigquerySource(server);
  await other.open([users], [], NEVER);
  const rest = await other.snapshot(users, first.next, LIMIT, NEVER);
  expect(rest.rows.map(([id]) => id)).toEqual(["10", "11"]);
});

it("follows a table that is only added to by APPENDS", async () => {
  await using server = await shop({ history: false });
  await using source = bigquerySource(server, { append_only: ["shop.users"] });
  const opened = await source.open([users], [], NEVER);
  await server.insert("shop.users", { id: "1", name: "a" });
  await server.write("shop.users", [{ update: { name: "b" }, where: { id: "1" } }]);
  await server.insert("shop.users", { id: "2", name: "c" });
  const { changes } = await changesAfter(source, opened.position, 2);
  expect(plain(changes)).toEqual([
    { op: "insert", before: null, after: ["1", "a"] },
    { op: "insert", before: null, after: ["2", "c"] },
  ]);
});

it("compares a query's rows when one of its tables was modified", async () => {
  await using server = await shop({ history: false });
  await server.create("shop.orders", FIELDS);
  await server.insert("shop.users", { id: "1", name: "a" });
  const model = queryModel(
    "SELECT u.id, u.name, COUNT(o.id) AS orders FROM shop.users AS u LEFT JOIN shop.orders AS o ON o.name = u.name GROUP BY u.id, u.name",
    ["id"],
  );
  await using source = bigquerySource(server);
  expect(await source.capture(model, NEVER)).toMatchObject({ kind: "diff", timeDependent: false });
  const opened = await source.open([model], [], NEVER);
  expect(await scanned(source, model)).toEqual([["1", "a", "0"]]);
  const reading = changesAfter(source, opened.position, 1);
  await server.insert("shop.orders", { id: "9", name: "a" });
  expect((await reading).changes[0]!.op).toBe("touched");
  expect((await source.lookup(model, [["1"]], NEVER)).rows).toEqual([["1", "a", "1"]]);
});
