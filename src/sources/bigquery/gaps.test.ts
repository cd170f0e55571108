// When a table's history is not whole any more, and what else stops or delays reading: each by its name.
import { expect, it } from "vitest";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { BigQueryFault } from "../../../test/fakes/bigquery/errors.ts";
import { BigQueryServer } from "../../../test/fakes/bigquery/server.ts";
import { bigquerySource, changesAfter, NEVER, scanned, tableModel } from "../../../test/support/bigquery-source.ts";

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

/** Where a first run ended. */
async function stored(server: BigQueryServer): Promise<SourceCheckpoint> {
  await using source = bigquerySource(server);
  return source.open([users], [], NEVER);
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "it did not fail",
    (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
  );
}

async function reopened(server: BigQueryServer, checkpoint: SourceCheckpoint): Promise<string> {
  await using source = bigquerySource(server);
  return failure(source.open([users], [checkpoint], NEVER));
}

async function read(server: BigQueryServer, checkpoint: SourceCheckpoint): Promise<string> {
  await using source = bigquerySource(server);
  await source.open([users], [checkpoint], NEVER);
  return failure(changesAfter(source, checkpoint.position, 1));
}

it("does not go on with another table of the same name", async () => {
  await using server = await shop();
  const checkpoint = await stored(server);
  server.drop("shop.users");
  expect(await reopened(server, checkpoint)).toMatch(/^source\.model: test-project\.shop\.users: it does not exist/);
  server.advance(10);
  await server.create("shop.users", FIELDS, { key: ["id"] });
  expect(await reopened(server, checkpoint)).toMatch(/^source\.gap\.replaced: /);
});

it("does not go on behind what time travel keeps, of the dataset's own length", async () => {
  await using server = await shop();
  server.maxTimeTravelHours = 48;
  const checkpoint = await stored(server);
  server.advance(47 * 3_600_000);
  await using source = bigquerySource(server);
  expect(await source.open([users], [checkpoint], NEVER)).toMatchObject({ position: checkpoint.position });
  server.advance(2 * 3_600_000);
  expect(await reopened(server, checkpoint)).toMatch(/^source\.gap\.purged: .* 48 hours/);
});

it("does not read over a time in which the change history was off", async () => {
  await using server = await shop();
  const checkpoint = await stored(server);
  server.setHistory("shop.users", false);
  expect(await reopened(server, checkpoint)).toMatch(/^source\.gap\.feed: .*ALTER TABLE/);
  await server.insert("shop.users", { id: "1", name: "a" });
  server.setHistory("shop.users", true);
  expect(await read(server, checkpoint)).toMatch(/^source\.gap\.feed: .*off for a while\. ALTER TABLE/);
});

it("does not read over a multi-statement transaction", async () => {
  await using server = await shop();
  const checkpoint = await stored(server);
  await server.transaction("shop.users", [{ insert: { id: "1", name: "a" } }]);
  expect(await read(server, checkpoint)).toMatch(/^source\.gap\.unreadable: .*multi-statement transaction/);
  // From a place behind it, reading goes on.
  const later = await stored(server);
  await server.insert("shop.users", { id: "2", name: "b" });
  await using source = bigquerySource(server);
  await source.open([users], [later], NEVER);
  expect((await changesAfter(source, later.position, 1)).changes[0]!.after).toEqual(["2", "b"]);
});

it("says that a table is compared from now on when rows begin to be upserted into it, or its function is another one", async () => {
  await using server = await shop();
  const checkpoint = await stored(server);
  await using appends = bigquerySource(server, { append_only: ["shop.users"] });
  expect(await failure(appends.open([users], [checkpoint], NEVER))).toMatch(/^source\.gap\.feed: .*another function/);
  server.table("shop.users").upserted = true;
  expect(await reopened(server, checkpoint)).toMatch(/^source\.gap\.feed: .*Storage Write API/);
});

it("stops at a query that would be billed for more than it may", async () => {
  await using server = await shop();
  const checkpoint = await stored(server);
  await server.insert("shop.users", { id: "1", name: "a" });
  await using source = bigquerySource(server, { maximum_bytes_billed: "5 MB" });
  // Its options are a query too, which reads nothing that is billed here.
  await source.open([users], [checkpoint], NEVER);
  expect(await failure(changesAfter(source, checkpoint.position, 1))).toMatch(
    /^source\.config: .*maximum_bytes_billed/,
  );
});

it("names what is wrong with credentials, rights, quotas and the service, without a word of its own text", async () => {
  await using server = await shop();
  const secret = "row value 4711";
  const cases: [BigQueryFault, RegExp][] = [
    [new BigQueryFault(401, "authError", secret), /^source\.auth: /],
    [new BigQueryFault(403, "accessDenied", secret), /^source\.config: .*roles\/bigquery\.dataViewer/],
    [new BigQueryFault(403, "rateLimitExceeded", secret), /^source\.unreachable: .*quota/],
    [new BigQueryFault(403, "quotaExceeded", secret), /^source\.unreachable: .*quota/],
    [new BigQueryFault(400, "resourcesExceeded", secret), /^source\.data: /],
    [new BigQueryFault(400, "invalidQuery", secret), /^source\.data: /],
  ];
  await server.insert("shop.users", { id: "1", name: "a" });
  for (const [fault, expected] of cases) {
    await using source = bigquerySource(server);
    await source.open([users], [], NEVER);
    // A token that is refused is exchanged for another one first.
    const times = fault.status === 401 ? 4 : 1;
    server.faults.add(
      ({ path, sql }) => path === "/jobs" && sql.includes("SYSTEM_TIME"),
      { kind: "answer", answer: fault },
      times,
    );
    const message = await failure(scanned(source, users));
    expect(message).toMatch(expected);
    expect(message).not.toContain(secret);
  }
});

it("asks again when results were not fetched in time", async () => {
  await using server = await shop();
  const rows = Array.from({ length: 250 }, (_, id) => ({ id: String(id), name: "a" }));
  await server.insert("shop.users", ...rows);
  await using source = bigquerySource(server);
  await source.open([users], [], NEVER);
  const first = await source.snapshot(users, null, { rows: 50, bytes: 1_000_000 }, NEVER);
  server.forgetResults();
  const rest: unknown[] = [];
  const failed = await failure(
    (async () => {
      for (let next = first.next; next !== null;) {
        const chunk = await source.snapshot(users, next, { rows: 50, bytes: 1_000_000 }, NEVER);
        rest.push(...chunk.rows);
        ({ next } = chunk);
      }
    })(),
  );
  expect(failed).toMatch(/^source\.unreachable: .*not kept any more/);
  const again = await source.snapshot(users, [String(49 + rest.length)], { rows: 500, bytes: 1_000_000 }, NEVER);
  expect(again.rows.length + rest.length).toBe(200);
});
