import { CATALOGUE, TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Source, SourceCheckpoint } from "../../contracts/source.ts";
import type { Checkpoint, Counts, Lease, Phase, StatusReport, SyncState } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import { DeleteGuard } from "../../engine/delivery/delete-guard.ts";
import { keepsIndex, sentIdentity } from "../../engine/delivery/sent-keeper.ts";
import { tellsOnce } from "../../engine/delivery/told-keeper.ts";
import { Mappings } from "../../engine/capture/mappings.ts";
import { TableCapture, type TableCaptureOptions } from "../../engine/capture/table-capture.ts";
import type { Observer } from "../../engine/observer.ts";
import { parseProgress } from "../../engine/progress/stored-progress.ts";
import { Pipeline, type PipelineOptions } from "../../engine/pipeline.ts";
import type { Mapping } from "../../engine/mapping/compile.ts";
import { RowCapture, type RowCaptureOptions } from "../../engine/rows/row-capture.ts";
import type { Timetable } from "../../engine/rows/timetable.ts";
import type { OpenDestination } from "./destinations.ts";
import type { FailureKeeper } from "./failure-keeper.ts";
import { openRowIndex } from "./open-row-index.ts";
import { asksToResend, backfillOf, knownRows, readingAtStart } from "./resend.ts";
import { refuseUnsupported, targetOf } from "./target.ts";

/** Hears of each report as it is made; `counts`: rows since the pipeline was opened, null without one. Returns at once. */
export type ReportListener = (sync: Sync, report: StatusReport, counts: Counts | null) => void;

/** One sync of a source, from process start to end: its lease, its state, and its pipeline while it runs. */
export class Member implements AsyncDisposable {
  readonly sync: Sync;
  readonly lease: Lease;
  readonly failures: FailureKeeper;
  readonly #observer: Observer;
  readonly #log: Log;
  readonly #deletes: DeleteGuard;
  readonly #timetable: Timetable;
  readonly #onReport: ReportListener | undefined;
  readonly #madeAtMs = Date.now();
  state: SyncState;
  pipeline: Pipeline | null = null;
  /** Why there is no pipeline, where that passes by itself. */
  waitsFor: TailraceError | null = null;
  /** Its table is not there (any more), or has no such key: the source is opened without it. */
  modelIsBroken = false;
  /** What its own place in the log holds; null: it has none. */
  detached: StatusReport["detached"] = null;
  #backfillLoggedAtMs = Date.now();
  #closing: Promise<void> | null = null;
  readonly #resyncsAtMs: number[] = [];

  constructor(options: {
    readonly sync: Sync;
    readonly lease: Lease;
    readonly state: SyncState;
    readonly failures: FailureKeeper;
    readonly observer: Observer;
    readonly log: Log;
    /** When its model is compared, where it is. */
    readonly timetable: Timetable;
    readonly onReport?: ReportListener | undefined;
  }) {
    this.sync = options.sync;
    this.lease = options.lease;
    this.failures = options.failures;
    this.#observer = options.observer;
    this.#deletes = new DeleteGuard(options.sync.maxDeletes);
    this.#timetable = options.timetable;
    this.state = options.state;
    this.#log = options.log;
    this.#onReport = options.onReport;
  }

  async reload(): Promise<void> {
    this.state = (await this.lease.load()) ?? EMPTY;
  }

  /** What a `resume` makes of the removals that were held: approved, where that was said. */
  async heldDeletes(approve: boolean): Promise<SyncState["heldDeletes"]> {
    await this.reload();
    const held = this.state.heldDeletes;
    return held === null || !approve ? held : { ...held, approved: true };
  }

  /** Whether it should be running. */
  get wanted(): boolean {
    return !this.state.paused && this.state.stopped === null && !this.lease.lost.aborted;
  }

  /** Its place in the log is known to be gone, or means nothing: the source need not keep anything for it. */
  get lostItsPlace(): boolean {
    return (
      this.modelIsBroken || (this.state.stopped !== null && CATALOGUE[this.state.stopped.code].consequence === "gap")
    );
  }

