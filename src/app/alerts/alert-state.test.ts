import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Counts, Phase, StatusReport } from "../../contracts/state.ts";
import { ALERT_EVENTS, type AlertEvent } from "./alert.ts";
import { AlertState, CLEAR_MS, SILENT_MS, STEADY_MS } from "./alert-state.ts";
import { WINDOW_MS } from "./rejection-window.ts";

const LIMITS = { maxLagMs: 10_000, maxWaitMs: 20_000, failureShare: 0.1 };
const NONE: Counts = { delivered: 0, rejected: 0 };

function reportWith(overrides: Partial<StatusReport> = {}): StatusReport {
  return {
    phase: "streaming",
    reason: null,
    position: "1",
    lagMs: 0,
    queuedRows: 0,
    queuedBytes: 0,
    perSecond: 0,
    latency: null,
    backfill: null,
    sourceSilentMs: 0,
    detached: null,
    ...overrides,
  };
}

/** A second a step from 0; what is told, as `+event@s` and `-event@s`. */
function told(
  steps: readonly { report: Partial<StatusReport>; counts?: Counts | null; seconds: number }[],
  limits: ConstructorParameters<typeof AlertState>[1] = LIMITS,
): string[] {
  const state = new AlertState("users", limits);
  const seen: string[] = [];
  let second = 0;
  for (const { report, counts = NONE, seconds } of steps) {
    for (let i = 0; i < seconds; i += 1, second += 1) {
      for (const { event, holds } of state.see(reportWith(report), counts, second * 1000))
        seen.push(`${holds ? "+" : "-"}${event}@${second}`);
    }
  }
  return seen;
}

const S = (ms: number): number => ms / 1000;
const WELL = { report: {}, seconds: 30 };

test("a sync that is well has nothing told of it", () => {
  expect(told([{ report: { phase: "starting" }, counts: null, seconds: 3 }, WELL])).toEqual([]);
});

test.each(["stopped", "paused"] as const)("%s is told at once, and once; its end when it has lasted", (phase) => {
  const down = { report: { phase }, counts: null, seconds: 300 };
  expect(told([{ ...WELL, seconds: 5 }, down, WELL])).toEqual([`+${phase}@5`, `-${phase}@${305 + S(CLEAR_MS)}`]);
});

test("a stop that comes back at once is one stop", () => {
  const stopped = { report: { phase: "stopped" as const }, counts: null, seconds: 5 };
  const tries = { report: {}, seconds: S(CLEAR_MS) - 1 };
  expect(told([stopped, tries, stopped, tries, stopped])).toEqual(["+stopped@0"]);
});

test("waiting is told after its time, with the time it began and the reason", () => {
  const state = new AlertState("users", LIMITS);
  const waits = reportWith({ phase: "waiting", reason: "no connection (destination.unreachable)" });
  expect(state.see(waits, NONE, 1000)).toEqual([]);
  expect(state.see(waits, NONE, 20_999)).toEqual([]);
  expect(state.see(waits, NONE, 21_000)).toMatchObject([
    {
      event: "waiting",
      holds: true,
      sinceMs: 1000,
      message: "Sync users has waited for 20 s and more: nothing is delivered.",
      facts: { reason: waits.reason },
    },
  ]);
  expect(state.see(waits, NONE, 99_000)).toEqual([]);
  expect(state.see(reportWith(), NONE, 100_000)).toEqual([]);
  expect(state.see(reportWith(), NONE, 110_000)).toMatchObject([
    { event: "waiting", holds: false, sinceMs: 1000, message: "Sync users delivers again." },
  ]);
});

test("a destination that is down again and again, but never for long, is not told", () => {
  const short = { report: { phase: "waiting" as const }, seconds: 19 };
  expect(told(Array.from({ length: 20 }, () => [short, { report: {}, seconds: 1 }]).flat())).toEqual([]);
});

test("between two tries of a sync that cannot start it is still waiting", () => {
  const waits = { report: { phase: "waiting" as const }, counts: null, seconds: 4 };
  const starts = { report: { phase: "starting" as const }, counts: null, seconds: 1 };
  expect(told(Array.from({ length: 8 }, () => [waits, starts]).flat())).toEqual(["+waiting@20"]);
});

