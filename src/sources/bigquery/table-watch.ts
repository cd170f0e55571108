import type { Clock } from "./clock.ts";
import { stateOf, type TableMetadata } from "./tables.ts";

/** A table is read this often though nothing says that it was modified: should its metadata be late, a change is late by no more. */
export const SWEEP_MS = 600_000;

export interface WatchOptions {
  readonly metadata: (signal: AbortSignal) => Promise<TableMetadata>;
  readonly clock: Clock;
  readonly safetyLagMs: number;
}

/**
 * Up to which instant a table's history is complete, in µs. Stays where it is while the table's metadata says that nothing was modified, so that
 * no query is run for nothing.
 */
export class TableWatch {
  readonly #options: WatchOptions;
  #upTo: bigint | null = null;
  #state = "";
  /** When the first modification that is after `#upTo` was made. */
  #pending: bigint | null = null;
  #movedAtMs = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  async newest(signal: AbortSignal): Promise<bigint> {
    const { metadata, clock, safetyLagMs } = this.#options;
    const table = await metadata(signal);
    const state = stateOf(table);
    // To the last µs of it.
    const modified = BigInt(table.lastModifiedTime) * 1000n + 999n;
    const lag = BigInt(safetyLagMs) * 1000n;
    if (state !== this.#state) this.#pending ??= modified;
    // Rows that are streamed may come without a sign of it.
    const isDue = table.streamingBuffer !== undefined || performance.now() - this.#movedAtMs >= SWEEP_MS;
    if (this.#upTo !== null && !isDue) {
      const { atLeast } = clock;
      if (this.#pending === null || (atLeast !== null && atLeast - lag <= this.#pending)) return this.#upTo;
    }
    const now = await clock.now(table.location, signal);
    // A table that was just made cannot be read as of a time before that.
    const created = BigInt(table.creationTime) * 1000n + 999n;
    const upTo = now - lag - 1n > created ? now - lag - 1n : created;
    if (this.#upTo !== null && upTo <= this.#upTo) return this.#upTo;
    this.#upTo = upTo;
    this.#state = state;
    this.#pending = modified > upTo ? modified : null;
    this.#movedAtMs = performance.now();
    return upTo;
  }
}
