import type { RowIndex, RowPage } from "../../contracts/row-index.ts";
import type { HeldDeletes } from "../../contracts/state.ts";
import type { KeyValues } from "../../contracts/source.ts";
import type { CaptureHost } from "../capture/capturing.ts";
import type { DeleteGuard } from "../delivery/delete-guard.ts";
import { textsOfKey } from "../delivery/delivery.ts";
import type { Comparison } from "./comparison.ts";
import type { PlaceSet } from "./place-set.ts";
import type { RowReader } from "./row-reader.ts";
import type { Turns } from "./turns.ts";
import type { Whole } from "./whole.ts";

export interface RemovalsOptions {
  readonly host: CaptureHost;
  readonly index: RowIndex;
  readonly comparison: Comparison;
  readonly reader: RowReader;
  readonly turns: Turns;
  /** Columns of the key. */
  readonly keyColumns: number;
  /** null: nothing is ever removed at the destination. */
  readonly guard: DeleteGuard | null;
  /** What was held when the pipeline was opened. */
  readonly held: HeldDeletes | null;
}

/**
 * The end of a scan: rows that were sent and that it has not found are read by their keys, and removed where there is none: the scan may be
 * older than a row, and knows nothing of one that was sent meanwhile.
 */
export class Removals {
  readonly #options: RemovalsOptions;

  constructor(options: RemovalsOptions) {
    this.#options = options;
  }

  /** `unfound`: keys of rows that were sent and that the scan has not found. Throws `delivery.too_many_deletes`. */
  async run(by: "resync" | "diff", unfound: Unfound, whole: Whole, signal: AbortSignal): Promise<void> {
    const { host, turns, reader } = this.#options;
    const approved = this.#isApproved(by);
    if (!approved) await this.#ask(by, unfound, signal);
    // What a resync removes yields to live changes, as its rows do.
    const reason = by === "resync" ? "backfill" : "scan";
    const purpose = { by: reason, transaction: null, generation: null, quiet: false } as const;
    await this.#each(unfound, signal, async (keys) => {
      await reader.room(signal);
      await turns.take(() => reader.read(keys, () => whole.part(), [], purpose, signal));
    });
    if (approved) await host.forgetHeld();
  }

  /** What a person has approved of is this resync, or the next comparison. */
  #isApproved(by: "resync" | "diff"): boolean {
    const { held, host } = this.#options;
    return held?.approved === true && held.by === by && (by === "diff" || held.generation === host.generation);
  }

  /** Reads what is not needed otherwise only when there may be too many. */
  async #ask(by: "resync" | "diff", unfound: Unfound, signal: AbortSignal): Promise<void> {
    const { guard, host, index, reader } = this.#options;
    if (guard === null) return;
    const of = index.rows;
    let unseen = 0;
    await this.#each(unfound, signal, async (keys) => void (unseen += keys.size));
    if (unseen <= guard.allowed(of)) return;
    let gone = 0;
    await this.#each(unfound, signal, async (keys) => {
      const { mapping, rows } = reader.rowsOf(await reader.lookup([...keys.values()], [], signal));
      gone += keys.size;
      const { filter } = mapping;
      for (const [key, values] of rows) if (keys.has(key) && (filter === null || filter(values) === true)) gone -= 1;
    });
    if (gone > guard.allowed(of)) await host.hold(by, { rows: gone, of });
  }

  async #each(
    unfound: Unfound,
    signal: AbortSignal,
    take: (keys: ReadonlyMap<string, KeyValues>) => Promise<void>,
  ): Promise<void> {
    const { comparison, keyColumns } = this.#options;
    for await (const page of unfound(signal)) {
      signal.throwIfAborted();
      const keys = page.filter((key) => !comparison.has(key));
      if (keys.length > 0) await take(new Map(keys.map((key) => [key, textsOfKey(key, keyColumns)])));
    }
  }

  /** Rows of the index whose place a scan has not seen. */
  unseen(seen: PlaceSet): Unfound {
    const { index } = this.#options;
    return async function* () {
      for (let after: string | null = null, last = false; !last;) {
        const page: RowPage = await index.page(after);
        yield page.rows.filter(({ place }) => !seen.has(place)).map(({ key }) => key);
        after = page.next;
        last = after === null;
      }
    };
  }
}

/** Bounded pages of keys, the same each time. */
export type Unfound = (signal: AbortSignal) => AsyncIterable<readonly string[]>;
