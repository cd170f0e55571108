import type { Change } from "../../contracts/change.ts";
import type { Values } from "../../contracts/values.ts";
import { Entry } from "../delivery/entry.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Item, ItemGroup } from "../progress/ack-tracker.ts";

/** An entry for a change, with its keys still to be set. */
export function newEntry(
  mapping: Mapping,
  op: Entry["op"],
  change: Change,
  before: Values | null,
  after: Values | null,
  group: ItemGroup,
  index: number,
): Entry {
  const entry = new Entry(op, mapping, group, index, false);
  entry.change = change;
  entry.transaction = change.transaction;
  entry.before = before;
  entry.after = after;
  entry.bytes = sizeOf(before) + sizeOf(after) + ENTRY_BYTES;
  return entry;
}

/** A row that was read at the source. */
export interface ReadRow {
  readonly key: string;
  readonly recordKey: string;
  readonly values: Values;
  /** null: not known yet. */
  readonly id: string | null;
  /** See {@link Entry.readAt}. */
  readonly at: string;
}

/** `scanned`: its progress is that of a reading of all rows, not of the log. */
export function readEntry(mapping: Mapping, op: Entry["op"], row: ReadRow, item: Item, scanned = true): Entry {
  const entry = new Entry(op, mapping, item.group, item.index, scanned);
  const gone = op === "delete" || op === "archive" || op === "clear";
  entry.key = row.recordKey;
  entry.rowKey = row.key;
  if (gone) entry.before = row.values;
  else entry.after = row.values;
  entry.event = gone ? "delete" : "insert";
  entry.readId = row.id;
  entry.readAt = row.at;
  entry.bytes = sizeOf(row.values) + ENTRY_BYTES;
  return entry;
}

/** What an entry with its change, key and places in the maps takes in memory, about. */
const ENTRY_BYTES = 400;
const VALUE_BYTES = 24;

function sizeOf(row: Values | null): number {
  if (row === null) return 0;
  let bytes = row.length * VALUE_BYTES;
  for (let place = 0; place < row.length; place += 1) {
    const value = row[place];
    if (typeof value === "string") bytes += value.length;
  }
  return bytes;
}
