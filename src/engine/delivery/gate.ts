import { setTimeout as delay } from "node:timers/promises";
import type { TailraceError } from "../../contracts/errors.ts";
import { Alarm } from "./alarm.ts";
import { askedMs, backoffMs } from "./backoff.ts";
import { Concurrency } from "./concurrency.ts";
import { RequestRate } from "./request-rate.ts";

/** One sync's side of a gate. */
export interface GateUser {
  /** What could leave now; null: nothing. */
  ready(): "live" | "backfill" | null;
  /** Takes one batch and sends it. Resolves when its fate is settled; never rejects. */
  sendOne(): Promise<void>;
}

export interface GateLimits {
  /** Requests in flight at a time, at the most. */
  readonly concurrency: number;
  /** Requests a second, at the most; null: unlimited. */
  readonly perSecond: number | null;
}

/**
 * The way to one destination, shared by every sync that delivers there: how many requests at a time, how many a
 * second, and whether any at all while the destination is down, throttles, or refuses the credentials. Both numbers follow what
 * the destination takes, up to the limits. Live changes pass before backfills; syncs take turns.
 */
export class Gate {
  readonly #concurrency: Concurrency;
  readonly #rate: RequestRate;
  readonly #users: GateUser[] = [];
  #turn = 0;
  #inFlight = 0;
  #pumping = false;
  readonly #alarm = new Alarm(() => this.wake());
  #closedUntilMs = 0;
  /** The part of that which the destination has asked for, and which no success shortens. */
  #pausedUntilMs = 0;
  #closedBy: TailraceError | null = null;
  /** Failures of whole requests since the last success. */
  #failures = 0;
  #lastFailureMs = 0;
  #lastSuccessMs = 0;

  constructor(limits: GateLimits) {
    this.#concurrency = new Concurrency(limits.concurrency);
    this.#rate = new RequestRate(limits.perSecond);
  }

  /** Why nothing leaves now; null when the gate is open. */
  get closedBy(): TailraceError | null {
    return this.#closedBy;
  }

  /** Whether it is closed because the destination asked for a pause, and one that is over by then, ms since the epoch. */
  pausesUntil(atMs: number): boolean {
    return this.#closedBy?.consequence === "throttled" && this.#closedUntilMs <= atMs;
  }

  /** What the destination gets less of than it might, because it takes no more; null: nothing. */
  get slowedTo(): string | null {
    const { allowed, most } = this.#concurrency;
    const parts = allowed < most ? [`${allowed} of ${most} requests at a time`] : [];
    const { found } = this.#rate;
    if (found !== null) parts.push(`${found.toFixed(found < 10 ? 1 : 0)} requests a second`);
    return parts.length === 0 ? null : parts.join(", ");
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** When a request last succeeded, ms since the epoch. A row that fails while others succeed is at fault itself. */
  get lastSuccessMs(): number {
    return this.#lastSuccessMs;
  }

  attach(user: GateUser): void {
    this.#users.push(user);
  }

  detach(user: GateUser): void {
    const place = this.#users.indexOf(user);
    if (place !== -1) this.#users.splice(place, 1);
  }

  /** Something may be ready: looks at the end of this turn of the event loop, so that what comes together leaves together. */
  wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** A request, sent at `sentAtMs`, was answered for its rows (even if some were rejected). */
  succeeded(sentAtMs: number): void {
    const now = Date.now();
    this.#lastSuccessMs = now;
    // It was on its way already when the destination asked for a pause, and says nothing about that.
    if (now < this.#pausedUntilMs) return;
    if (this.#closedBy !== null) this.#concurrency.resumed(now);
    else this.#concurrency.answered(this.#inFlight, sentAtMs, now);
    this.#rate.answered();
    this.#failures = 0;
    this.#closedUntilMs = 0;
    this.#closedBy = null;
  }

  /** A whole request, sent at `sentAtMs`, failed. Returns the ms to wait before it is tried again. */
  failed(error: TailraceError, sentAtMs: number): number {
    const now = Date.now();
    // Requests that were on their way together fail together: that is one failure of the destination.
    if (sentAtMs >= this.#lastFailureMs) this.#failures += 1;
    this.#lastFailureMs = now;
    this.#adapt(error, sentAtMs, now);
    let waitMs = askedMs(error.afterMs, backoffMs(this.#failures));
    switch (error.consequence) {
      case "auth":
        // A refused password that is tried again and again looks like an attack, and may lock the account.
        waitMs = askedMs(error.afterMs, backoffMs(this.#failures, 15_000, 300_000));
        this.#pausedUntilMs = Math.max(this.#pausedUntilMs, now + waitMs);
        this.#close(now + waitMs, error);
        break;
      case "throttled":
        this.#pausedUntilMs = Math.max(this.#pausedUntilMs, now + waitMs);
        this.#close(now + waitMs, error);
        break;
      default:
        // One failure may be one request's; several in a row are the destination's.
        if (this.#failures >= FAILURES_THAT_CLOSE) this.#close(now + waitMs, error);
    }
    return waitMs;
  }

  #adapt(error: TailraceError, sentAtMs: number, now: number): void {
    const throttled = error.consequence === "throttled";
    if (this.#closedBy !== null || !(throttled || error.code === "destination.timeout")) return;
    // Who throttles one request at a time counts them by the second.
    const counts = this.#concurrency.allowed === 1 || this.#rate.found !== null;
    if (throttled && counts) this.#rate.overloaded(sentAtMs, now);
    else this.#concurrency.overloaded(sentAtMs, now);
  }

  #close(untilMs: number, error: TailraceError): void {
    this.#closedUntilMs = Math.max(this.#closedUntilMs, untilMs);
    this.#closedBy = error;
  }

  #pump(): void {
    for (;;) {
      const now = Date.now();
      // While the destination is failing, one request at a time finds out whether it is back.
      const allowed = this.#closedBy === null ? this.#concurrency.allowed : 1;
      if (this.#inFlight >= allowed) return;
      if (now < this.#closedUntilMs) return this.#alarm.set(this.#closedUntilMs - now);
      const user = this.#next();
      if (user === null) return;
      const waitMs = this.#rate.take(now);
      if (waitMs > 0) return this.#alarm.set(waitMs);
      this.#inFlight += 1;
      void user.sendOne().finally(() => {
        this.#inFlight -= 1;
        this.wake();
      });
    }
  }

  /** The sync whose turn it is. */
  #next(): GateUser | null {
    const count = this.#users.length;
    let fallback: number | null = null;
    for (let i = 0; i < count; i += 1) {
      const place = (this.#turn + i) % count;
      const ready = this.#users[place]!.ready();
      if (ready === "live") {
        this.#turn = place + 1;
        return this.#users[place]!;
      }
      if (ready === "backfill") fallback ??= place;
    }
    if (fallback === null) return null;
    this.#turn = fallback + 1;
    return this.#users[fallback]!;
  }

  /** Resolves when a write that is on its way may begin one request more, after a pause that was asked for; rejects when `signal` is aborted. */
  async another(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const now = Date.now();
      const pausedMs = this.#pausedUntilMs - now;
      const waitMs = pausedMs > 0 ? pausedMs : this.#rate.take(now);
      if (waitMs === 0) return;
      await delay(waitMs, undefined, { signal });
    }
  }

  /** Stops looking. Requests in flight go on. */
  close(): void {
    this.#alarm.off();
    this.#users.length = 0;
  }
}

const FAILURES_THAT_CLOSE = 5;
