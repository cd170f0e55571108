// The rules of BigQuery that this server keeps, each through Google's own client library.
import { BigQuery, type BigQueryOptions } from "@google-cloud/bigquery";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BigQueryFault } from "./errors.ts";
import { PROJECT } from "./project.ts";
import { BigQueryServer } from "./server.ts";

const FIELDS = [
  { name: "id", type: "INT64" },
  { name: "name", type: "STRING" },
];
const HOUR_US = 3_600_000_000n;

let server: BigQueryServer;
let client: BigQuery;
let made = 0;

beforeAll(async () => {
  server = await BigQueryServer.start();
  const authClient = { getRequestHeaders: () => Promise.resolve(new Headers()) };
  client = new BigQuery({ projectId: PROJECT, apiEndpoint: server.url, authClient } as unknown as BigQueryOptions);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function table(options: Parameters<BigQueryServer["create"]>[2] = {}): Promise<string> {
  made += 1;
  const name = `shop.t${made}`;
  await server.create(name, FIELDS, options);
  return name;
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  return (await client.query(sql))[0] as Record<string, unknown>[];
}

async function refusal(sql: string): Promise<string> {
  try {
    await client.query(sql);
  } catch (error) {
    const { code, errors } = error as { code: number; errors: { reason: string; message: string }[] };
    return `${code} ${errors[0]!.reason}: ${errors[0]!.message}`;
  }
  throw new Error("it was not refused");
}

const at = (us: bigint): string => `TIMESTAMP_MICROS(${us})`;
const changes = (name: string, start: bigint | null, end: bigint | null): string =>
  `SELECT id, name, _CHANGE_TYPE AS type, _CHANGE_IS_FOR_UPDATE AS half FROM CHANGES(TABLE ${name}, ${start === null ? "NULL" : at(start)}, ${end === null ? "NULL" : at(end)}) ORDER BY _CHANGE_TIMESTAMP, half DESC`;

describe("CHANGES", () => {
  it("tells an update as its old row, marked, and its new one; start is inclusive, end exclusive", async () => {
    const name = await table();
    const inserted = await server.insert(name, { id: "1", name: "a" });
    const updated = await server.write(name, [{ update: { name: "b" }, where: { id: "1" } }]);
    const deleted = await server.write(name, [{ delete: { id: "1" } }]);
    expect(await query(changes(name, inserted, deleted))).toEqual([
      { id: 1, name: "a", type: "INSERT", half: false },
      { id: 1, name: "a", type: "DELETE", half: true },
      { id: 1, name: "b", type: "UPDATE", half: false },
    ]);
    expect(await query(changes(name, updated, updated + 1n))).toHaveLength(2);
    expect(await query(changes(name, deleted, null))).toEqual([{ id: 1, name: "b", type: "DELETE", half: false }]);
  });

  it("takes a day at the most, and no end in the future", async () => {
    const name = await table();
    const now = server.now();
    server.advance(25 * 3_600_000);
    expect(await query(changes(name, now, now + 24n * HOUR_US))).toEqual([]);
    expect(await refusal(changes(name, now, now + 24n * HOUR_US + 1n))).toContain("one day");
    expect(await refusal(changes(name, server.now(), server.now() + HOUR_US))).toContain("future");
  });

  it("needs the table's option, from the beginning of the window on", async () => {
    const name = await table({ history: false });
    const before = server.now();
    expect(await refusal(changes(name, before, null))).toMatch(/^400 invalidQuery: .*enable_change_history/);
    server.setHistory(name, true);
    expect(await refusal(changes(name, before, null))).toContain("enable_change_history");
    expect(await query(changes(name, server.now(), null))).toEqual([]);
  });

  it("is refused over a multi-statement transaction, and only there", async () => {
    const name = await table();
    const before = server.now();
    await server.transaction(name, [{ insert: { id: "1", name: "a" } }]);
    const after = server.now();
    expect(await refusal(changes(name, before, after))).toContain("multi-statement transaction");
    expect(await query(changes(name, after, null))).toEqual([]);
  });

  it("is refused for tables that rows are upserted into, views, materialized and external ones", async () => {
    const name = await table();
    server.table(name).upserted = true;
    expect(await refusal(changes(name, server.now(), null))).toContain("change data capture");
    for (const type of ["VIEW", "MATERIALIZED_VIEW", "EXTERNAL"] as const) {
      const other = await table({ type, sql: `SELECT * FROM ${name}` });
      expect(await refusal(changes(other, server.now(), null))).toMatch(
        /is not supported on (view|materialized|external)/,
      );
    }
  });

  it("reaches as far back as time travel", async () => {
    const name = await table();
    const now = server.now();
    server.advance(169 * 3_600_000);
    expect(await refusal(changes(name, now, now + 1n))).toContain("time travel");
  });

  it("has the table's columns of now", async () => {
    const name = await table();
    await server.insert(name, { id: "1", name: "a" });
    await server.store.addColumn(server.table(name), { name: "age", type: "INT64" });
    await server.insert(name, { id: "2", name: "b", age: "7" });
    const sql = `SELECT id, age FROM CHANGES(TABLE ${name}, NULL, NULL) ORDER BY id`;
    expect(await query(sql)).toEqual([
      { id: 1, age: null },
      { id: 2, age: 7 },
    ]);
    await server.store.dropColumn(server.table(name), "age");
    expect(await refusal(sql)).toMatch(/^400 invalidQuery: Unrecognized name: age/);
  });

  it("is for administrators where the table has, or had, row access policies", async () => {
    const name = await table();
    server.table(name).policies = true;
    expect(await refusal(changes(name, server.now(), null))).toMatch(/^403 accessDenied/);
    server.overridesPolicies = true;
    expect(await query(changes(name, server.now(), null))).toEqual([]);
    server.overridesPolicies = false;
  });
});

describe("APPENDS", () => {
  it("tells rows that were added, whatever became of them, and needs no option", async () => {
    const name = await table({ history: false });
    const start = await server.insert(name, { id: "1", name: "a" });
    await server.write(name, [{ update: { name: "b" }, where: { id: "1" } }]);
    await server.write(name, [{ delete: { id: "1" } }]);
    await server.transaction(name, [{ insert: { id: "2", name: "c" } }]);
    server.advance(48 * 3_600_000);
    expect(await query(`SELECT id, name FROM APPENDS(TABLE ${name}, ${at(start)}, NULL) ORDER BY id`)).toEqual([
      { id: 1, name: "a" },
      { id: 2, name: "c" },
    ]);
  });
});

describe("FOR SYSTEM_TIME AS OF", () => {
  it("reads a table as it was then, what was committed just then too, and at one time only", async () => {
    const name = await table();
    const first = await server.insert(name, { id: "1", name: "a" });
    const second = await server.write(name, [{ update: { name: "b" }, where: { id: "1" } }]);
    const rows = (us: bigint): string => `SELECT m.name FROM ${name} AS m FOR SYSTEM_TIME AS OF ${at(us)}`;
    expect(await query(rows(first))).toEqual([{ name: "a" }]);
    expect(await query(rows(second))).toEqual([{ name: "b" }]);
    expect(await query(rows(first - 1n))).toEqual([]);
    expect(await refusal(rows(server.now() + HOUR_US))).toContain("future");
    expect(
      await refusal(
        `SELECT a.id FROM ${name} AS a FOR SYSTEM_TIME AS OF ${at(first)} JOIN ${name} AS b FOR SYSTEM_TIME AS OF ${at(second)} ON true`,
      ),
    ).toContain("more than one point in time");
    server.advance(169 * 3_600_000);
    expect(await refusal(rows(first))).toContain("time travel");
  });
});

describe("jobs", () => {
  it("are known by the client's id: one whose answer was lost is there, and is not made twice", async () => {
    const name = await table();
    await server.insert(name, { id: "1", name: "a" });
    const before = server.billed.length;
    server.faults.add(({ path }) => path === "/jobs", { kind: "lost" });
    const [error] = await client.createQueryJob({ query: `SELECT id FROM ${name}`, jobId: "mine" }).then(
      () => [null],
      (failure: { code: number }) => [failure],
    );
    // The library tried again by itself.
    expect(error).toMatchObject({ code: 409 });
    expect((await client.job("mine").getQueryResults())[0]).toEqual([{ id: 1 }]);
    expect(server.billed.length - before).toBe(1);
  });

  it("give their results in pages, and only while they are kept", async () => {
    const name = await table();
    await server.insert(name, ...Array.from({ length: 250 }, (_, id) => ({ id: String(id), name: "a" })));
    const [job] = await client.createQueryJob({ query: `SELECT id FROM ${name}` });
    const before = server.requests.length;
    expect((await job.getQueryResults())[0]).toHaveLength(250);
    expect(server.requests.length - before).toBe(3);
    server.forgetResults();
    await expect(job.getQueryResults()).rejects.toMatchObject({ code: 404 });
  });

  it("can be told to bill no more than a limit, at the least 10 MB a table", async () => {
    const name = await table();
    const options = { query: `SELECT id FROM ${name}`, maximumBytesBilled: "1000000" };
    await expect(client.query(options)).rejects.toMatchObject({ errors: [{ reason: "bytesBilledLimitExceeded" }] });
    expect(await client.query({ ...options, maximumBytesBilled: "10485760" })).toHaveLength(3);
  });

  it("say in a dry run what they would read, free", async () => {
    const name = await table();
    const view = await table({ type: "VIEW", sql: `SELECT id FROM ${name}` });
    const before = server.billed.length;
    const [job] = await client.createQueryJob({ query: `SELECT * FROM ${view}`, dryRun: true });
    const { query: planned } = (
      job.metadata as { statistics: { query: { schema: object; referencedTables: { tableId: string }[] } } }
    ).statistics;
    expect(planned.schema).toEqual({ fields: [{ name: "id", type: "INT64", mode: "NULLABLE" }] });
    expect(planned.referencedTables.map(({ tableId }) => `shop.${tableId}`).sort()).toEqual([name, view].sort());
    expect(server.billed.length).toBe(before);
  });

  it("are refused as BigQuery refuses: unknown names and functions, tables that are not there or may not be read, bad syntax", async () => {
    const name = await table();
    expect(await refusal(`SELECT nothing FROM ${name}`)).toMatch(/^400 invalidQuery: Unrecognized name: nothing/);
    expect(await refusal(`SELECT list_sum(id) FROM ${name}`)).toMatch(
      /^400 invalidQuery: Function not found: LIST_SUM/,
    );
    expect(await refusal(`SELECT id FROM shop.nowhere`)).toMatch(/^404 notFound: Not found: Table/);
    expect(await refusal(`SELEC id FROM ${name}`)).toMatch(/^400 invalidQuery: Syntax error/);
    server.denied.add(name);
    expect(await refusal(`SELECT id FROM ${name}`)).toMatch(/^403 accessDenied: Access Denied/);
  });
});

it("says of a table what it is and when it was modified, also of rows in the streaming buffer", async () => {
  const name = await table({ key: ["id"] });
  const modified = await server.insert(name, { id: "1", name: "a" });
  await server.stream(name, { id: "2", name: "b" });
  const [{ lastModifiedTime, creationTime, streamingBuffer, tableConstraints }] = (await client
    .dataset("shop")
    .table(name.split(".")[1]!)
    .getMetadata()) as unknown as [Record<string, unknown>];
  expect({ lastModifiedTime, streamingBuffer, tableConstraints }).toEqual({
    lastModifiedTime: String(modified / 1000n),
    streamingBuffer: { estimatedRows: "1", estimatedBytes: "100" },
    tableConstraints: { primaryKey: { columns: ["id"] } },
  });
  expect(Number(creationTime)).toBeLessThanOrEqual(Number(lastModifiedTime));
});

it("fails as it is told to: a status, which the library tries again, and a quota, which it does not", async () => {
  const clock = "SELECT UNIX_MICROS(CURRENT_TIMESTAMP()) AS now";
  server.faults.add(({ path }) => path === "/queries", { kind: "status", status: 503 });
  expect(await query(clock)).toHaveLength(1);
  const quota = new BigQueryFault(403, "rateLimitExceeded", "Exceeded rate limits");
  server.faults.add(({ path }) => path === "/queries", { kind: "answer", answer: quota });
  expect(await refusal(clock)).toBe("403 rateLimitExceeded: Exceeded rate limits");
  expect(server.faults.done).toBe(true);
});
