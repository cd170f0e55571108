import { expect, test } from "vitest";
import type { SyncStatus } from "../../app/status.ts";
import { jsonLine } from "../json.ts";
import { painter } from "./paint.ts";
import { renderStatus } from "./status.ts";

const running: SyncStatus = {
  sync: "users_to_crm",
  phase: "streaming",
  reason: null,
  lagMs: 12,
  maxLagMs: null,
  sourceSilentMs: 40,
  detached: null,
  perSecond: 312,
  p50Ms: 4.2,
  p99Ms: 18,
  queuedRows: 3,
  delivered: 1_204_331,
  failures: 2,
  backfill: null,
  signals: { process: true, stream: true, progress: true },
  ok: true,
};
const filling: SyncStatus = {
  ...running,
  sync: "orders",
  phase: "backfilling",
  failures: 0,
  backfill: { rows: 450_000, estimate: 1_000_000, percent: 45, etaMs: 200_000 },
};
const dead: SyncStatus = {
  ...running,
  sync: "carts",
  phase: "not running",
  reason: "never ran",
  lagMs: null,
  sourceSilentMs: null,
  detached: null,
  perSecond: null,
  p50Ms: null,
  p99Ms: null,
  queuedRows: null,
  delivered: 0,
  failures: 0,
  signals: { process: false, stream: null, progress: null },
  ok: false,
};

test("a line a sync, aligned", () => {
  expect(renderStatus([running, filling, dead], painter(false))).toMatchInlineSnapshot(`
    "SYNC          PHASE          LAG   RATE     P50    P99  QUEUED  DELIVERED  FAILED
    users_to_crm  streaming    12 ms  312/s  4.2 ms  18 ms       3  1,204,331       2
    orders        backfilling  12 ms  312/s  4.2 ms  18 ms       3  1,204,331       0  backfill 45 %, 450,000 of about 1,000,000 rows, about 3 min 20 s left
    carts         not running      –      –       –      –       –          0       0  never ran
    "
  `);
});

test("a silent source is said", () => {
  const silent = {
    ...running,
    sourceSilentMs: 31_000,
    signals: { process: true, stream: false, progress: true },
    ok: false,
  };
  expect(renderStatus([silent], painter(false))).toContain("nothing heard from the source for 31 s");
});

test("colours change nothing but colours", () => {
  const plain = renderStatus([running, filling, dead], painter(false));
  const colored = renderStatus([running, filling, dead], painter(true));
  expect(colored).toContain("\u001B[31mnot running\u001B[0m");
  // oxlint-disable-next-line no-control-regex
  expect(colored.replaceAll(/\u001B\[\d+m/g, "")).toBe(plain);
});

test("JSON keys are snake_case, values are untouched", () => {
  expect(jsonLine({ lagMs: 1, syncs: [{ p50Ms: null, at: "aB" }] })).toBe(
    '{"lag_ms":1,"syncs":[{"p50_ms":null,"at":"aB"}]}\n',
  );
});
