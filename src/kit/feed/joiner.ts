import type { Change, Position, Transaction } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Values } from "../../contracts/values.ts";
import type { FeedPage, FeedRow, Mark } from "./model-feed.ts";
import { changeAt, endOf } from "./position.ts";

/**
 * Makes changes of the images of rows, wherever their pages end. A change's ordinal counts all changes of its mark from the first one on, those
 * that change nothing too: so it is the same on every replay.
 */
export class Joiner {
  readonly #after: Position;
  #mark: Mark = "";
  #ordinal = 0;
  #transaction: Transaction | null = null;
  /** An old row whose new one may follow. */
  #old: { readonly row: FeedRow; readonly relation: Relation } | null = null;
  #end: Position | null = null;
  #changes: Change[] = [];

  /** What is at or before `after` is left out. The first page must begin with the first change of its mark. */
  constructor(after: Position) {
    this.#after = after;
  }

  /** Everything at or before it has been given out; null: nothing has. */
  get end(): Position | null {
    return this.#end;
  }

  /** The changes that this page completes. */
  take({ relation, rows }: FeedPage): readonly Change[] {
    for (const row of rows) this.#row(row, relation);
    return this.#taken();
  }

  /** Nothing comes any more up to the end of the mark. */
  finish(mark: Mark): readonly Change[] {
    this.#delete();
    this.#passed(endOf(mark));
    return this.#taken();
  }

  #taken(): readonly Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  #row(row: FeedRow, relation: Relation): void {
    if (row.mark !== this.#mark) this.#next(row.mark);
    requireKey(row.values, relation);
    const old = this.#old;
    if (row.image === "old") {
      this.#delete();
      this.#old = { row, relation };
    } else if (old !== null && areOne(old.row, row, relation)) {
      this.#old = null;
      const same = row.values.every((value, place) => value === old.row.values[place]);
      this.#add(row, relation, same ? null : { op: "update", before: old.row.values, after: row.values });
    } else {
      this.#delete();
      const op = row.existed === true ? "update" : "insert";
      this.#add(row, relation, { op, before: null, after: row.values });
    }
  }

  #next(mark: Mark): void {
    if (mark < this.#mark) throw new TailraceError("internal.defect", "a feed's changes came out of order");
    this.#delete();
    if (this.#mark !== "") this.#passed(endOf(this.#mark));
    this.#mark = mark;
    this.#ordinal = 0;
  }

  /** An old row without a new one. */
  #delete(): void {
    const old = this.#old;
    if (old === null) return;
    this.#old = null;
    this.#add(old.row, old.relation, { op: "delete", before: old.row.values, after: null });
  }

  /** null: it takes its ordinal, and that is all. */
  #add(row: FeedRow, relation: Relation, change: Pick<Change, "op" | "before" | "after"> | null): void {
    const position = changeAt(row.mark, this.#ordinal);
    this.#ordinal += 1;
    if (change !== null && position > this.#after)
      this.#changes.push({ ...change, relation, position, transaction: this.#transactionOf(row) });
    this.#passed(position);
  }

  #transactionOf({ mark, committedAt }: FeedRow): Transaction {
    if (this.#transaction?.id !== mark || this.#transaction.committedAt !== committedAt)
      this.#transaction = { id: mark, committedAt };
    return this.#transaction;
  }

  #passed(position: Position): void {
    if (position > this.#after) this.#end = position;
  }
}

function areOne(old: FeedRow, row: FeedRow, { key }: Relation): boolean {
  if (row.row !== null && row.row === old.row) return true;
  return key.every((place) => old.values[place] === row.values[place]);
}

/** Nothing in a warehouse keeps a key from being null. */
export function requireKey(values: Values, { name, columns, key }: Relation): void {
  const place = key.find((each) => typeof values[each] !== "string");
  if (place !== undefined)
    throw new TailraceError(
      "source.model",
      `A row of ${name} has no value in its key column \`${columns[place]!.name}\`; it cannot be told apart from others.`,
    );
}
