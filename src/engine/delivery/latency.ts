/**
 * How long deliveries take, in buckets of 2 % between 0.1 ms and 30 minutes; the last two half-minutes are kept, so that
 * what is shown is recent.
 */
export class LatencyWindow {
  #current = new Uint32Array(BUCKETS);
  #previous = new Uint32Array(BUCKETS);
  #turnedAtMs = 0;

  add(ms: number, nowMs: number, count = 1): void {
    if (nowMs - this.#turnedAtMs > HALF_MS) {
      [this.#previous, this.#current] = [this.#current, this.#previous.fill(0)];
      if (nowMs - this.#turnedAtMs > 2 * HALF_MS) this.#previous.fill(0);
      this.#turnedAtMs = nowMs;
    }
    const bucket = Math.ceil(Math.log(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) / LOG_STEP);
    this.#current[Math.min(bucket, BUCKETS - 1)]! += count;
  }

  /** The value below which a share of the deliveries lies (0.5: the median), in ms; null when there are none. */
  quantile(share: number): number | null {
    let total = 0;
    for (let i = 0; i < BUCKETS; i += 1) total += this.#current[i]! + this.#previous[i]!;
    if (total === 0) return null;
    let left = Math.ceil(total * share);
    for (let i = 0; i < BUCKETS; i += 1) {
      left -= this.#current[i]! + this.#previous[i]!;
      if (left <= 0) return SMALLEST_MS * Math.exp(i * LOG_STEP);
    }
    return null;
  }
}

const SMALLEST_MS = 0.1;
const LOG_STEP = Math.log(1.02);
const BUCKETS = Math.ceil(Math.log((30 * 60 * 1000) / SMALLEST_MS) / LOG_STEP) + 1;
const HALF_MS = 30_000;
