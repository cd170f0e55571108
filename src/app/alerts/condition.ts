/** Something that holds of a sync or does not, told when it begins and when it is over: never for a moment's change. */
export class Condition {
  readonly #raiseAfterMs: number;
  readonly #clearAfterMs: number;
  #told = false;
  /** Since when it has held; null: it does not. While told: since when it held when that was told. */
  #sinceMs: number | null = null;
  /** Since when a told one has not held; null: it holds. */
  #overSinceMs: number | null = null;

  constructor(raiseAfterMs: number, clearAfterMs: number) {
    this.#raiseAfterMs = raiseAfterMs;
    this.#clearAfterMs = clearAfterMs;
  }

  /** Whether it was told and is not over. */
  get told(): boolean {
    return this.#told;
  }

  /** What is seen now. Returns what is to be told: that it holds, or that it is over, and since when it held. */
  see(holds: boolean, nowMs: number): { readonly holds: boolean; readonly sinceMs: number } | null {
    if (!this.#told) {
      this.#sinceMs = holds ? (this.#sinceMs ?? nowMs) : null;
      if (this.#sinceMs === null || nowMs - this.#sinceMs < this.#raiseAfterMs) return null;
      this.#told = true;
      return { holds: true, sinceMs: this.#sinceMs };
    }
    this.#overSinceMs = holds ? null : (this.#overSinceMs ?? nowMs);
    if (this.#overSinceMs === null || nowMs - this.#overSinceMs < this.#clearAfterMs) return null;
    const sinceMs = this.#sinceMs!;
    this.#told = false;
    this.#sinceMs = null;
    this.#overSinceMs = null;
    return { holds: false, sinceMs };
  }
}
