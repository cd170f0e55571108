import type { Jobs } from "./jobs.ts";
import { asSourceError } from "./errors.ts";
import { CLOCK_SQL } from "./statements.ts";

/** BigQuery's time, in µs since the epoch. It is asked by a query that reads nothing and costs nothing. */
export class Clock {
  readonly #jobs: Jobs;
  #last: { readonly us: bigint; readonly atMs: number } | null = null;

  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  async now(location: string | undefined, signal: AbortSignal): Promise<bigint> {
    try {
      const us = BigInt(await this.#jobs.value(CLOCK_SQL, signal, location));
      this.#last = { us, atMs: performance.now() };
      return us;
    } catch (error) {
      signal.throwIfAborted();
      throw asSourceError(error, "BigQuery's clock");
    }
  }

  /** Not after what it is: counted on from when it was last asked; null: it never was. */
  get atLeast(): bigint | null {
    if (this.#last === null) return null;
    return this.#last.us + BigInt(Math.floor((performance.now() - this.#last.atMs) * 1000));
  }
}
