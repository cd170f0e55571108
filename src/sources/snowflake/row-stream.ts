import type { Readable } from "node:stream";

export type TextRow = readonly (string | null)[];

/** What the library reads ahead, and a page at the most. */
export const PAGE_ROWS = 2_000;

/** The rows of a statement, as the library streams them: it fails when it likes, whether somebody waits or not. */
export class RowStream {
  readonly #stream: Readable;
  #failure: { readonly error: unknown } | null = null;
  #wake = (): void => {};

  constructor(stream: Readable) {
    this.#stream = stream;
    const wake = (): void => this.#wake();
    stream.on("readable", wake);
    stream.on("end", wake);
    stream.on("error", (error) => {
      this.#failure = { error };
      wake();
    });
  }

  /** What is at hand, at least a row; empty: the end. */
  async page(signal: AbortSignal): Promise<TextRow[]> {
    const page: TextRow[] = [];
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        if (this.#failure !== null) throw this.#failure.error;
        while (page.length < PAGE_ROWS) {
          const row = this.#stream.read() as TextRow | null;
          if (row === null) break;
          page.push(row);
        }
        if (page.length > 0 || this.#stream.readableEnded) return page;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  close(): void {
    this.#stream.destroy();
  }
}
