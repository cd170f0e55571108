// A sync's progress that is kept in the destination's database, so that it commits with the rows.
import { createHash } from "node:crypto";
import type { Delivery } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";

/** What the database holds for one sync. `batch` tells a repeat of a batch from another batch with the same progress. */
export interface Step {
  readonly progress: string;
  readonly batch: string;
}

/**
 * One writer's knowledge of its sync's row. The lease lets only one process write, but a transaction that was open when its
 * process was frozen or cut off may be committed after a successor has looked. Therefore a step is only taken from the row
 * that this writer loaded or wrote last: of two that loaded the same row, one alone can go on from it.
 */
export class OwnProgress {
  readonly #sync: string;
  #expected: Step | null = null;
  /** Steps that may have been committed: the answer was lost. */
  readonly #uncertain: Step[] = [];

  constructor(sync: string) {
    this.#sync = sync;
  }

  /** What must be stored for the next step to be taken. */
  get expected(): Step | null {
    return this.#expected;
  }

  /** This is what is stored: it was loaded, or committed now or by an earlier attempt. */
  know(step: Step | null): void {
    this.#expected = step;
    this.#uncertain.length = 0;
  }

  /** The answer to the commit was lost. */
  unknown(step: Step): void {
    if (this.#uncertain.push(step) > UNCERTAIN_STEPS) this.#uncertain.shift();
  }

  /**
   * The step was not taken, because `stored` is there. Returns it when this very batch was committed before; throws
   * `state.lease_lost` when it is not ours to go on from.
   */
  repeated(stored: Step | null, step: Step): Step {
    if (stored !== null) {
      if (same(stored, step)) return step;
      if (this.#uncertain.some((attempt) => same(attempt, stored))) {
        // Its progress may have moved on since the first attempt; what is stored covers the batch as well.
        if (stored.batch === step.batch) return stored;
        throw new TailraceError(
          "state.lease_lost",
          `a batch of ${this.#sync} whose outcome was not known had been committed; the sync goes on after it`,
        );
      }
    }
    throw new TailraceError(
      "state.lease_lost",
      `the progress of ${this.#sync} in the destination is not what was there before: another process has written, so nothing was written`,
    );
  }
}

/** So many of one batch's attempts are remembered; one that is forgotten costs no more than loading anew. */
const UNCERTAIN_STEPS = 32;

function same(a: Step, b: Step): boolean {
  return a.progress === b.progress && a.batch === b.batch;
}

/** The same for the same deliveries in the same order. */
export function batchDigest(batch: readonly Delivery[]): string {
  const hash = createHash("sha256");
  for (const delivery of batch) hash.update(`${delivery.id}\n`);
  return hash.digest("base64url");
}
