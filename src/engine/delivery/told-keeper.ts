import type { SentIndex } from "../../contracts/sent-index.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Entry } from "./entry.ts";
import type { Keeper } from "./keeper.ts";

/** Modes in which a row is told once, whether the stream or a backfill comes first. */
export function tellsOnce({ mode }: Pick<Sync, "mode">): boolean {
  return mode === "insert" || mode === "event";
}

/**
 * Keeps which rows the stream has brought as new while the rows that exist are sent, for one pipeline: the backfill must not tell them
 * again, also when it goes on in another process. A row's key is in the index before the row is sent.
 */
export class ToldKeeper implements Keeper {
  readonly #index: SentIndex;
  readonly #needed: () => boolean;

  /** `index`: of this backfill alone. `needed`: whether there are rows that a backfill might still tell. */
  constructor(index: SentIndex, needed: () => boolean) {
    this.#index = index;
    this.#needed = needed;
  }

  async announce(entries: readonly Entry[]): Promise<readonly Entry[]> {
    if (!this.#needed()) return [];
    const fresh = entries.filter(({ read, op, event }) => !read && (op === "create" || event === "insert"));
    if (fresh.length > 0) {
      await this.#index.announce(
        fresh.map(({ rowKey }) => ({ key: rowKey, identity: null })),
        0,
      );
    }
    return [];
  }

  accepted(): void {}

  rejected(): void {}

  async settle(): Promise<void> {}
}