describe("behind", () => {
  const lag = (ms: number, seconds: number) => ({ report: { lagMs: ms }, seconds });

  test("is told when it lasts, and is over at half of its limit", () => {
    expect(told([lag(10_001, 20), lag(5001, 60), lag(5000, 20)])).toEqual([
      `+behind@${S(STEADY_MS)}`,
      `-behind@${80 + S(CLEAR_MS)}`,
    ]);
  });

  test("does not flap around its limit", () => {
    const flapping = Array.from({ length: 60 }, (_, i) => lag(i % 2 === 0 ? 10_500 : 9500, 1));
    expect(told(flapping)).toEqual([]);
    expect(told([lag(12_000, 10), ...flapping])).toEqual([`+behind@${S(STEADY_MS)}`]);
  });

  test("is never told without a limit", () => {
    expect(told([lag(1e9, 100)], { ...LIMITS, maxLagMs: null })).toEqual([]);
  });

  test("is not over because nobody knows the lag: while there is no pipeline", () => {
    const unknown = { report: { phase: "waiting" as const, lagMs: 0 }, counts: null, seconds: 15 };
    expect(told([lag(12_000, 10), unknown])).toEqual([`+behind@${S(STEADY_MS)}`]);
  });
});

describe("failures", () => {
  const rows = (delivered: number, rejected: number, seconds = 10) => ({
    report: {},
    counts: { delivered, rejected },
    seconds,
  });

  test("are told over their share of the last minutes, and are over below half of it", () => {
    expect(told([rows(85, 15), rows(284, 15), rows(285, 15, 20)])).toEqual([
      `+failures@${S(STEADY_MS)}`,
      `-failures@${20 + S(CLEAR_MS)}`,
    ]);
  });

  test("are no reason to wake anybody while they are few", () => {
    expect(told([rows(0, 4, 60)])).toEqual([]);
  });

  test("are forgotten after a while", () => {
    expect(told([rows(0, 50, S(WINDOW_MS) + 30)])).toEqual([
      `+failures@${S(STEADY_MS)}`,
      `-failures@${S(WINDOW_MS) + 1 + S(CLEAR_MS)}`,
    ]);
  });

  test("are counted on when the pipeline begins anew", () => {
    expect(told([rows(100, 8, 4), rows(0, 0, 4), rows(0, 5, 20)])).toEqual([`+failures@${8 + S(STEADY_MS)}`]);
  });
});

test("a source that is silent is told, also while the destination is down; one that nothing is read from is not", () => {
  const silent = { report: { phase: "waiting" as const, sourceSilentMs: SILENT_MS + 1 }, seconds: 15 };
  expect(told([silent, WELL])).toEqual([`+silent@${S(STEADY_MS)}`, `-silent@${15 + S(CLEAR_MS)}`]);
  expect(told([{ report: { phase: "paused", sourceSilentMs: 1e6 }, counts: null, seconds: 60 }])).toEqual([
    "+paused@0",
  ]);
  expect(told([{ report: { sourceSilentMs: null }, seconds: 60 }])).toEqual([]);
  // After a pause of an hour the first report may come before the first byte.
  expect(told([{ report: { sourceSilentMs: 3_600_000 }, seconds: 2 }, WELL])).toEqual([]);
});

test("whatever is reported: begin and end of each take turns, and never closer than they may be", () => {
  const phase = fc.constantFrom<Phase>("starting", "backfilling", "streaming", "waiting", "paused", "stopped");
  const step = fc.record({
    phase,
    lagMs: fc.constantFrom(0, 4000, 6000, 11_000),
    sourceSilentMs: fc.constantFrom(null, 0, SILENT_MS + 1),
    delivered: fc.nat(50),
    rejected: fc.nat(10),
    seconds: fc.integer({ min: 1, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const state = new AlertState("users", LIMITS);
      const last = new Map<AlertEvent, { holds: boolean; atMs: number }>();
      let nowMs = 0;
      for (const { delivered, rejected, seconds, ...report } of steps) {
        const counts = report.phase === "paused" || report.phase === "stopped" ? null : { delivered, rejected };
        for (let i = 0; i < seconds; i += 1, nowMs += 1000) {
          for (const { event, holds, sinceMs, atMs } of state.see(reportWith(report), counts, nowMs)) {
            const before = last.get(event);
            expect(holds).toBe(before === undefined || !before.holds);
            if (before !== undefined && !holds) expect(atMs - before.atMs).toBeGreaterThanOrEqual(CLEAR_MS);
            expect(sinceMs).toBeLessThanOrEqual(atMs);
            last.set(event, { holds, atMs });
          }
        }
      }
      // Then all is well for long enough: whatever was told is over.
      for (let i = 0; i <= S(WINDOW_MS) + S(CLEAR_MS) + 1; i += 1, nowMs += 1000) {
        for (const { event, holds, atMs } of state.see(reportWith(), NONE, nowMs)) last.set(event, { holds, atMs });
      }
      for (const event of ALERT_EVENTS) expect(last.get(event)?.holds ?? false).toBe(false);
    }),
  );
});
