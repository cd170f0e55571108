import type { ChangeBatch, Position } from "../contracts/change.ts";
import type { Writer } from "../contracts/destination.ts";
import { TailraceError } from "../contracts/errors.ts";
import { onLastLook } from "../contracts/last-look.ts";
import type { Log } from "../contracts/log.ts";
import type { Source } from "../contracts/source.ts";
import type { Checkpoint, Counts, DeadLetter, HeldDeletes, Lease, Phase, StatusReport } from "../contracts/state.ts";
import type { Sync } from "../contracts/sync.ts";
import type { CaptureHost, Capturing } from "./capture/capturing.ts";
import type { Mappings } from "./capture/mappings.ts";
import { tooManyDeletes } from "./delivery/delete-guard.ts";
import { deadLetterOf } from "./delivery/dead-letter.ts";
import type { Entry } from "./delivery/entry.ts";
import type { Gate } from "./delivery/gate.ts";
import type { TooMany } from "./delivery/keeper.ts";
import { KeyedQueue } from "./delivery/keyed-queue.ts";
import { Lane, type LaneLimits, type LaneOwner } from "./delivery/lane.ts";
import { LatencyWindow } from "./delivery/latency.ts";
import { Rate } from "./delivery/rate.ts";
import type { Observer } from "./observer.ts";
import type { Item } from "./progress/ack-tracker.ts";
import { Checkpointer } from "./progress/checkpointer.ts";
import { printProgress } from "./progress/stored-progress.ts";

export interface PipelineOptions {
  readonly sync: Sync;
  readonly source: Source;
  readonly mappings: Mappings;
  readonly writer: Writer;
  readonly gate: Gate;
  readonly lease: Lease;
  /** Where it goes on; stored already. */
  readonly checkpoint: Checkpoint;
  /** How many resyncs there have been. */
  readonly generation: number;
  /** How the model's rows become known. */
  readonly capture: (host: CaptureHost) => Capturing;
  readonly limits: LaneLimits;
  /** How much may wait in memory, in bytes. */
  readonly budgetBytes: number;
  /**
   * No other sync reads what this one reads. Then nothing is gained by reading further than the next few batches: what
   * waits long in memory costs the garbage collector more than its reading did, and the source holds it anyway.
   */
  readonly readsAlone: boolean;
  /** Dead letters that the sync has, and how many it may have before it stops. */
  readonly failures: { readonly now: number; readonly most: number };
  readonly observer: Observer;
  readonly log: Log;
  /** A checkpoint is durable: the source may hear of it. */
  readonly onStored: () => void;
  /**
   * The sync cannot go on. The pipeline has stopped sending; its owner disposes it. `state.lease_lost`: the destination's progress is
   * another than it was; a new pipeline goes on from there, if the sync is still ours.
   */
  readonly onStopped: (error: TailraceError) => void;
}

/** One sync at work: the source's batches go in, deliveries come out, and the checkpoint follows. */
export class Pipeline implements LaneOwner, AsyncDisposable {
  readonly sync: Sync;
  readonly #options: PipelineOptions;
  readonly #queue: KeyedQueue;
  readonly #capture: Capturing;
  readonly #lane: Lane;
  readonly #checkpointer: Checkpointer;
  readonly #latency = new LatencyWindow();
  readonly #rate = new Rate();
  readonly #backfillRate = new Rate();
  readonly #abort = new AbortController();
  readonly #log: Log;
  #counts: Counts = { delivered: 0, rejected: 0 };
  #failures: number;
  /** Ids of dead letters that were kept by this pipeline: not more than a sync may have. */
  readonly #letters = new Set<string>();
  /** With so many the sync stops; one that was begun again with too many stops at the next one. */
  readonly #tooManyFailures: number;
  #stoppedBy: TailraceError | null = null;
  #draining = false;
  #wanted: (() => void)[] = [];
  readonly #forgetLook: () => void;

