/** From one opening of the pipelines to their end. */
export class Round {
  readonly #abort = new AbortController();
  readonly ended: Promise<void>;
  result: "again" | "end" | null = null;
  /** What was asked before its pipelines were there has been taken. */
  requestsTaken = false;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor() {
    this.ended = new Promise((resolve) =>
      this.#abort.signal.addEventListener("abort", () => resolve(), { once: true }),
    );
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The first call decides. */
  end(result: "again" | "end"): void {
    this.result ??= result;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#abort.abort();
  }

  /** Ends, or does something, after a while, if the round lasts that long. */
  after(ms: number, what: "again" | "end" | (() => void)): void {
    if (this.#abort.signal.aborted) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (typeof what === "string") this.end(what);
      else what();
    }, ms);
    this.#timers.add(timer);
  }
}
