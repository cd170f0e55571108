/** Events a second over the last few seconds. */
export class Rate {
  readonly #slots = new Float64Array(SLOTS);
  #slot = 0;
  #firstSlot: number | null = null;

  add(count: number, nowMs: number): void {
    this.#turn(nowMs);
    this.#firstSlot ??= this.#slot;
    this.#slots[this.#slot % SLOTS]! += count;
  }

  perSecond(nowMs: number): number {
    this.#turn(nowMs);
    if (this.#firstSlot === null) return 0;
    let sum = 0;
    for (const count of this.#slots) sum += count;
    const seconds = (Math.min(SLOTS, this.#slot - this.#firstSlot + 1) * SLOT_MS) / 1000;
    return sum / seconds;
  }

  #turn(nowMs: number): void {
    const slot = Math.floor(nowMs / SLOT_MS);
    for (let i = Math.max(this.#slot + 1, slot - SLOTS + 1); i <= slot; i += 1) this.#slots[i % SLOTS] = 0;
    this.#slot = Math.max(slot, this.#slot);
  }
}

const SLOTS = 10;
const SLOT_MS = 500;
