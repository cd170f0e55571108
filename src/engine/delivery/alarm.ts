/** One timer that rings at the earliest of the moments that it was set to. */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | null = null;
  #atMs = 0;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings in `ms`, unless it was to ring before that anyway. */
  set(ms: number): void {
    const atMs = Date.now() + ms;
    if (this.#timer !== null) {
      if (this.#atMs <= atMs) return;
      clearTimeout(this.#timer);
    }
    this.#atMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#ring();
    }, ms);
  }

  off(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
