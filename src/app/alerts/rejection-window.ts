import type { Counts } from "../../contracts/state.ts";

/** The share of rejected rows over the last minutes, of counts that only grow, and begin anew when a sync's pipeline does. */
export class RejectionWindow {
  #before: Counts = { delivered: 0, rejected: 0 };
  readonly #steps: (Counts & { readonly atMs: number })[] = [];

  add(counts: Counts, nowMs: number): void {
    const anew = counts.delivered < this.#before.delivered || counts.rejected < this.#before.rejected;
    const from = anew ? { delivered: 0, rejected: 0 } : this.#before;
    this.#before = counts;
    const delivered = counts.delivered - from.delivered;
    const rejected = counts.rejected - from.rejected;
    if (delivered > 0 || rejected > 0) this.#steps.push({ delivered, rejected, atMs: nowMs });
    while (this.#steps.length > 0 && nowMs - this.#steps[0]!.atMs > WINDOW_MS) this.#steps.shift();
  }

  /** 0 to 1. `enough`: so many were rejected that a share says something. */
  get share(): { readonly share: number; readonly enough: boolean } {
    let delivered = 0;
    let rejected = 0;
    for (const step of this.#steps) {
      delivered += step.delivered;
      rejected += step.rejected;
    }
    const rows = delivered + rejected;
    return { share: rows === 0 ? 0 : rejected / rows, enough: rejected >= LEAST_REJECTED };
  }
}

export const WINDOW_MS = 300_000;
/** One row of two is half of them, and no reason to wake anybody. */
export const LEAST_REJECTED = 5;
