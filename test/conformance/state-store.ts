// What every StateStore must do. A store's own tests call `stateStoreSuite` with a way to open it.
import { expect, test } from "vitest";
import type { FailureQuery } from "../../src/contracts/failures.ts";
import type { DeadLetter, Lease, StateChange, StateStore, StatusReport, SyncState } from "../../src/contracts/state.ts";
import { checkpointAt, letterOf } from "../support/state-values.ts";
import { aborted, eventually, never, type StateHarness } from "./state-harness.ts";
import { rowIndexSuite } from "./row-index.ts";
import { sentIndexSuite } from "./sent-index.ts";
import { modelTest } from "./state-store-model.ts";

const REPORT: StatusReport = {
  phase: "streaming",
  reason: null,
  position: "1",
  lagMs: 12,
  queuedRows: 3,
  queuedBytes: 400,
  perSecond: 5.5,
  latency: { p50Ms: 2, p99Ms: 9 },
  backfill: null,
  sourceSilentMs: null,
  detached: null,
};

export function stateStoreSuite(open: () => Promise<StateHarness>): void {
  sentIndexSuite(open);
  rowIndexSuite(open);

  /** A harness and a store of it. */
  async function opened(stack: AsyncDisposableStack): Promise<{ harness: StateHarness; store: StateStore }> {
    const harness = stack.use(await open());
    return { harness, store: await harness.open() };
  }

  function it(name: string, body: (context: { harness: StateHarness; store: StateStore }) => Promise<void>): void {
    test(name, async () => {
      await using stack = new AsyncDisposableStack();
      await body(await opened(stack));
    });
  }

  it("a new state holds nothing", async ({ store }) => {
    expect(await store.statuses()).toEqual([]);
    expect(await store.load("s")).toBeNull();
    expect(await store.failures("s")).toEqual([]);
    expect(await store.failureGroups("s")).toEqual([]);
    expect(await store.failure("s", "x")).toBeNull();
    const lease = await store.acquire("s", never);
    expect(await lease.load()).toBeNull();
    expect(await lease.requests()).toEqual([]);
  });

  it("a commit is seen whole by other connections and after reopening", async ({ harness, store }) => {
    const lease = await store.acquire("s", never);
    const held = { by: "resync", rows: 3, of: 9, generation: 2, until: null, approved: false } as const;
    const change: StateChange = {
      checkpoint: checkpointAt(7, { backfill: { generation: 2, after: ["a", "ü\u0000\"'"], rows: 9 } }),
      deadLetters: [letterOf("d1", { key: ["x", "y"], answer: "422", payload: '{"a":"1"}' })],
      counts: { delivered: 4, rejected: 1 },
      heldDeletes: held,
      writerMemory: '{"a":"job"}',
      paused: true,
      stopped: { code: "source.gap.slot_lost", message: "gone" },
    };
    await lease.commit(change);
    const expected: SyncState = {
      checkpoint: change.checkpoint ?? null,
      paused: true,
      stopped: { code: "source.gap.slot_lost", message: "gone" },
      generation: 0,
      counts: { delivered: 4, rejected: 1 },
      heldDeletes: held,
      writerMemory: '{"a":"job"}',
    };
    expect(await lease.load()).toEqual(expected);
    const other = await harness.open();
    expect(await other.load("s")).toEqual(expected);
    expect(await other.failures("s")).toEqual(change.deadLetters);
    await harness.crash();
    const again = await harness.open();
    expect(await again.load("s")).toEqual(expected);
    expect(await again.failure("s", "d1")).toEqual(change.deadLetters?.[0]);
  });

  it("what a commit does not name stays as it was", async ({ store }) => {
    const lease = await store.acquire("s", never);
    await lease.commit({
      checkpoint: checkpointAt(1),
      paused: true,
      stopped: { code: "destination.config", message: "m" },
    });
    await lease.commit({ counts: { delivered: 1, rejected: 0 } });
    await lease.commit({ counts: { delivered: 2, rejected: 3 }, stopped: null });
    expect(await lease.load()).toEqual({
      checkpoint: checkpointAt(1),
      paused: true,
      stopped: null,
      generation: 0,
      counts: { delivered: 3, rejected: 3 },
      heldDeletes: null,
      writerMemory: null,
    });
  });

  it("a checkpoint moves backwards only by a reset, and a refused commit stores nothing of it", async ({ store }) => {
    const lease = await store.acquire("s", never);
    await lease.commit({ checkpoint: checkpointAt(5) });
    await lease.commit({ checkpoint: checkpointAt(5) });
    const before = await lease.load();
    for (const back of [checkpointAt(4), null])
      await expect(
        lease.commit({ checkpoint: back, deadLetters: [letterOf("d")], counts: { delivered: 1, rejected: 1 } }),
      ).rejects.toMatchObject({ code: "internal.defect" });
    expect(await lease.load()).toEqual(before);
    expect(await store.failures("s")).toEqual([]);
    await lease.commit({ checkpoint: checkpointAt(3), reset: true });
    expect(await lease.load()).toMatchObject({ checkpoint: checkpointAt(3), generation: 1 });
    await lease.commit({ checkpoint: null, reset: true });
    expect(await lease.load()).toMatchObject({ checkpoint: null, generation: 2 });
  });

  it("the incarnation follows the checkpoint, and syncs may share it", async ({ harness, store }) => {
    const a = await store.acquire("a", never);
    const b = await store.acquire("b", never);
    const long = "x".repeat(20_000);
    await a.commit({ checkpoint: checkpointAt(1, { incarnation: long }) });
    await b.commit({ checkpoint: checkpointAt(1, { incarnation: long }) });
    await a.commit({ checkpoint: checkpointAt(2, { incarnation: "other" }) });
    await store[Symbol.asyncDispose]();
    const again = await harness.open();
    expect((await again.load("a"))?.checkpoint?.incarnation).toBe("other");
    expect((await again.load("b"))?.checkpoint?.incarnation).toBe(long);
    const second = await again.acquire("b", never);
    await second.commit({ checkpoint: checkpointAt(3, { incarnation: "other" }) });
    await second.commit({ checkpoint: checkpointAt(4, { incarnation: long }) });
    expect((await again.load("b"))?.checkpoint?.incarnation).toBe(long);
  });

  it("a delivery that fails again replaces its dead letter; resolved ones are gone", async ({ store }) => {
    const lease = await store.acquire("s", never);
    await lease.commit({ deadLetters: [letterOf("a"), letterOf("b"), letterOf("c")] });
    await lease.commit({ deadLetters: [letterOf("b", { attempts: 2, message: "still no" })], resolved: ["a", "b"] });
    expect(await store.failures("s")).toEqual([letterOf("b", { attempts: 2, message: "still no" }), letterOf("c")]);
    expect((await store.statuses())[0]?.failures).toBe(2);
    await lease.commit({ resolved: ["b", "c", "never was"] });
    expect(await store.failures("s")).toEqual([]);
  });

  it("texts come back as they were, whatever is in them", async ({ harness, store }) => {
    const lease = await store.acquire("s/ü \u{1f600}", never);
    const strange = letterOf("a", {
      key: ["", "\u0000", '"', "\u{1f600}"],
      message: "a\u0000b\n\u{1f600}",
      answer: "",
    });
    // The half character that is left of a text cut by length cannot be kept, but must not do harm.
    await lease.commit({ deadLetters: [strange, letterOf("b", { answer: "cut \ud83d" })] });
    await store[Symbol.asyncDispose]();
    const again = await harness.open();
    expect(await again.failures("s/ü \u{1f600}")).toEqual([strange, letterOf("b", { answer: "cut \ufffd" })]);
  });

  it("dead letters come in log order, by pages, a sync's own only", async ({ store }) => {
    const lease = await store.acquire("s", never);
    const other = await store.acquire("t", never);
    const letters = Array.from({ length: 25 }, (_, index) =>
      letterOf(`id${24 - index}`, { position: String(index).padStart(4, "0"), failedAtMs: 1000 - index }),
    );
    await lease.commit({ deadLetters: [...letters].reverse() });
    await other.commit({ deadLetters: [letterOf("id3", { message: "of t" })] });
    const pages = [];
    for (let offset = 0; offset < 30; offset += 10) pages.push(...(await store.failures("s", { limit: 10, offset })));
    expect(pages).toEqual(letters);
    expect(await store.failure("t", "id3")).toMatchObject({ message: "of t" });
    expect(await store.failure("s", "id3")).toEqual(letters.find(({ id }) => id === "id3"));
  });

  it("dead letters are grouped by code and message, most first", async ({ store }) => {
    const lease = await store.acquire("s", never);
    await lease.commit({
      deadLetters: [
        letterOf("1", { message: "a" }),
        letterOf("2", { message: "b" }),
        letterOf("3", { message: "b" }),
        letterOf("4", { message: "b", code: "delivery.mapping" }),
      ],
    });
    expect(await store.failureGroups("s")).toEqual([
      { code: "destination.refused", message: "b", count: 2 },
      { code: "delivery.mapping", message: "b", count: 1 },
      { code: "destination.refused", message: "a", count: 1 },
    ]);
  });

  it("dead letters are found by what they have in common, and counted", async ({ store }) => {
    const lease = await store.acquire("s", never);
    const letters = Array.from({ length: 12 }, (_, index) =>
      letterOf(String(index).padStart(2, "0"), {
        code: index % 2 === 0 ? "destination.refused" : "delivery.mapping",
        op: index % 3 === 0 ? "delete" : "upsert",
        key: ["t", String(index % 4)],
        message: index < 6 ? "No such Plan" : "no",
        answer: index === 7 ? '{"error":"unknown PLAN"}' : null,
        failedAtMs: 1000 + index,
      }),
    );
    await lease.commit({ deadLetters: letters });
    const found = async (where: FailureQuery): Promise<string> => {
      const page = await store.failures("s", { where, limit: 100 });
      const counted = (await store.failureGroups("s", where)).reduce((sum, { count }) => sum + count, 0);
      expect(counted).toBe(page.length);
      return page.map(({ id }) => Number(id)).join(" ");
    };
    expect(await found({})).toBe("0 1 2 3 4 5 6 7 8 9 10 11");
    expect(await found({ codes: ["delivery.mapping", "delivery.no_match"] })).toBe("1 3 5 7 9 11");
    expect(await found({ ops: ["delete"] })).toBe("0 3 6 9");
    expect(await found({ text: "plan" })).toBe("0 1 2 3 4 5 7");
    expect(await found({ key: ["t", "3"] })).toBe("3 7 11");
    expect(await found({ key: ["t"] })).toBe("");
    expect(await found({ sinceMs: 1003, untilMs: 1006 })).toBe("3 4 5");
    expect(await found({ codes: ["delivery.mapping"], text: "plan", sinceMs: 1002 })).toBe("3 5 7");
    const page = async (limit: number, offset?: number, after?: DeadLetter): Promise<number[]> =>
      (await store.failures("s", { where: { ops: ["upsert"] }, limit, offset, after })).map(({ id }) => Number(id));
    expect(await page(3)).toEqual([1, 2, 4]);
    expect(await page(3, 3)).toEqual([5, 7, 8]);
    // What was removed meanwhile does not shift the next page.
    await lease.commit({ resolved: ["01", "02"] });
    expect(await page(3, 0, letters[4])).toEqual([5, 7, 8]);
    expect((await store.failures("s", { limit: 2, after: letters[8] })).map(({ id }) => id)).toEqual(["09", "10"]);
  });

  it("what is dropped leaves a record without the row's values, and a count when that is forgotten", async ({
    harness,
    store,
  }) => {
    const lease = await store.acquire("s", never);
    expect(await store.droppedFailures("s")).toEqual({ total: 0, records: [] });
    const [a, b] = [letterOf("a", { payload: '{"after":[["card","4711"]]}' }), letterOf("b", { answer: "no\u0000" })];
    await lease.commit({ deadLetters: [a, b, letterOf("c")] });
    await lease.commit({ dropped: [{ id: "a", by: "ada@host", why: "a test account", atMs: 10 }] });
    await lease.commit({ dropped: [{ id: "b", by: "failures.keep", why: null, atMs: 20 }] });
    // What was delivered meanwhile is not there to be dropped.
    await lease.commit({
      resolved: ["c"],
      dropped: ["c", "never was"].map((id) => ({ id, by: "x", why: null, atMs: 30 })),
    });
    expect(await store.failures("s")).toEqual([]);
    const other = await harness.open();
    const { payload: _, ...kept } = a;
    const { payload: __, ...second } = b;
    const records = [
      { ...second, droppedBy: "failures.keep", why: null, droppedAtMs: 20 },
      { ...kept, droppedBy: "ada@host", why: "a test account", droppedAtMs: 10 },
    ];
    expect(await other.droppedFailures("s")).toEqual({ total: 2, records });
    expect(await other.droppedFailures("s", { limit: 1, offset: 1 })).toEqual({ total: 2, records: [records[1]] });
    await lease.commit({ forgetDroppedBeforeMs: 20 });
    expect(await other.droppedFailures("s")).toEqual({ total: 2, records: [records[0]] });
    // It may fail again, and is to be seen again.
    await lease.commit({ deadLetters: [b], dropped: [{ id: "b", by: "x", why: null, atMs: 40 }] });
    expect(await other.failures("s")).toEqual([b]);
    await lease[Symbol.asyncDispose]();
    await store.forget("s");
    expect(await store.droppedFailures("s")).toEqual({ total: 0, records: [] });
  });

  it("requests wait for the sync's runner, oldest first, until taken", async ({ harness, store }) => {
    const beside = await harness.open();
    await beside.request("s", { kind: "pause" });
    const lease = await store.acquire("s", never);
    await beside.request("s", { kind: "retry", failures: ["a", "b"] });
    await beside.request("t", { kind: "resync" });
    await beside.request("s", { kind: "drop", failures: {}, by: "ada", why: null });
    const waiting = await lease.requests();
    expect(waiting.map(({ request }) => request)).toEqual([
      { kind: "pause" },
      { kind: "retry", failures: ["a", "b"] },
      { kind: "drop", failures: {}, by: "ada", why: null },
    ]);
    await lease.commit({ takenRequests: waiting.slice(0, 2).map(({ id }) => id), paused: true });
    expect(await lease.requests()).toEqual(waiting.slice(2));
    await lease.commit({ takenRequests: waiting.map(({ id }) => id) });
    await beside.request("s", { kind: "resume" });
    const later = await lease.requests();
    // An id that was used once must not name a later request: it would be taken unread.
    expect(waiting.map(({ id }) => id)).not.toContain(later[0]?.id);
    const t = await store.acquire("t", never);
    expect((await t.requests()).map(({ request }) => request)).toEqual([{ kind: "resync" }]);
  });

  it("a report is enough to have a status; running follows the lease", async ({ harness, store }) => {
    const lease = await store.acquire("s", never);
    await lease.report({ ...REPORT, phase: "starting" });
    await lease.report(REPORT);
    const beside = await harness.open();
    await eventually(async () => (await beside.statuses())[0]?.report?.phase === "streaming");
    const [status] = await beside.statuses();
    expect(status).toMatchObject({ sync: "s", report: REPORT, running: true, failures: 0 });
    expect(status?.state).toEqual({
      checkpoint: null,
      paused: false,
      stopped: null,
      generation: 0,
      counts: { delivered: 0, rejected: 0 },
      heldDeletes: null,
      writerMemory: null,
    });
    expect(typeof status?.reportedAtMs).toBe("number");
    await lease[Symbol.asyncDispose]();
    expect((await beside.statuses())[0]).toMatchObject({ sync: "s", report: REPORT, running: false });
  });

  it("forget leaves nothing, and refuses while the sync runs", async ({ store }) => {
    const lease = await store.acquire("s", never);
    await lease.commit({ checkpoint: checkpointAt(9), deadLetters: [letterOf("a")] });
    await lease.report(REPORT);
    await store.request("s", { kind: "pause" });
    await expect(store.forget("s")).rejects.toMatchObject({ code: "state.lease_held" });
    await lease[Symbol.asyncDispose]();
    await store.forget("s");
    expect(await store.statuses()).toEqual([]);
    expect(await store.failures("s")).toEqual([]);
    const fresh = await store.acquire("s", never);
    expect(await fresh.load()).toBeNull();
    expect(await fresh.requests()).toEqual([]);
    await fresh.commit({ checkpoint: checkpointAt(1) });
    await expect(lease.commit({ checkpoint: checkpointAt(10) })).rejects.toMatchObject({ code: "state.lease_lost" });
  });

  it("one holder a sync: another waits until the lease is released", async ({ harness, store }) => {
    const first = await store.acquire("s", never);
    const beside = await harness.open();
    let got: Lease | null = null;
    const waiting = beside.acquire("s", never).then((lease) => (got = lease));
    await (await beside.acquire("another", never)).commit({ checkpoint: checkpointAt(1) });
    await first.commit({ checkpoint: checkpointAt(1) });
    expect(got).toBeNull();
    await first[Symbol.asyncDispose]();
    const second = await waiting;
    expect(await second.load()).toMatchObject({ checkpoint: checkpointAt(1) });
    await second.commit({ checkpoint: checkpointAt(2) });
    await expect(first.commit({ checkpoint: checkpointAt(3) })).rejects.toMatchObject({ code: "state.lease_lost" });
    expect(second.lost.aborted).toBe(false);
  });

  it("waiting for a lease obeys its signal", async ({ harness, store }) => {
    await store.acquire("s", never);
    const beside = await harness.open();
    await expect(beside.acquire("s", AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
    const waiting = new AbortController();
    const result = beside.acquire("s", waiting.signal);
    waiting.abort(new Error("no more"));
    await expect(result).rejects.toThrow("no more");
    expect(await beside.statuses()).toMatchObject([{ sync: "s", running: true }]);
  });

  it("closing a store frees its leases", async ({ harness, store }) => {
    await store.acquire("s", never);
    const beside = await harness.open();
    const waiting = beside.acquire("s", never);
    await store[Symbol.asyncDispose]();
    await waiting;
  });

  it("a holder that was succeeded is fenced at its next commit", async ({ harness, store }) => {
    const old = await store.acquire("s", never);
    await old.commit({ checkpoint: checkpointAt(1) });
    const beside = await harness.open();
    await harness.outdate("s");
    const successor = await beside.acquire("s", never);
    await successor.commit({ checkpoint: checkpointAt(2) });
    await expect(
      old.commit({ checkpoint: checkpointAt(9), deadLetters: [letterOf("a")], counts: { delivered: 5, rejected: 5 } }),
    ).rejects.toMatchObject({ code: "state.lease_lost" });
    await aborted(old.lost);
    expect(old.lost.reason).toMatchObject({ code: "state.lease_lost" });
    await old.report({ ...REPORT, reason: "of the old holder" });
    await old[Symbol.asyncDispose]();
    const [status] = await beside.statuses();
    expect(status).toMatchObject({ running: true, failures: 0, report: null });
    expect(status?.state).toMatchObject({ checkpoint: checkpointAt(2), counts: { delivered: 0, rejected: 0 } });
    expect(successor.lost.aborted).toBe(false);
    await successor.commit({ checkpoint: checkpointAt(3) });
  });

  it("a holder that was succeeded learns it from its heartbeat", async ({ harness, store }) => {
    const old = await store.acquire("s", never);
    const beside = await harness.open();
    await harness.outdate("s");
    await beside.acquire("s", never);
    await aborted(old.lost);
  });

  it("commits and loads agree with a model, over crashes", async ({ harness, store }) => {
    await modelTest(harness, store);
  });
}
