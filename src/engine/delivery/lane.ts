import { setTimeout as delay } from "node:timers/promises";
import type { BatchGroup, Delivery, DeliveryOp, Outcome, Pace, Writer } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import type { Log } from "../../contracts/log.ts";
import { type Observer, UNOBSERVED } from "../observer.ts";
import { Alarm } from "./alarm.ts";
import { askedMs, backoffMs } from "./backoff.ts";
import { toDelivery } from "./delivery.ts";
import type { Entry } from "./entry.ts";
import type { Gate, GateUser } from "./gate.ts";
import type { KeyedQueue } from "./keyed-queue.ts";

export interface LaneLimits {
  readonly rows: number;
  readonly bytes: number;
  /** How long a batch that is not full waits for more, in ms. */
  readonly ageMs: number;
  /** Attempts of one row, while others are taken, before it becomes a dead letter. */
  readonly attempts: number;
}

/** What a lane tells its sync, and asks of it. */
export interface LaneOwner {
  /** Completes entries that lack columns from the source's present rows; see {@link Entry.fill}. Entries that are not needed any more are returned. */
  fill(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]>;
  /** Resolves when these may be sent, with those that need not be; null: all may now. Rejects with what keeps them from it. */
  announce(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]> | null;
  /** The entries are delivered, and about to be finished. */
  delivered(entries: readonly Entry[]): void;
  /** A dead letter is to be kept; the entry is about to be finished. */
  rejected(entry: Entry, error: TailraceError): void;
  /** Whether the sync is still ours, at this moment; if not, the signal is aborted. Asked before everything that is sent. */
  maySend(): boolean;
  /** What a transactional writer is to store with these entries. */
  progressWith(entries: readonly Entry[]): string;
  /** Resolves when every dead letter so far is durable. */
  deadLettersDurable(): Promise<void>;
  /** Nothing more can be delivered until a person has done something; for `state.lease_lost`: until it is opened anew. */
  stopped(error: TailraceError): void;
  /** There is room in the queue again. */
  room(): void;
}

interface Again {
  readonly entries: readonly Entry[];
  readonly dueMs: number;
}

/**
 * Takes batches of one sync's queue through its writer, and turns what becomes of them into finished entries: a
 * delivered or dead-lettered entry is finished; all others are sent again, with the same ids, before anything newer of their keys.
 */