  /** What the source must keep for it: nothing, for one that never ran. */
  get stored(): SourceCheckpoint | null {
    return this.pipeline === null
      ? this.state.checkpoint
      : { position: this.pipeline.storedPosition, incarnation: this.state.checkpoint!.incarnation };
  }

  /** From now on it is `source`'s place that keeps the log for it. */
  async carryOver(source: Source, { incarnation }: SourceCheckpoint): Promise<void> {
    const { checkpoint } = this.state;
    if (checkpoint === null || this.lostItsPlace || source.keeps(checkpoint)) return;
    await this.lease.commit({ checkpoint: { ...checkpoint, incarnation } });
    await this.reload();
  }

  /** It cannot go on without a person; the other syncs do. After a gap it resyncs instead, where it was told to. */
  async stop(error: TailraceError): Promise<void> {
    const { code, message, hint, consequence } = error;
    if (code === "delivery.mapping_changed" && !asksToResend(this.sync)) {
      this.#log.warn("other rows are sent from now on; beginning again with them", { code, error: message });
      return;
    }
    const resyncs = consequence === "gap" && this.sync.onGap === "resync" && this.#mayResync();
    try {
      if (resyncs) {
        this.#log.warn("the log cannot be read on without a gap; resyncing, as `on_gap` says", {
          code,
          error: message,
        });
        // What is on its way belongs to the place in the log that is given up.
        await this.close(GAP_GRACE_MS);
        await this.lease.commit({ reset: true, checkpoint: null, stopped: null });
      } else {
        this.#log.error("the sync stopped", { code, error: message, hint });
        await this.lease.commit({ stopped: { code, message } });
      }
      await this.reload();
    } catch (failure) {
      this.#log.error("the stop could not be stored", { error: TailraceError.from(failure).message });
    }
  }

  /** Not again and again: each resync sends every row. */
  #mayResync(): boolean {
    const nowMs = Date.now();
    while (this.#resyncsAtMs.length > 0 && nowMs - this.#resyncsAtMs[0]! > RESYNCS_WITHIN_MS) this.#resyncsAtMs.shift();
    if (this.#resyncsAtMs.length >= MOST_RESYNCS) return false;
    this.#resyncsAtMs.push(nowMs);
    return true;
  }

  /** Opens writer and pipeline, going on from `start` where there is no checkpoint yet. Throws; then it has no pipeline. */
  async open(options: {
    readonly source: Source;
    readonly start: SourceCheckpoint;
    readonly to: OpenDestination;
    readonly budgetBytes: number;
    readonly readsAlone: boolean;
    /** It runs only to catch up. */
    readonly once: boolean;
    readonly signal: AbortSignal;
    readonly onStored: () => void;
    readonly onStopped: (error: TailraceError) => void;
  }): Promise<void> {
    const { source, start, signal } = options;
    const { destination, gate } = options.to;
    const { sync } = this;
    await this.failures.expire(null);
    const mappings = new Mappings(sync, this.#log);
    const relation = await source.describe(sync.model, signal);
    const mapping = mappings.for(relation);
    const capture = await source.capture(sync.model, signal);
    const oldColumns = capture.kind === "log" ? mapping.oldColumns : [];
    refuseUnsupported(sync, destination.capabilities, oldColumns, relation.oldRows);
    const writer = await destination.open(targetOf(sync, mapping), signal, {
      text: this.state.writerMemory,
      keep: (text) => this.lease.commit({ writerMemory: text }),
    });
    try {
      let checkpoint: Checkpoint | null = this.state.checkpoint;
      const theirs = parseProgress(await writer.transactional?.load(signal), this.state.generation);
      // The destination stored its progress with the rows; ours may be a little behind it.
      if (theirs !== null && (checkpoint === null || theirs.position >= checkpoint.position))
        checkpoint = { ...theirs, backfill: backfillOf(theirs, checkpoint) };
      // Under another name it begins anew: nothing is told yet, whatever is left of an earlier backfill.
      if (checkpoint === null && capture.kind === "log" && tellsOnce(sync))
        await this.lease.openSentIndex("nothing told");
      checkpoint = {
        position: checkpoint?.position ?? start.position,
        incarnation: start.incarnation,
        backfill:
          checkpoint === null
            ? sync.backfill || capture.kind !== "log"
              ? { generation: this.state.generation, after: null, rows: 0 }
              : null
            : // Another query than before: all its rows are compared with what was sent.
              (checkpoint.backfill ??
              (capture.kind === "log" || (source.sameModel?.(sync.model, checkpoint) ?? true)
                ? null
                : { generation: this.state.generation, after: null, rows: 0, removing: true })),
      };
      if (capture.kind !== "log" && this.state.checkpoint !== null) {
        const known = await knownRows(sync, source, () => this.lease.knownRows(), signal);
        const { generation } = this.state;
        checkpoint = { ...checkpoint, backfill: readingAtStart(sync, mapping, known, checkpoint, generation) };
      }
      await this.lease.commit({ checkpoint });
      await this.reload();
      const captures =
        capture.kind === "log"
          ? await this.#captureTable(mapping, destination.capabilities.partialUpdates, checkpoint.backfill !== null)
          : await this.#captureRows(capture, mapping, source, options.once, signal);
      const { limits } = destination;
      this.pipeline = new Pipeline({
        sync,
        source,
        mappings,
        writer,
        gate,
        lease: this.lease,
        checkpoint,
        generation: this.state.generation,
        capture: captures,
        limits: {
          rows: Math.min(sync.batch.rows ?? limits.batchRows, limits.batchRows),
          bytes: Math.min(sync.batch.bytes ?? limits.batchBytes, limits.batchBytes),
          ageMs: sync.batch.ageMs ?? limits.batchAgeMs,
          attempts: sync.attempts,
        },
        budgetBytes: options.budgetBytes,
        readsAlone: options.readsAlone,
        failures: { now: await this.failures.count(), most: this.failures.most },
        observer: this.#observer,
        log: this.#log,
        onStored: options.onStored,
        onStopped: options.onStopped,
      });
    } catch (error) {
      await writer[Symbol.asyncDispose]();
      throw error;
    }
    this.waitsFor = null;
  }

  async #captureTable(
    mapping: Mapping,
    partialUpdates: boolean,
    backfills: boolean,
  ): Promise<PipelineOptions["capture"]> {
    const { relation } = mapping;
    const { sync, lease } = this;
    const removals = keepsIndex(sync) ? await this.#openRemovals(sentIdentity(sync, mapping)) : null;
    const told = backfills && tellsOnce(sync) ? await lease.openSentIndex("told") : null;
    return (host) => new TableCapture(host, { relation, partialUpdates, removals, told });
  }

  async #openRemovals(identity: string): Promise<TableCaptureOptions["removals"]> {
    const sent = await this.lease.openSentIndex(identity);
    const sentBefore = this.state.counts.delivered > 0;
    if (sent.isNew && sentBefore)
      this.#log.warn(
        "there is no index yet of what was sent (it is from before there was one, or was told apart or delivered otherwise): it begins now, and records whose rows went before that are not removed by a resync",
      );
    return { sent, guard: this.#deletes, held: this.state.heldDeletes };
  }

  /** What is read needs its index in every mode: it says what is new. */
  async #captureRows(
    capture: RowCaptureOptions["capture"],
    mapping: Mapping,
    source: Source,
    once: boolean,
    signal: AbortSignal,
  ): Promise<PipelineOptions["capture"]> {
    const { sync } = this;
    const { lease } = this;
    const index = await openRowIndex({ sync, source, lease, mapping, capture, log: this.#log }, signal);
    const options: RowCaptureOptions = {
      capture,
      index,
      keyColumns: mapping.relation.key.length,
      guard: keepsIndex(sync) ? this.#deletes : null,
      held: this.state.heldDeletes,
      timetable: this.#timetable,
      // Who waits for a run to end wants what the log does not tell, too.
      compares: once && (capture.kind === "diff" || sync.model.diff.schedule !== null),
    };
    return (host) => new RowCapture(host, options);
  }

  /** Ends the pipeline: lets what is on its way end, stores where it came to. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs).finally(() => {
      this.#closing = null;
    });
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const pipeline = this.pipeline;
    if (pipeline === null) return;
    try {
      await pipeline.drain(graceMs);
    } catch (error) {
      this.#log.error(
        "the last checkpoint could not be stored; what was sent since the one before will be sent again",
        {
          error: TailraceError.from(error).message,
        },
      );
    } finally {
      await pipeline[Symbol.asyncDispose]();
      this.pipeline = null;
    }
  }

  /** The line of `status`. */
  async report(sourceSilentMs: number | null, phase: Phase | null): Promise<void> {
    if (this.lease.lost.aborted) return;
    this.failures.expire(this.pipeline).catch((error: unknown) => {
      this.#log.warn("old failures could not be dropped; it is tried again", {
        error: TailraceError.from(error).message,
      });
    });
    const { stopped, paused } = this.state;
    const running = this.pipeline?.report(sourceSilentMs);
    const why = stopped ?? this.waitsFor;
    if (running?.backfill) this.#logBackfill(running.backfill);
    const report: StatusReport = {
      phase: stopped
        ? "stopped"
        : paused
          ? "paused"
          : (phase ?? running?.phase ?? (this.waitsFor ? "waiting" : "starting")),
      reason: why === null ? (running?.reason ?? null) : `${why.message} (${why.code})`,
      position: running?.position ?? this.state.checkpoint?.position ?? null,
      lagMs: running?.lagMs ?? 0,
      queuedRows: running?.queuedRows ?? 0,
      queuedBytes: running?.queuedBytes ?? 0,
      perSecond: running?.perSecond ?? 0,
      latency: running?.latency ?? null,
      backfill: running?.backfill ?? null,
      sourceSilentMs: this.#silentMs(sourceSilentMs),
      detached: this.detached,
    };
    this.#onReport?.(this.sync, report, this.pipeline?.counts ?? null);
    await this.lease.report(report);
  }

  /** Nothing is a silence where nothing is asked of the source: without a pipeline, unless the source is why there is none. */
  #silentMs(sourceSilentMs: number | null): number | null {
    if (this.pipeline !== null) return sourceSilentMs;
    if (!this.waitsFor?.code.startsWith("source.")) return null;
    return sourceSilentMs ?? Date.now() - this.#madeAtMs;
  }

  #logBackfill({ rows, estimate, perSecond }: NonNullable<StatusReport["backfill"]>): void {
    if (Date.now() - this.#backfillLoggedAtMs < BACKFILL_LOG_MS) return;
    this.#backfillLoggedAtMs = Date.now();
    const left = estimate === null ? null : Math.max(0, estimate - rows);
    this.#log.info("sending the rows that exist", {
      rows,
      of: estimate,
      perSecond: Math.round(perSecond),
      secondsLeft: left === null || perSecond < 1 ? null : Math.round(left / perSecond),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
    await this.lease[Symbol.asyncDispose]();
  }
}

const BACKFILL_LOG_MS = 5_000;
const GAP_GRACE_MS = 5_000;
const MOST_RESYNCS = 3;
const RESYNCS_WITHIN_MS = 3_600_000;

/** The state of a sync that never ran. */
export const EMPTY: SyncState = {
  checkpoint: null,
  paused: false,
  stopped: null,
  generation: 0,
  counts: { delivered: 0, rejected: 0 },
  heldDeletes: null,
  writerMemory: null,
};
