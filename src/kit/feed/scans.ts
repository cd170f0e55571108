// One statement for a whole backfill. A chunk of it is as old as the statement, which is why whoever asks for the next chunk must know of
// nothing newer; see Scans.
import { TailraceError } from "../../contracts/errors.ts";
import type { ChunkLimit, Cursor } from "../../contracts/source.ts";
import type { Mark, ModelFeed, RowPage } from "./model-feed.ts";

/** Two syncs that load the same model are at two places of it. */
const MOST_OPEN = 4;

class OpenScan {
  mark: Mark;
  readonly #stop = new AbortController();
  readonly #pages: AsyncIterator<RowPage>;

  constructor(feed: ModelFeed, mark: Mark, after: Cursor | null, limit: ChunkLimit) {
    this.mark = mark;
    this.#pages = feed.scanAt(mark, after, limit, this.#stop.signal)[Symbol.asyncIterator]();
  }

  async page(signal: AbortSignal): Promise<RowPage> {
    const stop = (): void => this.#stop.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    try {
      signal.throwIfAborted();
      const { value, done } = await this.#pages.next();
      if (done !== true) {
        this.mark = value.mark ?? this.mark;
        return value;
      }
      throw new TailraceError("source.unreachable", "rows that were read ended before the last one");
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  close(): void {
    this.#stop.abort();
    void Promise.resolve(this.#pages.return?.()).catch(() => {});
  }
}

/** Chunks of a model's rows, each as of a mark that is not before any that was asked for: see {@link Scans.newer}. */
export class Scans {
  #feed: ModelFeed;
  /** By where they go on, the one that was used last at the end. */
  readonly #open = new Map<string, OpenScan>();
  #floor: Mark = "";

  constructor(feed: ModelFeed) {
    this.#feed = feed;
  }

  /** The model is read in another way, or anew. */
  renew(feed: ModelFeed): void {
    this.close();
    this.#feed = feed;
  }

  /**
   * Rows as of `mark` are about to be used. What is older than them and comes later could not be told apart from what is newer: none is given
   * out any more.
   */
  newer(mark: Mark): void {
    if (mark > this.#floor) this.#floor = mark;
    for (const [next, scan] of this.#open) if (scan.mark < this.#floor) this.#close(next, scan);
  }

  async page(
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<{ readonly mark: Mark; readonly page: RowPage }> {
    for (;;) {
      const scan = this.#take(after, limit) ?? new OpenScan(this.#feed, await this.#feed.newest(signal), after, limit);
      try {
        const page = await scan.page(signal);
        if (scan.mark >= this.#floor) {
          if (page.next === null) scan.close();
          else this.#keep(page.next, limit, scan);
          return { mark: scan.mark, page };
        }
      } catch (error) {
        scan.close();
        throw error;
      }
      scan.close();
    }
  }

  close(): void {
    for (const [next, scan] of this.#open) this.#close(next, scan);
  }

  #take(after: Cursor | null, limit: ChunkLimit): OpenScan | null {
    if (after === null) return null;
    const place = placeOf(after, limit);
    const scan = this.#open.get(place) ?? null;
    this.#open.delete(place);
    return scan;
  }

  #keep(next: Cursor, limit: ChunkLimit, scan: OpenScan): void {
    const place = placeOf(next, limit);
    const same = this.#open.get(place);
    if (same !== undefined) this.#close(place, same);
    this.#open.set(place, scan);
    const [oldest] = this.#open;
    if (this.#open.size > MOST_OPEN) this.#close(...oldest!);
  }

  #close(place: string, scan: OpenScan): void {
    this.#open.delete(place);
    scan.close();
  }
}

function placeOf(cursor: Cursor, limit: ChunkLimit): string {
  return JSON.stringify([cursor, limit.rows, limit.bytes]);
}
