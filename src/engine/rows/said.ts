import type { SentRow } from "../../contracts/row-index.ts";
import type { Entry } from "../delivery/entry.ts";
import type { ReadBy } from "../observer.ts";
import type { Item } from "../progress/ack-tracker.ts";
import { Whole } from "./whole.ts";

/** What is said of one row, from when it is queued until it is delivered or dead-lettered; what an entry of a read row reports to. */
export class Said extends Whole {
  readonly row: SentRow;
  readonly by: ReadBy;
  /** The index can hold it. A record that cannot be found at the destination will not be taken there. */
  readonly indexed: boolean;

  constructor(row: SentRow, by: ReadBy, indexed: boolean, item: Item, finished: () => void) {
    super([item], finished);
    this.row = row;
    this.by = by;
    this.indexed = indexed;
  }
}

/** The newest of what an entry says, after merging; null: the entry says again what was kept of a dead letter. */
export function saidBy(entry: Entry): Said | null {
  const { group } = entry.also?.at(-1) ?? entry;
  return group instanceof Said ? group : null;
}