  constructor(options: PipelineOptions) {
    const { sync, checkpoint } = options;
    this.sync = sync;
    this.#options = options;
    this.#log = options.log;
    this.#failures = options.failures.now;
    this.#tooManyFailures = Math.max(options.failures.most, options.failures.now + 1);
    const sendsState = sync.mode === "upsert" || sync.mode === "update" || sync.mode === "mirror";
    this.#queue = new KeyedQueue({
      merges: sendsState,
      // Events that are written are written for good: only a prefix may be, or those behind a hole would be written again.
      inOrder: !sendsState && options.writer.transactional !== undefined,
    });
    this.#capture = options.capture({
      sync,
      source: options.source,
      mappings: options.mappings,
      queue: this.#queue,
      checkpoint,
      generation: options.generation,
      observer: options.observer,
      log: options.log,
      budgetBytes: options.budgetBytes,
      wake: () => options.gate.wake(),
      moved: () => this.#checkpointer.moved(),
      resolved: (id) => {
        this.#failures -= 1;
        this.#letters.delete(id);
        this.#checkpointer.resolve(id);
      },
      deadLetter: (letter) => {
        this.#keep(letter);
        this.room();
      },
      hold: (by, tooMany) => this.#hold(by, tooMany),
      forgetHeld: () => options.lease.commit({ heldDeletes: null }),
    });
    const signal = AbortSignal.any([this.#abort.signal, options.lease.lost]);
    this.#forgetLook = onLastLook(() => this.maySend());
    this.#checkpointer = new Checkpointer({
      lease: options.lease,
      stored: checkpoint,
      current: () => this.#checkpointWith([]),
      onStored: options.onStored,
      log: options.log,
    });
    this.#lane = new Lane({
      sync: sync.name,
      queue: this.#queue,
      gate: options.gate,
      writer: options.writer,
      limits: options.limits,
      owner: this,
      observer: options.observer,
      signal,
      log: options.log,
    });
  }

  /** Begins to send. {@link capture} runs beside and must be watched by the caller. */
  start(): void {
    this.#lane.start();
  }

  /** See {@link Capturing.run}. */
  async capture(until: AbortSignal): Promise<void> {
    try {
      await this.#capture.run(AbortSignal.any([until, this.#signal]));
    } catch (error) {
      // Broken off by the pipeline's own end: that is no failure of the source.
      if (!this.#signal.aborted && !this.#draining) throw error;
    }
  }

  /** Keeps durably how many removals are too many, so that a person can approve of just those; throws what the sync stops with. */
  async #hold(by: HeldDeletes["by"], { rows, of }: TooMany): Promise<never> {
    // A live removal is asked about by who sends.
    if (by !== "live") await this.#lane.halt();
    let until = 0n;
    let waiting = 0;
    if (by === "live") {
      for (const { transaction, op, half, state, next } of this.#queue.unfinished()) {
        if (transaction === null) continue;
        if (transaction.committedAt > until) until = transaction.committedAt;
        // What waits behind a removal brings its record back.
        if (op === this.sync.onDelete.kind && half === "" && state !== "sending" && next === null) waiting += 1;
      }
    }
    const { lease, generation } = this.#options;
    const held: HeldDeletes = {
      by,
      rows: Math.min(rows + waiting, of),
      of,
      generation,
      until: by === "live" ? String(until) : null,
      approved: false,
    };
    await lease.commit({ heldDeletes: held });
    throw tooManyDeletes(held, this.sync.maxDeletes);
  }

  /** See {@link Capturing.caughtUp}. */
  caughtUp(): void {
    this.#capture.caughtUp?.();
  }

  /** See {@link Capturing.retry}. */
  retry(letters: readonly DeadLetter[]): Promise<void> {
    return this.#capture.retry(letters, this.#signal);
  }

  /** So many dead letters are not there any more. */
  failuresDropped(count: number): void {
    this.#failures -= count;
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#abort.signal, this.#options.lease.lost]);
  }

  /** What the source has sent. Never blocks; ask {@link room} before the next. */
  accept(batch: ChangeBatch): void {
    if (this.#stoppedBy !== null || this.#abort.signal.aborted) return;
    try {
      this.#capture.accept(batch);
    } catch (error) {
      this.#lane.halt().catch(() => {});
      this.stopped(TailraceError.from(error));
      return;
    }
    if (batch.changes.length > 0) this.#options.gate.wake();
    this.#checkpointer.moved();
  }

  get full(): boolean {
    if (this.#stoppedBy !== null || this.#abort.signal.aborted) return false;
    const { budgetBytes, readsAlone, limits } = this.#options;
    const waiting = this.#queue.bytes + this.#capture.waitingBytes;
    if (waiting > budgetBytes || this.#checkpointer.failing) return true;
    // Two batches, so that one is there while the other leaves.
    return readsAlone && this.#queue.readyLive >= Math.max(READY_ROWS, 2 * limits.rows);
  }

  /** Resolves when there is room for another batch; null when there is now. */
  whenRoom(): Promise<void> | null {
    return this.full ? new Promise((resolve) => this.#wanted.push(resolve)) : null;
  }

  /** Everything at or before this is durable. */
  get storedPosition(): Position {
    return this.#checkpointer.storedPosition;
  }

  /** Whether everything accepted so far is delivered or dead-lettered, the backfill included. */
  get settled(): boolean {
    return this.#queue.entries === 0 && this.#capture.settled;
  }

  /** Rows since it was opened. */
  get counts(): Counts {
    return this.#counts;
  }

  get stoppedBy(): TailraceError | null {
    return this.#stoppedBy;
  }

  /** Stops sending, lets what is on its way end (for `graceMs` at the most), and stores where it came to. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    this.#capture.stop();
    const timer = setTimeout(() => this.#abort.abort(), graceMs);
    try {
      await this.#lane.drain();
    } finally {
      clearTimeout(timer);
    }
    if (this.#options.lease.lost.aborted) return;
    await this.#capture.keeper?.settle();
    await this.#checkpointer.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#checkpointer.close();
    this.#abort.abort();
    await this.#lane.halt();
    this.#forgetLook();
    this.#options.gate.detach(this.#lane);
    await this.#options.writer[Symbol.asyncDispose]();
    for (const resolve of this.#wanted.splice(0)) resolve();
  }

  // LaneOwner

  fill(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]> {
    return this.#capture.fill(entries, signal);
  }

  announce(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]> | null {
    return this.#capture.keeper?.announce(entries, signal) ?? null;
  }

  maySend(): boolean {
    // A process that slept learns it here, and not when a timer has its turn: the lease looks when it is asked.
    return !this.#options.lease.lost.aborted;
  }

  delivered(entries: readonly Entry[]): void {
    this.#capture.keeper?.accepted(entries);
    const now = Date.now();
    let last: object | null = null;
    let ms = 0;
    let live = 0;
    for (const { transaction } of entries) {
      if (transaction === null) continue;
      live += 1;
      // Rows of one transaction were committed at one moment.
      if (transaction !== last) {
        last = transaction;
        ms = now - Number(transaction.committedAt) / 1000;
      }
      this.#latency.add(ms, now);
    }
    this.#rate.add(entries.length, now);
    if (live < entries.length) this.#backfillRate.add(entries.length - live, now);
    this.#counts = { ...this.#counts, delivered: this.#counts.delivered + entries.length };
    this.#checkpointer.delivered(entries.length);
  }

  rejected(entry: Entry, error: TailraceError): void {
    this.#log.warn("a row was rejected and kept as a dead letter", { code: error.code, error: error.message });
    this.#capture.keeper?.rejected(entry);
    this.#keep(deadLetterOf(this.sync, entry, error));
  }

  /** One that was kept before, and is offered again and rejected again, is the same one. */
  #keep(letter: DeadLetter): void {
    if (!this.#letters.has(letter.id)) this.#failures += 1;
    this.#letters.add(letter.id);
    this.#counts = { ...this.#counts, rejected: this.#counts.rejected + 1 };
    this.#checkpointer.deadLetter(letter);
  }

  progressWith(entries: readonly Entry[]): string {
    return printProgress(this.#checkpointWith(itemsOf(entries)), this.#options.generation);
  }

  async deadLettersDurable(): Promise<void> {
    if (this.#checkpointer.hasDeadLetters) await this.#checkpointer.flush();
  }

  stopped(error: TailraceError): void {
    if (this.#stoppedBy !== null) return;
    this.#stoppedBy = error;
    this.room();
    this.#options.onStopped(error);
  }

  room(): void {
    if (this.#failures >= this.#tooManyFailures && this.#stoppedBy === null) {
      // What is on its way may fail, too, and is kept all the same.
      this.#lane.halt().catch(() => {});
      this.stopped(
        new TailraceError(
          "delivery.too_many_failures",
          `the sync has as many failures as \`failures.most\` allows (${this.#options.failures.most})`,
        ),
      );
    }
    if (this.#wanted.length > 0 && !this.full) for (const resolve of this.#wanted.splice(0)) resolve();
  }

  #checkpointWith(items: readonly Item[]): Checkpoint {
    return { ...this.#capture.reached(items), incarnation: this.#options.checkpoint.incarnation };
  }

  report(sourceSilentMs: number | null): Omit<StatusReport, "detached"> {
    const now = Date.now();
    const closedBy = this.#options.gate.closedBy;
    const { backfill } = this.#capture;
    const phase: Phase = this.#stoppedBy ? "stopped" : closedBy ? "waiting" : backfill ? "backfilling" : "streaming";
    const reason = this.#stoppedBy ?? closedBy;
    const { slowedTo } = this.#options.gate;
    const p50Ms = this.#latency.quantile(0.5);
    const p99Ms = this.#latency.quantile(0.99);
    const oldest = this.#queue.oldestLive();
    // A row that was read, and hurried because a change waits behind it, has no time of its own.
    const queuedSinceMs =
      oldest === null
        ? now
        : oldest.transaction === null
          ? oldest.queuedAtMs
          : Number(oldest.transaction.committedAt / 1000n);
    const { waitingSince } = this.#capture;
    const sinceMs = Math.min(queuedSinceMs, waitingSince === null ? now : Number(waitingSince / 1000n));
    return {
      phase,
      reason:
        [
          ...(reason === null ? [] : [`${reason.message} (${reason.code})`]),
          ...(slowedTo === null ? [] : [`slowed down for the destination: ${slowedTo}`]),
        ].join("; ") || null,
      position: this.storedPosition,
      lagMs: Math.max(0, now - sinceMs),
      queuedRows: this.#queue.entries,
      queuedBytes: this.#queue.bytes,
      perSecond: this.#rate.perSecond(now),
      latency: p50Ms === null || p99Ms === null ? null : { p50Ms, p99Ms },
      backfill: backfill === null ? null : { ...backfill, perSecond: this.#backfillRate.perSecond(now) },
      sourceSilentMs,
    };
  }
}

/** Small batches leave fast: this many rows are always worth having. */
const READY_ROWS = 1000;

function itemsOf(entries: readonly Entry[]): Item[] {
  return entries.flatMap((entry) => [entry, ...(entry.also ?? [])]);
}
