/**
 * How long others have waited for one: what was waited counts, and is forgotten at a fifth of the speed of time. Who holds
 * the others up for more than a fifth of the time exhausts it sooner or later; who does so once for a moment does not.
 */
export class Patience<T extends object> {
  readonly #waited = new WeakMap<T, { ms: number; atMs: number }>();

  /** How much longer, in ms, until it is exhausted. */
  leftMs(who: T, nowMs: number): number {
    return LIMIT_MS - this.#remembered(who, nowMs);
  }

  /** Others waited for `ms` until now. True: for too long. */
  waited(who: T, ms: number, nowMs: number): boolean {
    const total = this.#remembered(who, nowMs - ms) + ms;
    this.#waited.set(who, { ms: total, atMs: nowMs });
    return total >= LIMIT_MS;
  }

  #remembered(who: T, nowMs: number): number {
    const past = this.#waited.get(who);
    return past === undefined ? 0 : Math.max(0, past.ms - Math.max(0, nowMs - past.atMs) * FORGOTTEN);
  }
}

const LIMIT_MS = 500;
const FORGOTTEN = 0.2;
