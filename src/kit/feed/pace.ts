import * as z from "zod";

/** How often a feed is asked whether there is something new, in ms. */
export interface Poll {
  readonly fastestMs: number;
  readonly slowestMs: number;
}

/** The setting `poll`, with a warehouse's own defaults. */
export function pollSettings(defaults: Poll) {
  return z
    .strictObject({
      fastest_ms: z.int().min(20).max(3_600_000).default(defaults.fastestMs).describe("While changes flow."),
      slowest_ms: z.int().min(20).max(3_600_000).default(defaults.slowestMs).describe("When it has long been quiet."),
    })
    .prefault({})
    .refine(({ fastest_ms, slowest_ms }) => fastest_ms <= slowest_ms, "`slowest_ms` is less than `fastest_ms`")
    .transform(({ fastest_ms, slowest_ms }): Poll => ({ fastestMs: fastest_ms, slowestMs: slowest_ms }));
}

/** A tenth of how long it has been quiet, within the bounds. */
export class Pace {
  readonly #poll: Poll;
  #changedAtMs: number;

  constructor(poll: Poll, nowMs: number) {
    this.#poll = poll;
    this.#changedAtMs = nowMs;
  }

  changed(nowMs: number): void {
    this.#changedAtMs = nowMs;
  }

  waitMs(nowMs: number): number {
    const { fastestMs, slowestMs } = this.#poll;
    return Math.min(slowestMs, Math.max(fastestMs, (nowMs - this.#changedAtMs) / 10));
  }
}

/** For `explain`. */
export function pollLatency({ fastestMs, slowestMs }: Poll): string {
  return `The history is looked at every ${fastestMs} ms while changes flow, and up to every ${slowestMs} ms after a quiet while; a change waits for the next look, and is then read at once.`;
}

export function pollsAnHour({ fastestMs, slowestMs }: Poll): { readonly quiet: number; readonly busy: number } {
  return { quiet: Math.round(HOUR_MS / slowestMs), busy: Math.round(HOUR_MS / fastestMs) };
}

const HOUR_MS = 3_600_000;
