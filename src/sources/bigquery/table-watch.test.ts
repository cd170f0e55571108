import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Clock } from "./clock.ts";
import type { Jobs } from "./jobs.ts";
import type { TableMetadata } from "./tables.ts";
import { SWEEP_MS, TableWatch } from "./table-watch.ts";

const LAG_MS = 5000;
const START_MS = 1_700_000_000_000;
const CREATED_MS = START_MS - 1_000_000;

let nowMs: number;
let asked: number;
let table: TableMetadata;
let watch: TableWatch;

/** The µs before the lag, at that time. */
const complete = (ms: number): bigint => BigInt(ms - LAG_MS) * 1000n - 1n;
const newest = (): Promise<bigint> => watch.newest(new AbortController().signal);
const modify = (ms: number): void => void (table = { ...table, lastModifiedTime: String(ms) });

beforeEach(() => {
  nowMs = START_MS;
  asked = 0;
  table = { type: "TABLE", creationTime: String(CREATED_MS), lastModifiedTime: String(CREATED_MS) };
  vi.spyOn(performance, "now").mockImplementation(() => nowMs - START_MS + SWEEP_MS);
  const value = () => {
    asked += 1;
    return Promise.resolve(String(nowMs * 1000));
  };
  const clock = new Clock({ value } as unknown as Jobs);
  watch = new TableWatch({ metadata: () => Promise.resolve(table), clock, safetyLagMs: LAG_MS });
});
afterEach(() => {
  vi.restoreAllMocks();
});

it("stays where it is, without a question, while nothing is modified", async () => {
  expect(await newest()).toBe(complete(nowMs));
  const first = await newest();
  nowMs += 60_000;
  expect(await newest()).toBe(first);
  expect(asked).toBe(1);
});

it("moves when a modification is as old as the lag, and asks for the time only then", async () => {
  const first = await newest();
  nowMs += 60_000;
  modify(nowMs);
  expect(await newest()).toBe(first);
  nowMs += LAG_MS;
  expect(await newest()).toBe(first);
  expect(asked).toBe(1);
  nowMs += 2;
  expect(await newest()).toBe(complete(nowMs));
  expect(await newest()).toBe(complete(nowMs));
  expect(asked).toBe(2);
});

it("moves over the first of many modifications, however often others follow", async () => {
  await newest();
  let reached = complete(nowMs);
  for (let step = 0; step < 50; step += 1) {
    nowMs += 1000;
    modify(nowMs);
    reached = await newest();
  }
  expect(reached).toBeGreaterThanOrEqual(complete(nowMs - LAG_MS - 2000));
  // The last ones too, once it is quiet.
  const last = nowMs;
  nowMs += LAG_MS + 2;
  await newest();
  nowMs += LAG_MS + 2;
  expect(await newest()).toBeGreaterThan(BigInt(last) * 1000n + 999n);
});

it("moves now and then in any case, and always while rows are streamed", async () => {
  const first = await newest();
  nowMs += SWEEP_MS;
  const second = await newest();
  expect(second).toBeGreaterThan(first);
  table = { ...table, streamingBuffer: { estimatedRows: "1", estimatedBytes: "1" } };
  nowMs += 1;
  expect(await newest()).toBe(complete(nowMs));
  nowMs += 1;
  expect(await newest()).toBe(complete(nowMs));
});

it("never goes back, not even when BigQuery's clock does, and not before the table was made", async () => {
  const first = await newest();
  nowMs -= 2000;
  modify(nowMs);
  table = { ...table, streamingBuffer: {} };
  expect(await newest()).toBe(first);
  const young = new TableWatch({
    metadata: () => Promise.resolve({ ...table, creationTime: String(nowMs - 1) }),
    clock: new Clock({ value: () => Promise.resolve(String(nowMs * 1000)) } as unknown as Jobs),
    safetyLagMs: LAG_MS,
  });
  expect(await young.newest(new AbortController().signal)).toBe(BigInt(nowMs - 1) * 1000n + 999n);
});
