import type { Position } from "../../contracts/change.ts";

/** A checkpoint that moved without a delivery is stored within a second. */
const WITHIN_MS = 2_000;

/** What every sync has stored, as far as we are told. */
export class StoredPlace {
  #position: Position = "";
  #wake = (): void => {};

  note(position: Position): void {
    if (position > this.#position) this.#position = position;
    this.#wake();
  }

  /** Resolves when it is stored; at the latest after a while, because a sync that does not run stores nothing. */
  async reached(position: Position, signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, AbortSignal.timeout(WITHIN_MS)]);
    const wake = (): void => this.#wake();
    over.addEventListener("abort", wake, { once: true });
    while (this.#position < position && !over.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
    over.removeEventListener("abort", wake);
    signal.throwIfAborted();
  }
}
