import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StateStore } from "../contracts/state.ts";
import { openSqliteState } from "../state/sqlite/index.ts";
import { letterOf } from "../../test/support/state-values.ts";
import { findFailures, listFailures } from "./failures.ts";
import { createLog } from "./log.ts";
import { leaveRequest } from "./requests.ts";

const log = createLog({ level: "silent", format: "json", color: false, write: () => {} });
const signal = new AbortController().signal;
let folder: string;
let store: StateStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tailrace-requests-"));
  store = await openSqliteState({ path: join(folder, "state.db"), log });
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("nobody runs it: the request waits for the next run", async () => {
  expect(await leaveRequest(store, "s", { kind: "pause" }, { signal, waitMs: 10_000 })).toBe("next run");
  await using lease = await store.acquire("s", signal);
  expect((await lease.requests()).map(({ request }) => request)).toEqual([{ kind: "pause" }]);
});

test("somebody runs it: taken once it has been, slow when it has not been in time", async () => {
  await using lease = await store.acquire("s", signal);
  expect(await leaveRequest(store, "s", { kind: "pause" }, { signal, waitMs: 0 })).toBe("slow");
  // Another request that is still there does not count.
  const asked = leaveRequest(
    store,
    "s",
    { kind: "drop", failures: ["a"], by: "ada", why: null },
    { signal, waitMs: 60_000 },
  );
  let taken: number | undefined;
  while (taken === undefined) taken = (await lease.requests()).find(({ request }) => request.kind === "drop")?.id;
  await lease.commit({ takenRequests: [taken] });
  expect(await asked).toBe("taken");
});

test("failures: newest first, page by page, with the sum of all", async () => {
  await using lease = await store.acquire("s", signal);
  const letters = ["a", "b", "c", "d", "e"].map((id) => letterOf(id, { message: id === "c" ? "odd" : "no" }));
  await lease.commit({ deadLetters: letters });
  const idsOf = async (limit: number, offset: number) =>
    (await listFailures(store, "s", { limit, offset })).failures.map(({ id }) => id);
  expect(await idsOf(2, 0)).toEqual(["e", "d"]);
  expect(await idsOf(2, 2)).toEqual(["c", "b"]);
  expect(await idsOf(2, 4)).toEqual(["a"]);
  expect(await idsOf(2, 6)).toEqual([]);
  expect(await idsOf(0, 0)).toEqual([]);
  expect(await listFailures(store, "s", { limit: 1, offset: 0 })).toMatchObject({
    total: 5,
    groups: [
      { message: "no", count: 4 },
      { message: "odd", count: 1 },
    ],
  });
  const { found, missing } = await findFailures(store, "s", ["b", "x"]);
  expect({ found: found.map(({ id }) => id), missing }).toEqual({ found: ["b"], missing: ["x"] });
});
