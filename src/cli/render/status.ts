import type { BackfillStatus, SyncStatus } from "../../app/status.ts";
import type { Paint, Style } from "./paint.ts";
import { printable } from "./printable.ts";
import { table } from "./table.ts";
import { bytes, count, duration, rate } from "./units.ts";

const PHASE_STYLES: Readonly<Record<SyncStatus["phase"], Style>> = {
  starting: "cyan",
  backfilling: "cyan",
  streaming: "green",
  waiting: "yellow",
  paused: "yellow",
  standby: "cyan",
  stopped: "red",
  "not running": "red",
};

const COLUMNS = [
  { title: "SYNC" },
  { title: "PHASE" },
  { title: "LAG", align: "right" },
  { title: "RATE", align: "right" },
  { title: "P50", align: "right" },
  { title: "P99", align: "right" },
  { title: "QUEUED", align: "right" },
  { title: "DELIVERED", align: "right" },
  { title: "FAILED", align: "right" },
  { title: "" },
] as const;

/** A line a sync. */
export function renderStatus(syncs: readonly SyncStatus[], paint: Paint): string {
  const rows = syncs.map((status) => [
    status.sync,
    paint(PHASE_STYLES[status.phase], status.phase),
    lag(status, paint),
    orDash(status.perSecond, rate),
    orDash(status.p50Ms, duration),
    orDash(status.p99Ms, duration),
    orDash(status.queuedRows, count),
    count(status.delivered),
    status.failures > 0 ? paint("red", count(status.failures)) : "0",
    [
      status.backfill === null ? null : backfill(status.backfill),
      status.reason === null ? null : printable(status.reason),
      status.detached === null ? null : `detached: ${kept(status.detached)}`,
      status.signals.stream === false
        ? paint("red", `nothing heard from the source for ${duration(status.sourceSilentMs ?? 0)}`)
        : null,
    ]
      .filter((note) => note !== null)
      .join("; "),
  ]);
  return table(COLUMNS, rows);
}

function kept({ retainedBytes }: NonNullable<SyncStatus["detached"]>): string {
  return `the source keeps ${retainedBytes === null ? "log" : `${bytes(retainedBytes)} of log`} for it alone`;
}

function lag({ lagMs, maxLagMs }: SyncStatus, paint: Paint): string {
  const text = orDash(lagMs, duration);
  return lagMs !== null && maxLagMs !== null && lagMs > maxLagMs ? paint("red", text) : text;
}

function orDash(value: number | null, render: (value: number) => string): string {
  return value === null ? "–" : render(value);
}

function backfill({ rows, estimate, percent, etaMs }: BackfillStatus): string {
  const of = estimate === null ? count(rows) : `${count(rows)} of about ${count(estimate)}`;
  const left = etaMs === null ? "" : `, about ${duration(Math.max(1000, etaMs))} left`;
  return `backfill ${percent === null ? "" : `${percent} %, `}${of} rows${left}`;
}
