import type { Relation } from "../../contracts/relation.ts";
import type { Cursor } from "../../contracts/source.ts";
import type { BackfillProgress } from "../../contracts/state.ts";
import type { Values } from "../../contracts/values.ts";
import { keyValues } from "../delivery/delivery.ts";
import { AckTracker, type Item } from "../progress/ack-tracker.ts";

interface Reached {
  readonly after: Cursor | null;
  readonly rows: number;
  /** `rows`: some are not done. `removing`: all are. `over`: also the removal of what is gone. */
  readonly stage: "rows" | "removing" | "over";
}

/** How far the rows that exist have been sent, at a sync's beginning or for a resync. */
export class FirstLoad {
  /** About how many rows there are. */
  estimate: number | null = null;
  readonly #generation: number;
  readonly #tracker: AckTracker<Reached>;
  #after: Cursor | null;
  #rows: number;
  #rowsRead: boolean;
  #removal: Item | null = null;

  constructor(progress: BackfillProgress) {
    this.#generation = progress.generation;
    this.#after = progress.after;
    this.#rows = progress.rows;
    this.#rowsRead = progress.removing === true;
    this.#tracker = new AckTracker<Reached>(this.#reached(this.#rowsRead ? "removing" : "rows"));
  }

  #reached(stage: Reached["stage"]): Reached {
    return { after: this.#after, rows: this.#rows, stage };
  }

  /** The key of the last row that was read. */
  get after(): Cursor | null {
    return this.#after;
  }

  /** Whether all rows have been read. */
  get rowsRead(): boolean {
    return this.#rowsRead;
  }

  /** These rows come next; an item for each. */
  begin(relation: Relation, rows: readonly Values[]): Item[] {
    const before = this.#rows;
    const last = rows.at(-1);
    if (last === undefined) return [];
    this.#rows += rows.length;
    this.#after = keyValues(relation, last);
    const at = (index: number): Reached => {
      return { after: keyValues(relation, rows[index]!), rows: before + index + 1, stage: "rows" };
    };
    const group = this.#tracker.add(rows.length, at, this.#reached("rows"));
    return rows.map((_, index) => ({ group, index }));
  }

  /** There are no more rows. `removes`: rows that are gone are still to be removed. */
  end(removes: boolean): void {
    this.#rowsRead = true;
    const end = this.#reached(removes ? "removing" : "over");
    this.#tracker.add(0, () => end, end);
  }

  /** Finished when what is gone is removed; the same one each time. */
  removal(): Item {
    const over = this.#reached("over");
    this.#removal ??= { group: this.#tracker.add(1, () => over, over), index: 0 };
    return this.#removal;
  }

  /** What to store; null: it is over, every row durably dealt with. */
  get progress(): BackfillProgress | null {
    return this.#progressOf(this.#tracker.reached);
  }

  /** The same, with these items finished. */
  progressWith(items: Iterable<Item>): BackfillProgress | null {
    return this.#progressOf(this.#tracker.reachedWith(items));
  }

  #progressOf({ after, rows, stage }: Reached): BackfillProgress | null {
    if (stage === "over") return null;
    const progress = { generation: this.#generation, after, rows };
    return stage === "rows" ? progress : { ...progress, removing: true };
  }
}
