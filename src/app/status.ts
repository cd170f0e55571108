import type { StateStore, StatusReport, StoredStatus } from "../contracts/state.ts";
import type { Config } from "./config/load.ts";

/** What `status` says of one sync. */
export interface SyncStatus {
  readonly sync: string;
  readonly phase: StatusReport["phase"] | "not running";
  /** Why it waits, is paused or stopped, or does not run; null when all is well. */
  readonly reason: string | null;
  /** null while nobody runs it. */
  readonly lagMs: number | null;
  readonly perSecond: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly queuedRows: number | null;
  readonly delivered: number;
  /** Dead letters that wait for a retry or a drop. */
  readonly failures: number;
  readonly backfill: BackfillStatus | null;
  /** It runs and did not stop; a pause was asked for, and is well. */
  readonly ok: boolean;
}

export interface BackfillStatus {
  readonly rows: number;
  readonly estimate: number | null;
  /** Never 100 before the end: the estimate is one. */
  readonly percent: number | null;
  readonly etaMs: number | null;
}

export const STALE_MS = 10_000;

/** One for each sync of the configuration, in its order. */
export async function readStatus(config: Config, store: StateStore, nowMs: number): Promise<readonly SyncStatus[]> {
  const stored = new Map((await store.statuses()).map((status): [string, StoredStatus] => [status.sync, status]));
  return config.syncs.map(({ name }) => statusOf(name, stored.get(name) ?? null, nowMs));
}

export function statusOf(sync: string, stored: StoredStatus | null, nowMs: number): SyncStatus {
  const state = stored?.state ?? null;
  const fresh = stored?.reportedAtMs !== null && stored !== null && nowMs - stored.reportedAtMs <= STALE_MS;
  const report = stored?.running === true && fresh ? stored.report : null;
  const stopped = state?.stopped ?? null;
  const phase = stopped !== null ? "stopped" : (report?.phase ?? "not running");
  return {
    sync,
    phase,
    reason: stopped !== null ? `${stopped.message} (${stopped.code})` : (report?.reason ?? reasonOf(stored, report)),
    lagMs: report?.lagMs ?? null,
    perSecond: report?.perSecond ?? null,
    p50Ms: report?.latency?.p50Ms ?? null,
    p99Ms: report?.latency?.p99Ms ?? null,
    queuedRows: report?.queuedRows ?? null,
    delivered: state?.counts.delivered ?? 0,
    failures: stored?.failures ?? 0,
    backfill: backfillOf(stored, report),
    ok: phase !== "stopped" && phase !== "not running",
  };
}

function reasonOf(stored: StoredStatus | null, report: StatusReport | null): string | null {
  if (report !== null) return report.phase === "paused" ? "`tailrace resume` lets it go on" : null;
  if (stored?.state.paused === true) return "paused";
  if (stored === null || (stored.state.checkpoint === null && stored.reportedAtMs === null)) return "never ran";
  if (stored.running) return "a process holds it, but says nothing";
  return null;
}

function backfillOf(stored: StoredStatus | null, report: StatusReport | null): BackfillStatus | null {
  if (report !== null) {
    if (report.backfill === null) return null;
    const { rows, estimate, perSecond } = report.backfill;
    const left = estimate === null ? null : Math.max(0, estimate - rows);
    return {
      rows,
      estimate,
      percent: percentOf(rows, estimate),
      etaMs: left === null || perSecond <= 0 ? null : Math.round((left / perSecond) * 1000),
    };
  }
  const progress = stored?.state.checkpoint?.backfill ?? null;
  return progress === null ? null : { rows: progress.rows, estimate: null, percent: null, etaMs: null };
}

function percentOf(rows: number, estimate: number | null): number | null {
  if (estimate === null || estimate <= 0) return null;
  return Math.min(99, Math.floor((rows / estimate) * 100));
}
