import { Rate } from "./rate.ts";

/**
 * How many requests a second may begin: what was configured, and less while the destination turns out to take less. A limit
 * that was found is half the rate that was too much; it grows with each request that is answered, and is given up when it has come to
 * four times that rate.
 */
export class RequestRate {
  readonly #most: number | null;
  /** Found, not configured; requests a second. */
  #found: number | null = null;
  /** The rate that was too much. */
  #tooMuch = 0;
  #loweredAtMs = 0;
  readonly #begun = new Rate();
  #tokens = 1;
  #tokensAtMs = Date.now();

  constructor(most: number | null) {
    this.#most = most;
  }

  /** The limit that was found, requests a second; null when there is none. */
  get found(): number | null {
    return this.#found;
  }

  /** Takes the right to begin one request; or returns the ms until there is one. */
  take(nowMs: number): number {
    const perSecond = this.#found ?? this.#most;
    if (perSecond !== null) {
      // A tenth of a second may be saved up: even spacing for slow APIs, small bursts for fast ones.
      const most = Math.max(1, perSecond / 10);
      this.#tokens = Math.min(most, this.#tokens + ((nowMs - this.#tokensAtMs) / 1000) * perSecond);
      this.#tokensAtMs = nowMs;
      if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / perSecond) * 1000);
      this.#tokens -= 1;
    }
    this.#begun.add(1, nowMs);
    return 0;
  }

  answered(): void {
    if (this.#found === null) return;
    // At this rate there are `found` answers a second, and together they add a fiftieth of the rate that was too much.
    const grown = this.#found + this.#tooMuch / 50 / this.#found;
    this.#found = grown < Math.min(this.#most ?? Infinity, 4 * this.#tooMuch) ? grown : null;
  }

  /** A request was too much, though no other was on its way with it. */
  overloaded(sentAtMs: number, nowMs: number): void {
    if (sentAtMs <= this.#loweredAtMs) return;
    this.#loweredAtMs = nowMs;
    this.#tooMuch = Math.min(this.#found ?? Infinity, this.#begun.perSecond(nowMs));
    this.#found = Math.max(LEAST_PER_SECOND, this.#tooMuch / 2);
    this.#tokens = 0;
    this.#tokensAtMs = nowMs;
  }
}

/**
 * Slower than this, waiting is for Retry-After and the backoff. A destination that refuses at random, whatever the rate, would
 * otherwise be halved down to a rate at which finding out that it takes more takes hours.
 */
const LEAST_PER_SECOND = 5;
