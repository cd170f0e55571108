/**
 * How many requests at a time a destination takes: halved when it throttles or does not answer in time; one more for each round of
 * requests that it answers, and not oftener than once in a second of sending. Between 1 and what was configured.
 */
export class Concurrency {
  readonly most: number;
  #allowed: number;
  #changedAtMs = 0;

  constructor(most: number) {
    this.most = most;
    this.#allowed = most;
  }

  get allowed(): number {
    return this.#allowed;
  }

  /** A request was answered while `inFlight` were on their way, itself included. */
  answered(inFlight: number, sentAtMs: number, nowMs: number): void {
    // What is not used up says nothing of whether more would be taken; nor does what left before the last change, or right after it.
    if (inFlight < this.#allowed || sentAtMs < this.#changedAtMs + GROWS_AFTER_MS || this.#allowed === this.most)
      return;
    this.#changedAtMs = nowMs;
    this.#allowed += 1;
  }

  /** Sending begins again after a pause. */
  resumed(nowMs: number): void {
    this.#changedAtMs = nowMs;
  }

  /** A request was too much. Those that were on their way together are one sign of it: only the first of them counts. */
  overloaded(sentAtMs: number, nowMs: number): void {
    if (sentAtMs <= this.#changedAtMs) return;
    this.#changedAtMs = nowMs;
    this.#allowed = Math.max(1, this.#allowed >> 1);
  }
}

const GROWS_AFTER_MS = 1000;
