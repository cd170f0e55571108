import { uptime } from "node:os";
import { TailraceError } from "../../contracts/errors.ts";

/** How often the clock that runs on through a suspend is asked: reading it costs a system call or more. */
const UPTIME_EVERY_MS = 50;

/**
 * How long a holder may act, by its own clocks: `giveUpMs` after it *sent* the last heartbeat that was confirmed. The
 * database counts from when it *ran* the heartbeat, which is later, and waits longer; so whoever sleeps or is cut off has
 * stopped before another may begin.
 */
export class Term {
  readonly #sync: string;
  readonly #giveUpMs: number;
  readonly #lost = new AbortController();
  #sent = now();
  /** By the wall clock. */
  #readUptimeAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  constructor(sync: string, giveUpMs: number, sent: Moment) {
    this.#sync = sync;
    this.#giveUpMs = giveUpMs;
    this.#sent = sent;
    this.#watch(giveUpMs);
  }

  /** Looks at the clock first: one that slept finds out before it does anything, and not when a timer has its turn. */
  get lost(): AbortSignal {
    if (!this.#over && this.#leftMs() <= 0) this.#runOut();
    return this.#lost.signal;
  }

  get sync(): string {
    return this.#sync;
  }

  /** A heartbeat that was sent at `sent` is confirmed. */
  confirm(sent: Moment): void {
    if (sent.monotonicMs > this.#sent.monotonicMs) this.#sent = sent;
  }

  /** Another has it. */
  taken(): void {
    this.#end(`another process has taken over ${this.#sync}`);
  }

  /** The lease was given back, or is over: no more timers. */
  close(): void {
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #runOut(): void {
    this.#end(
      `no heartbeat of ${this.#sync} reached the state's database for ${this.#giveUpMs / 1000} s; another process may take over`,
    );
  }

  #end(message: string): void {
    this.close();
    if (!this.#lost.signal.aborted) this.#lost.abort(new TailraceError("state.lease_lost", message));
  }

  #leftMs(): number {
    const monotonicMs = performance.now();
    let gone = monotonicMs - this.#sent.monotonicMs;
    // The monotonic clock may stand still while the machine is suspended; the time since it was booted does not. When that is to be
    // asked again, the wall clock says: it shows a suspend, and whoever sets it does no harm here.
    const wallMs = Date.now();
    if (Math.abs(wallMs - this.#readUptimeAtMs) >= UPTIME_EVERY_MS) {
      this.#readUptimeAtMs = wallMs;
      gone = Math.max(gone, uptime() * 1000 - this.#sent.uptimeMs);
    }
    return this.#giveUpMs - gone;
  }

  #watch(afterMs: number): void {
    this.#timer = setTimeout(() => {
      const leftMs = this.#leftMs();
      if (leftMs <= 0) this.#runOut();
      else this.#watch(leftMs);
    }, afterMs);
    this.#timer.unref();
  }
}

/** A moment on both clocks that nobody can set. */
export interface Moment {
  readonly monotonicMs: number;
  readonly uptimeMs: number;
}

export function now(): Moment {
  return { monotonicMs: performance.now(), uptimeMs: uptime() * 1000 };
}
