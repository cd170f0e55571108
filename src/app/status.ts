import type { StateStore, StatusReport, StoredStatus } from "../contracts/state.ts";
import type { Sync } from "../contracts/sync.ts";
import { SILENT_MS } from "./alerts/alert-state.ts";
import type { Config } from "./config/load.ts";

/** What `status` says of one sync. */
export interface SyncStatus {
  readonly sync: string;
  readonly phase: StatusReport["phase"] | "not running";
  /** Why it waits, is paused or stopped, or does not run; null when all is well. */
  readonly reason: string | null;
  /** null while nobody runs it. */
  readonly lagMs: number | null;
  /** The configuration's; null: none. */
  readonly maxLagMs: number | null;
  /** null while nothing is read from the source for it. */
  readonly sourceSilentMs: number | null;
  /** Reads from a place of its own in the log, which the source keeps so much for; null: shares the others'. */
  readonly detached: StatusReport["detached"];
  readonly perSecond: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly queuedRows: number | null;
  readonly delivered: number;
  /** Dead letters that wait for a retry or a drop. */
  readonly failures: number;
  readonly backfill: BackfillStatus | null;
  readonly signals: Signals;
  /** No signal says no; a pause was asked for, and is well. */
  readonly ok: boolean;
}

/** Three questions that a health check must not mix up; null: it cannot be told, or does not matter now. */
export interface Signals {
  /** A living process runs it, and said so lately. */
  readonly process: boolean;
  /** The source is heard: a byte came within 30 s. null while nothing is read from it. */
  readonly stream: boolean | null;
  /** It goes on: not stopped, and its lag within `max_lag`. null while it is paused or nobody runs it. */
  readonly progress: boolean | null;
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
  return config.syncs.map((sync) => statusOf(sync, stored.get(sync.name) ?? null, nowMs));
}

export function statusOf(
  { name, maxLagMs }: Pick<Sync, "name" | "maxLagMs">,
  stored: StoredStatus | null,
  nowMs: number,
): SyncStatus {
  const state = stored?.state ?? null;
  const fresh = stored?.reportedAtMs !== null && stored !== null && nowMs - stored.reportedAtMs <= STALE_MS;
  const report = stored?.running === true && fresh ? stored.report : null;
  const stopped = state?.stopped ?? null;
  const phase = stopped !== null ? "stopped" : (report?.phase ?? "not running");
  const silentMs = silenceOf(report, stored, nowMs);
  const signals: Signals = {
    process: report !== null,
    stream: silentMs === null ? null : silentMs <= SILENT_MS,
    progress: progressOf(phase, report, maxLagMs),
  };
  return {
    sync: name,
    phase,
    reason: stopped !== null ? `${stopped.message} (${stopped.code})` : (report?.reason ?? reasonOf(stored, report)),
    lagMs: report?.lagMs ?? null,
    maxLagMs,
    sourceSilentMs: silentMs,
    detached: report?.detached ?? null,
    perSecond: report?.perSecond ?? null,
    p50Ms: report?.latency?.p50Ms ?? null,
    p99Ms: report?.latency?.p99Ms ?? null,
    queuedRows: report?.queuedRows ?? null,
    delivered: state?.counts.delivered ?? 0,
    failures: stored?.failures ?? 0,
    backfill: backfillOf(stored, report),
    signals,
    ok: signals.process && signals.stream !== false && signals.progress !== false,
  };
}

/** Up to now, and not only up to when it was reported. */
function silenceOf(report: StatusReport | null, stored: StoredStatus | null, nowMs: number): number | null {
  if (report === null || report.sourceSilentMs === null) return null;
  if (report.phase === "stopped" || report.phase === "paused") return null;
  return report.sourceSilentMs + Math.max(0, nowMs - (stored?.reportedAtMs ?? nowMs));
}

function progressOf(phase: SyncStatus["phase"], report: StatusReport | null, maxLagMs: number | null): boolean | null {
  if (phase === "stopped") return false;
  if (report === null || phase === "paused") return null;
  return maxLagMs === null || report.lagMs <= maxLagMs;
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
