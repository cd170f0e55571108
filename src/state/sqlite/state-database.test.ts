import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../../test/conformance/state-harness.ts";
import { checkpointAt, letterOf } from "../../../test/support/state-values.ts";
import { StateDatabase } from "./state-database.ts";

const STALE_MS = 150;
let home = "";
let state: StateDatabase;
let lost: string[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tailrace-database-"));
  lost = [];
  state = new StateDatabase({ path: join(home, "state.db"), readOnly: false, staleMs: STALE_MS }, (owner) => {
    lost.push(owner);
  });
});

afterEach(() => {
  state.close();
  rmSync(home, { recursive: true, force: true });
});

function pragma(name: string): unknown {
  return state.connection.database.prepare(`PRAGMA ${name}`).get()?.[name];
}

test("commits are fsynced, also after a heartbeat that was not", () => {
  expect([pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")]).toEqual(["wal", 2, 1]);
  const owner = state.tryAcquire("s") ?? "";
  state.heartbeat();
  expect(pragma("synchronous")).toBe(1);
  state.commit(owner, { checkpoint: checkpointAt(1) });
  expect(pragma("synchronous")).toBe(2);
  state.heartbeat();
  state.request("s", { kind: "pause" });
  expect(pragma("synchronous")).toBe(2);
});

test("a holder in another boot or container is succeeded when its heartbeat stands still, not while it moves", async () => {
  const { database } = state.connection;
  const row = database.prepare(
    `INSERT OR REPLACE INTO lease (sync, epoch, owner, pid, started, boot, namespace, beat_ms, beat_at_ms)
     VALUES ('s', 7, 'another', 1, '1', 'another boot', 'pid:[1]', ?, ?)`,
  );
  let beat = 0;
  const end = performance.now() + 4 * STALE_MS;
  await eventually(() => {
    // Its clock is an hour ahead of ours, which must not matter.
    row.run((beat += 1), Date.now() + 3_600_000);
    expect(state.tryAcquire("s")).toBeNull();
    return Promise.resolve(performance.now() > end);
  });
  let owner: string | null = null;
  const before = performance.now();
  await eventually(() => Promise.resolve((owner = state.tryAcquire("s")) !== null));
  expect(performance.now() - before).toBeGreaterThan(STALE_MS / 2);
  expect(database.prepare("SELECT epoch FROM lease").get()).toEqual({ epoch: 8 });
  state.commit(String(owner), { checkpoint: checkpointAt(1) });
});

test("heartbeats find out that a lease is lost, and only that one", () => {
  const mine = state.tryAcquire("mine") ?? "";
  const taken = state.tryAcquire("taken") ?? "";
  state.connection.database.exec("UPDATE lease SET owner = 'another', epoch = epoch + 1 WHERE sync = 'taken'");
  state.heartbeat();
  expect(lost).toEqual([taken]);
  expect(() => state.commit(taken, {})).toThrow(expect.objectContaining({ code: "state.lease_lost" }));
  state.commit(mine, {});
});

test("the epoch alone fences, too", () => {
  const owner = state.tryAcquire("s") ?? "";
  state.connection.database.exec("UPDATE lease SET epoch = epoch + 1");
  expect(() => state.commit(owner, { deadLetters: [letterOf("a")] })).toThrow(
    expect.objectContaining({ code: "state.lease_lost" }),
  );
  expect(lost).toEqual([owner]);
  expect(state.failures("s", { limit: 10 })).toEqual([]);
});

test("a long incarnation is kept once, and only while a checkpoint has it", () => {
  const count = (): unknown => state.connection.get("SELECT count(*) AS count FROM incarnation")?.["count"];
  const [a = "", b = ""] = ["a", "b"].map((sync) => state.tryAcquire(sync) ?? "");
  const incarnation = "x".repeat(9_000);
  state.commit(a, { checkpoint: checkpointAt(1, { incarnation }) });
  state.commit(b, { checkpoint: checkpointAt(1, { incarnation }) });
  expect(count()).toBe(1);
  state.commit(a, { checkpoint: checkpointAt(2, { incarnation: "y" }) });
  expect(count()).toBe(2);
  state.release(b);
  state.forget("b");
  expect(count()).toBe(1);
  state.commit(a, { checkpoint: null, reset: true });
  expect(count()).toBe(0);
});