export class Lane implements GateUser {
  readonly #sync: string;
  readonly #queue: KeyedQueue;
  readonly #gate: Gate;
  readonly #writer: Writer;
  readonly #limits: LaneLimits;
  readonly #owner: LaneOwner;
  readonly #observer: Observer;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  /** Batches to be sent again, the earliest first. Their entries count as being sent. */
  #again: Again[] = [];
  #tookAgain = false;
  #sending = 0;
  #halted = true;
  #draining = false;
  readonly #alarm = new Alarm(() => this.#gate.wake());
  readonly #pace: Pace = {
    request: (signal) => this.#gate.another(signal),
    wait: (ms, signal) => delay(ms, undefined, { signal }),
  };
  #idle: (() => void)[] = [];

  constructor(options: {
    readonly sync: string;
    readonly queue: KeyedQueue;
    readonly gate: Gate;
    readonly writer: Writer;
    readonly limits: LaneLimits;
    readonly owner: LaneOwner;
    readonly observer?: Observer | undefined;
    /** Aborts what is on its way; nothing is sent after that. */
    readonly signal: AbortSignal;
    readonly log: Log;
  }) {
    this.#sync = options.sync;
    this.#queue = options.queue;
    this.#gate = options.gate;
    this.#writer = options.writer;
    this.#limits = options.limits;
    this.#owner = options.owner;
    this.#observer = options.observer ?? UNOBSERVED;
    this.#signal = options.signal;
    this.#log = options.log;
    this.#gate.attach(this);
  }

  /** What is stored with a batch says that everything before it is there: nothing may be sent past what failed. */
  get #inOrder(): boolean {
    return this.#writer.transactional !== undefined;
  }

  get sending(): number {
    return this.#sending;
  }

  /** Entries that failed and wait for their next attempt. */
  get retrying(): number {
    return this.#again.reduce((sum, { entries }) => sum + entries.length, 0);
  }

  start(): void {
    this.#halted = false;
    this.#gate.wake();
  }

  /**
   * Sends only what lies before something that was sent already, so that what is finished becomes a prefix and nothing is sent twice after a
   * restart; then halts. While the destination takes nothing, there is no use in waiting for that; a short pause that it asked for is waited for.
   */
  async drain(): Promise<void> {
    const patientUntilMs = Date.now() + DRAIN_PATIENCE_MS;
    this.#queue.close();
    this.#draining = true;
    this.#gate.wake();
    while (!this.#halted && !this.#signal.aborted && (this.#sending > 0 || this.#hasHoles(patientUntilMs))) {
      await new Promise<void>((resolve) => {
        this.#idle.push(resolve);
        this.#signal.addEventListener("abort", () => resolve(), { once: true });
        if (this.#sending === 0) setTimeout(resolve, DRAIN_POLL_MS);
      });
    }
    await this.halt();
  }

  #hasHoles(patientUntilMs: number): boolean {
    const pauses = Date.now() < patientUntilMs && this.#gate.pausesUntil(patientUntilMs);
    if (this.#gate.closedBy !== null && !pauses) return false;
    return this.#again.length > 0 || this.#queue.readyLive + this.#queue.readyBackfill > 0;
  }

  /** No new request from now on; resolves when those on their way are settled. */
  async halt(): Promise<void> {
    this.#halted = true;
    this.#alarm.off();
    if (this.#sending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  ready(): "live" | "backfill" | null {
    if (this.#halted || this.#signal.aborted) return null;
    if (this.#inOrder && this.#sending > 0) return null;
    const now = Date.now();
    const again = this.#again[0];
    if (again !== undefined && again.dueMs > now && this.#inOrder) {
      this.#alarm.set(again.dueMs - now);
      return null;
    }
    if (again !== undefined && again.dueMs <= now)
      return again.entries.some((entry) => entry.live) ? "live" : "backfill";
    const queue = this.#queue;
    const rows = queue.readyLive + queue.readyBackfill;
    let waitMs = again === undefined ? Infinity : again.dueMs - now;
    if (rows > 0) {
      const ageMs = this.#draining ? 0 : this.#limits.ageMs;
      const youngMs = ageMs === 0 ? 0 : (queue.oldestReadyMs() ?? now) + ageMs - now;
      if (youngMs <= 0 || rows >= this.#limits.rows || queue.readyBytes >= this.#limits.bytes) {
        return queue.readyLive > 0 ? "live" : "backfill";
      }
      waitMs = Math.min(waitMs, youngMs);
    }
    if (waitMs < Infinity) this.#alarm.set(waitMs);
    return null;
  }

  async sendOne(): Promise<void> {
    this.#sending += 1;
    try {
      const entries = this.#take();
      const ready = this.#oneGroup(await this.#complete(entries));
      const announced = ready.length > 0 ? await this.#announced(ready) : ready;
      if (announced.length > 0) await this.#send(announced);
    } catch (error) {
      // Nothing that is expected ends here; the entries stay unfinished, so that nothing moves past them.
      this.#stop(TailraceError.from(error));
    } finally {
      this.#sending -= 1;
      this.#owner.room();
      if (this.#sending === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** What failed before goes first, but takes turns with what is new: a row that breaks every request must not be all that a failing destination is asked. */
  #take(): readonly Entry[] {
    const first = this.#again[0];
    const due = first !== undefined && first.dueMs <= Date.now();
    const fresh = this.#queue.readyLive + this.#queue.readyBackfill > 0;
    if (due && (this.#inOrder || !this.#tookAgain || !fresh)) {
      this.#tookAgain = true;
      this.#again.shift();
      return first.entries;
    }
    this.#tookAgain = false;
    return this.#queue.take(this.#limits.rows, this.#limits.bytes);
  }

  /** Those that may share the first one's batch. The others are next. */
  #oneGroup(entries: readonly Entry[]): readonly Entry[] {
    const writer = this.#writer;
    if (writer.group === undefined || entries.length === 0) return entries;
    const groupOf = (entry: Entry): BatchGroup => writer.group!(entry.op as DeliveryOp);
    const group = groupOf(entries[0]!);
    const [same, others] = partition(entries, (entry) => groupOf(entry) === group);
    const rest = [...same.splice(group.rows), ...others];
    if (rest.length > 0) this.#sendAgain(rest, 0);
    return same;
  }

  /** Drops barriers, and fills in what must be read at the source. */
  async #complete(entries: readonly Entry[]): Promise<readonly Entry[]> {
    if (!entries.some((entry) => entry.fill || entry.op === "barrier")) return entries;
    const real = entries.filter((entry) => entry.op !== "barrier");
    for (const entry of entries) if (entry.op === "barrier") this.#queue.finish(entry);
    const lacking = real.filter((entry) => entry.fill);
    if (lacking.length === 0) return real;
    try {
      return this.#without(real, await this.#owner.fill(lacking, this.#signal));
    } catch (error) {
      if (this.#signal.aborted) return [];
      const failure = TailraceError.from(error, "source.unreachable");
      if (waits(failure)) this.#stop(failure);
      else this.#sendAgain(real, backoffMs(1, 1000));
      return [];
    }
  }

  /** Finishes the needless ones, and gives the others. */
  #without(entries: readonly Entry[], needless: readonly Entry[]): readonly Entry[] {
    if (needless.length === 0) return entries;
    const finished = new Set(needless);
    this.#observer.needless(finished);
    for (const entry of finished) this.#queue.finish(entry);
    return entries.filter((entry) => !finished.has(entry));
  }

  /** Those that may be sent now, and need to be. */
  async #announced(entries: readonly Entry[]): Promise<readonly Entry[]> {
    const announcing = this.#owner.announce(entries, this.#signal);
    if (announcing === null) return entries;
    try {
      return this.#without(entries, await announcing);
    } catch (error) {
      if (this.#signal.aborted) return [];
      const failure = TailraceError.from(error, "state.unavailable");
      if (waits(failure)) this.#stop(failure);
      this.#sendAgain(entries, backoffMs(1, 1000));
      return [];
    }
  }

  async #send(entries: readonly Entry[]): Promise<void> {
    const sending: Entry[] = [];
    const deliveries: Delivery[] = [];
    for (const entry of entries) {
      entry.attempts += 1;
      try {
        deliveries.push(toDelivery(this.#sync, entry));
        sending.push(entry);
      } catch (error) {
        this.#reject(entry, TailraceError.from(error, "delivery.mapping"));
      }
    }
    if (sending.length === 0) return;
    this.#observer.sent(sending, deliveries);
    const sentAtMs = Date.now();
    let outcomes: readonly Outcome[];
    try {
      outcomes = await this.#write(sending, deliveries);
      failpoint("answer-read");
    } catch (error) {
      this.#failed(sending, TailraceError.from(error), sentAtMs);
      return;
    }
    if (outcomes.length !== deliveries.length) {
      // An answer that does not account for every row accounts for none.
      this.#failed(
        sending,
        new TailraceError("destination.unknown", "The answer does not account for every row."),
        sentAtMs,
      );
      return;
    }
    this.#gate.succeeded(sentAtMs);
    this.#settle(sending, outcomes);
  }

  async #write(entries: readonly Entry[], deliveries: readonly Delivery[]): Promise<readonly Outcome[]> {
    const transactional = this.#writer.transactional;
    // The progress speaks for dead letters too, so these must be durable before it is.
    if (transactional !== undefined) await this.#owner.deadLettersDurable();
    if (!this.#owner.maySend()) throw new TailraceError("state.lease_lost", "the sync is not ours any more");
    if (transactional === undefined) return this.#writer.write(deliveries, this.#signal, this.#pace);
    return transactional.writeWith(deliveries, this.#owner.progressWith(entries), this.#signal);
  }

  #settle(entries: readonly Entry[], outcomes: readonly Outcome[]): void {
    let delivered: readonly Entry[] = entries;
    if (outcomes.some(({ status }) => status !== "delivered")) {
      delivered = entries.filter((_, place) => outcomes[place]!.status === "delivered");
      let waitMs = 0;
      const again: Entry[] = [];
      for (const [place, entry] of entries.entries()) {
        const outcome = outcomes[place]!;
        if (outcome.status === "rejected") this.#reject(entry, outcome.error);
        else if (outcome.status === "retry") {
          entry.faults += 1;
          this.#observer.failed([entry], outcome.error);
          if (entry.faults >= this.#limits.attempts) this.#reject(entry, exhausted(entry, outcome.error));
          else {
            again.push(entry);
            waitMs = Math.max(waitMs, askedMs(outcome.afterMs, backoffMs(entry.attempts)));
          }
        }
      }
      if (again.length > 0) this.#sendAgain(again, waitMs);
    }
    this.#observer.delivered(delivered);
    this.#owner.delivered(delivered);
    for (const entry of delivered) this.#queue.finish(entry);
  }

  /** The fate of a whole batch is unknown, or the same. */
  #failed(entries: readonly Entry[], error: TailraceError, sentAtMs: number): void {
    if (this.#signal.aborted) return;
    if (error.consequence === "row-permanent" && entries.length === 1) return this.#reject(entries[0]!, error);
    this.#observer.failed(entries, error);
    if (error.consequence === "row-permanent") return this.#halve(entries);
    // The destination has been written by somebody else: what is here may be delivered already, and must be found out anew.
    if (waits(error) || error.code === "state.lease_lost") {
      this.#stop(error);
      this.#sendAgain(entries, 0);
      return;
    }
    const previousSuccessMs = this.#gate.lastSuccessMs;
    const waitMs = this.#gate.failed(error, sentAtMs);
    this.#log.warn("a request failed; it will be sent again", {
      code: error.code,
      rows: entries.length,
      attempt: entries[0]!.attempts,
      waitMs: Math.round(waitMs),
      error: error.message,
    });
    // A row that fails again and again while others are taken is at fault itself. While nothing is taken, the destination is.
    const othersTaken = previousSuccessMs > previousAttemptMs(entries);
    const counts = othersTaken && (error.consequence === "transient" || error.consequence === "unknown-outcome");
    if (counts) for (const entry of entries) entry.faults += 1;
    const ownFault = counts && entries.some((entry) => entry.faults >= this.#limits.attempts);
    for (const entry of entries) entry.triedAtMs = sentAtMs;
    if (!ownFault) this.#sendAgain(entries, waitMs);
    else if (entries.length === 1) this.#reject(entries[0]!, exhausted(entries[0]!, error));
    else this.#halve(entries);
  }

  #halve(entries: readonly Entry[]): void {
    const middle = entries.length >> 1;
    const halves = [entries.slice(0, middle), entries.slice(middle)];
    for (const half of this.#inOrder ? halves.toReversed() : halves) this.#sendAgain(half, 0);
  }

  #reject(entry: Entry, error: TailraceError): void {
    this.#observer.rejected(entry, error);
    this.#owner.rejected(entry, error);
    this.#queue.finish(entry);
  }

  #sendAgain(entries: readonly Entry[], waitMs: number): void {
    const again: Again = { entries, dueMs: Date.now() + waitMs };
    const place = this.#inOrder ? 0 : this.#again.findIndex(({ dueMs }) => dueMs > again.dueMs);
    if (place === -1) this.#again.push(again);
    else this.#again.splice(place, 0, again);
    this.#gate.wake();
  }

  #stop(error: TailraceError): void {
    this.#halted = true;
    this.#owner.stopped(error);
  }
}

function partition<T>(items: readonly T[], holds: (item: T) => boolean): [held: T[], others: T[]] {
  const parts: [T[], T[]] = [[], []];
  for (const item of items) parts[holds(item) ? 0 : 1].push(item);
  return parts;
}

const DRAIN_POLL_MS = 50;
/** For how long a drain waits for a destination that throttles. */
const DRAIN_PATIENCE_MS = 5_000;

/** When these were last tried; for a first attempt, when they were queued. */
function previousAttemptMs(entries: readonly Entry[]): number {
  return Math.max(...entries.map(({ triedAtMs, queuedAtMs }) => triedAtMs || queuedAtMs));
}

/** Whether the sync must wait for a person. */
function waits(error: TailraceError): boolean {
  return error.consequence === "config" || error.consequence === "internal" || error.consequence === "gap";
}

function exhausted(entry: Entry, last: TailraceError): TailraceError {
  return new TailraceError(
    "delivery.exhausted",
    `Not taken after ${entry.attempts} attempts; the last answer: ${last.message}`,
    {
      cause: last,
      answer: last.answer,
    },
  );
}
