import { describe, expect, test } from "vitest";
import type { StatusReport, StoredStatus } from "../contracts/state.ts";
import { checkpointAt } from "../../test/support/state-values.ts";
import { STALE_MS, statusOf } from "./status.ts";

const NOW = 1_000_000;
const report: StatusReport = {
  phase: "streaming",
  reason: null,
  position: "1",
  lagMs: 12,
  queuedRows: 1,
  queuedBytes: 10,
  perSecond: 50,
  latency: { p50Ms: 3, p99Ms: 9 },
  backfill: null,
  sourceSilentMs: 0,
  detached: null,
};
const stored: StoredStatus = {
  sync: "s",
  state: {
    checkpoint: checkpointAt(1),
    paused: false,
    stopped: null,
    generation: 0,
    counts: { delivered: 7, rejected: 1 },
    heldDeletes: null,
    writerMemory: null,
  },
  report,
  reportedAtMs: NOW,
  running: true,
  failures: 1,
};

const S = { name: "s", maxLagMs: null };

test("what the process that runs it said", () => {
  expect(statusOf(S, stored, NOW + STALE_MS)).toEqual({
    sync: "s",
    phase: "streaming",
    reason: null,
    lagMs: 12,
    maxLagMs: null,
    sourceSilentMs: STALE_MS,
    perSecond: 50,
    p50Ms: 3,
    p99Ms: 9,
    queuedRows: 1,
    delivered: 7,
    failures: 1,
    detached: null,
    backfill: null,
    signals: { process: true, stream: true, progress: true },
    ok: true,
  });
});

test.each([
  ["nothing was heard of it for long", stored, NOW + STALE_MS + 1, "a process holds it, but says nothing"],
  ["nobody holds it", { ...stored, running: false }, NOW, null],
  ["it never ran", null, NOW, "never ran"],
  ["it is paused", { ...stored, running: false, state: { ...stored.state, paused: true } }, NOW, "paused"],
])("not running: %s", (_, status, nowMs, reason) => {
  expect(statusOf(S, status, nowMs)).toMatchObject({ phase: "not running", reason, lagMs: null, ok: false });
});

test("a stop is told whether or not somebody runs it", () => {
  const state = { ...stored.state, stopped: { code: "source.gap.slot_lost", message: "gone" } } as const;
  for (const running of [true, false]) {
    expect(statusOf(S, { ...stored, running, state }, NOW)).toMatchObject({
      phase: "stopped",
      reason: "gone (source.gap.slot_lost)",
      ok: false,
    });
  }
});

test("a pause is well while somebody runs it", () => {
  const paused = { ...stored, report: { ...report, phase: "paused" as const } };
  expect(statusOf(S, paused, NOW)).toMatchObject({ phase: "paused", ok: true });
});

describe("the three signals of health", () => {
  const of = (overrides: Partial<StatusReport>, maxLagMs: number | null = 1000, status: Partial<StoredStatus> = {}) => {
    const { signals, ok } = statusOf(
      { name: "s", maxLagMs },
      { ...stored, ...status, report: { ...report, ...overrides } },
      NOW,
    );
    return { ...signals, ok };
  };
  const stopped = { state: { ...stored.state, stopped: { code: "source.gap.slot_lost", message: "gone" } } } as const;

  test.each([
    ["well", of({}), { process: true, stream: true, progress: true, ok: true }],
    ["lag at its limit", of({ lagMs: 1000 }), { process: true, stream: true, progress: true, ok: true }],
    ["lag over it", of({ lagMs: 1001 }), { process: true, stream: true, progress: false, ok: false }],
    ["lag without one", of({ lagMs: 1e9 }, null), { process: true, stream: true, progress: true, ok: true }],
    ["a silent source", of({ sourceSilentMs: 30_001 }), { process: true, stream: false, progress: true, ok: false }],
    [
      "a source that nothing is read from, because the destination cannot be opened",
      of({ phase: "waiting", sourceSilentMs: null }),
      { process: true, stream: null, progress: true, ok: true },
    ],
    [
      "paused for an hour",
      of({ phase: "paused", sourceSilentMs: 3_600_000 }),
      { process: true, stream: null, progress: null, ok: true },
    ],
    ["stopped", of({ phase: "stopped" }, 1000, stopped), { process: true, stream: null, progress: false, ok: false }],
    [
      "stopped, and nobody runs it",
      of({ phase: "stopped" }, 1000, { ...stopped, running: false }),
      { process: false, stream: null, progress: false, ok: false },
    ],
    ["nobody runs it", of({}, 1000, { running: false }), { process: false, stream: null, progress: null, ok: false }],
  ])("%s", (_, found, expected) => {
    expect(found).toEqual(expected);
  });

  test("silence goes on after the last report", () => {
    const quiet = { ...stored, report: { ...report, sourceSilentMs: 25_000 } };
    expect(statusOf(S, quiet, NOW + 6000)).toMatchObject({ sourceSilentMs: 31_000, signals: { stream: false } });
  });
});

test.each([
  [
    { rows: 45, estimate: 100, perSecond: 10 },
    { percent: 45, etaMs: 5500 },
  ],
  // The estimate was too low: it is not over before it is over.
  [
    { rows: 150, estimate: 100, perSecond: 10 },
    { percent: 99, etaMs: 0 },
  ],
  [
    { rows: 5, estimate: null, perSecond: 10 },
    { percent: null, etaMs: null },
  ],
  [
    { rows: 0, estimate: 0, perSecond: 10 },
    { percent: null, etaMs: 0 },
  ],
  [
    { rows: 5, estimate: 100, perSecond: 0 },
    { percent: 5, etaMs: null },
  ],
])("a backfill of %o", (backfill, expected) => {
  expect(statusOf(S, { ...stored, report: { ...report, phase: "backfilling", backfill } }, NOW).backfill).toEqual({
    rows: backfill.rows,
    estimate: backfill.estimate,
    ...expected,
  });
});

test("a backfill that nobody runs keeps its rows", () => {
  const backfill = { generation: 0, after: ["5"], rows: 5 };
  const state = { ...stored.state, checkpoint: checkpointAt(1, { backfill }) };
  expect(statusOf(S, { ...stored, running: false, state }, NOW).backfill).toMatchObject({ rows: 5, percent: null });
});
