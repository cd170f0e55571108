import type { Source } from "../../contracts/source.ts";

/** How long a source has said nothing: since its last byte where it tells that, since its last batch where it does not. */
export class Silence {
  readonly #source: Pick<Source, "lastByteAtMs">;
  #heardAtMs: number | null = null;

  constructor(source: Pick<Source, "lastByteAtMs">) {
    this.#source = source;
  }

  batchCame(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** null: it has never said anything. Between two connections it goes on from what was heard last. */
  lastsMs(nowMs: number): number | null {
    const byteAtMs = this.#source.lastByteAtMs ?? null;
    if (byteAtMs !== null && byteAtMs > (this.#heardAtMs ?? 0)) this.#heardAtMs = byteAtMs;
    return this.#heardAtMs === null ? null : Math.max(0, nowMs - this.#heardAtMs);
  }
}
