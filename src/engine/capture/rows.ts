import type { Change } from "../../contracts/change.ts";
import type { Values } from "../../contracts/values.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { ItemGroup } from "../progress/ack-tracker.ts";

/** An entry for a change, with its key still to be set. All entries are made here, so that they have one shape. */
export function newEntry(
  mapping: Mapping,
  op: Entry["op"],
  change: Change,
  before: Values | null,
  after: Values | null,
  group: ItemGroup,
  index: number,
  half: "" | "-old" = "",
): Entry {
  return {
    group,
    index,
    also: null,
    read: false,
    order: 0,
    key: "",
    rowKey: "",
    op,
    mapping,
    change,
    before,
    after,
    readId: null,
    readAt: "",
    half,
    event: "update",
    fill: false,
    refilter: false,
    live: true,
    bytes: sizeOf(before) + sizeOf(after) + ENTRY_BYTES,
    queuedAtMs: Date.now(),
    attempts: 0,
    faults: 0,
    triedAtMs: 0,
    next: null,
    waits: 0,
    followedBy: null,
    state: "waiting",
  };
}

/** An entry for a row that was read at the source. */
export function readEntry(
  mapping: Mapping,
  op: Entry["op"],
  row: {
    readonly key: string;
    readonly recordKey: string;
    readonly values: Values;
    readonly id: string;
    readonly at: string;
  },
  group: ItemGroup,
  index: number,
): Entry {
  const gone = op === "delete" || op === "archive" || op === "clear";
  return {
    group,
    index,
    also: null,
    read: true,
    order: 0,
    key: row.recordKey,
    rowKey: row.key,
    op,
    mapping,
    change: null,
    before: gone ? row.values : null,
    after: gone ? null : row.values,
    readId: row.id,
    readAt: row.at,
    half: "",
    event: gone ? "delete" : "insert",
    fill: false,
    refilter: false,
    live: false,
    bytes: sizeOf(row.values) + ENTRY_BYTES,
    queuedAtMs: Date.now(),
    attempts: 0,
    faults: 0,
    triedAtMs: 0,
    next: null,
    waits: 0,
    followedBy: null,
    state: "waiting",
  };
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
