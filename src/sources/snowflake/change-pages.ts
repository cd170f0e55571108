// Rows of `orderedChanges` as pages of the kit.
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { FeedPage, FeedRow, Mark } from "../../kit/feed/model-feed.ts";
import type { TextRow } from "./session.ts";

/** What a row costs besides its texts. */
const ROW_BYTES = 64;
const PAGE_BYTES = 512 * 1024;

export interface Shape {
  readonly relation: Relation;
  /** The values of a row of the result. */
  values(row: TextRow): (string | null)[];
}

/** Collects rows of one shape. */
export class ChangePages {
  #shape: Shape | null;
  #rows: FeedRow[] = [];
  #bytes = 0;

  constructor(shape: Shape | null) {
    this.#shape = shape;
  }

  /** What was collected, if the page is full. */
  add(row: TextRow, mark: Mark, committedAt: bigint): FeedPage | null {
    if (this.#shape === null)
      throw new TailraceError("internal.defect", "a batch of changes does not say what its columns are");
    const [, action, rowId] = row;
    const values = this.#shape.values(row);
    this.#rows.push({ mark, committedAt, image: action === "INSERT" ? "new" : "old", values, row: rowId ?? null });
    this.#bytes += values.reduce((sum, value) => sum + (value?.length ?? 0), ROW_BYTES);
    return this.#bytes >= PAGE_BYTES ? this.take() : null;
  }

  /** What comes next has this shape. */
  begin(shape: Shape): FeedPage | null {
    const page = this.take();
    this.#shape = shape;
    return page;
  }

  take(): FeedPage | null {
    if (this.#rows.length === 0) return null;
    const page = { relation: this.#shape!.relation, rows: this.#rows, bytes: this.#bytes };
    this.#rows = [];
    this.#bytes = 0;
    return page;
  }
}
