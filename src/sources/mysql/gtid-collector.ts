import type { GtidSet } from "./gtid-set.ts";

/** Gathers the GTIDs that a reading meets, which mostly follow one another. */
export class GtidCollector {
  readonly #intervals = new Map<string, [bigint, bigint][]>();

  add(uuid: string, number: bigint): void {
    let intervals = this.#intervals.get(uuid);
    if (intervals === undefined) this.#intervals.set(uuid, (intervals = []));
    const last = intervals.at(-1);
    if (last !== undefined && last[1] + 1n === number) last[1] = number;
    else intervals.push([number, number]);
  }

  get set(): GtidSet {
    return this.#intervals;
  }
}
