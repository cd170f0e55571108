import { setTimeout as delay } from "node:timers/promises";
import type { SnapshotChunk, Source } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import { overlay } from "../../contracts/values.ts";
import { keyOf, keyValues } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Mappings } from "./mappings.ts";

/**
 * Completes rows that came without a column that did not change, by reading them at the source. Only what is missing is
 * taken from there: the rest of the row stays as the change says, so that the order of versions is kept. (What is filled
 * in may be newer than the change; a change that made it so is still to come and says the same.)
 *
 * A commit is in the log before new snapshots see it: a snapshot that does not see the change itself would show the row as it was
 * before, or not at all, so it is taken again.
 *
 * Returns the entries that are not needed any more: rows that are gone by now (their delete is still to come; an event is
 * told all the same), and rows that `where` keeps out.
 */
export async function fillEntries(
  source: Source,
  sync: Sync,
  mappings: Mappings,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<readonly Entry[]> {
  const needless: Entry[] = [];
  for (let left = entries; left.length > 0;) {
    const keys = left.map((entry) => keyValues(entry.mapping.relation, entry.after!));
    const chunk = await source.lookup(sync.model, keys, signal);
    const seen = left.filter(({ change }) => change === null || chunk.sees(change.transaction.id));
    needless.push(...fillFrom(chunk, sync, mappings, seen));
    left = left.filter((entry) => !seen.includes(entry));
    if (left.length > 0) await delay(NOT_VISIBLE_YET_MS, undefined, { signal });
  }
  return needless;
}

const NOT_VISIBLE_YET_MS = 5;

function fillFrom(chunk: SnapshotChunk, sync: Sync, mappings: Mappings, entries: readonly Entry[]): readonly Entry[] {
  const { relation } = mappings.for(chunk.relation);
  const rows = new Map(chunk.rows.map((row) => [keyOf(relation, row), row]));
  // The row may have other columns by now than when it was changed: they are matched by name.
  const places = new Map(relation.columns.map(({ name }, place) => [name, place]));
  return entries.filter((entry) => {
    const present = rows.get(entry.rowKey);
    if (present === undefined) {
      // Every change is an event, also of a row that is gone: it is told without what cannot be had any more.
      const toldOnce = sync.mode === "event" || sync.mode === "insert";
      if (toldOnce) entry.fill = false;
      return !toldOnce;
    }
    const bottom = entry.mapping.relation.columns.map(({ name }) => present[places.get(name) ?? -1] ?? null);
    entry.after = overlay(entry.after!, bottom);
    entry.fill = false;
    if (!entry.refilter || entry.mapping.filter!(entry.after) === true) return false;
    if (sync.mode !== "mirror" || sync.onDelete.kind === "ignore") return true;
    entry.op = sync.onDelete.kind;
    entry.before = entry.after;
    entry.after = null;
    return false;
  });
}
