import type { Source } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import { overlay } from "../../contracts/values.ts";
import { keyOf, keyValues } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Mappings } from "./mappings.ts";

/**
 * Completes rows that came without a column that did not change, by reading them at the source. Only what is missing is
 * taken from there: the rest of the row stays as the change says, so that the order of versions is kept. (What is filled in may be
 * newer than the change; a change that made it so is still to come and says the same.)
 *
 * Returns the entries that are not needed any more: rows that are gone by now (their delete is still to come), and rows that
 * `where` keeps out.
 */
export async function fillEntries(
  source: Source,
  sync: Sync,
  mappings: Mappings,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<readonly Entry[]> {
  const keys = entries.map((entry) => keyValues(entry.mapping.relation, entry.after!));
  const chunk = await source.lookup(sync.model, keys, signal);
  const { relation } = mappings.for(chunk.relation);
  const rows = new Map(chunk.rows.map((row) => [keyOf(relation, row), row]));
  const needless: Entry[] = [];
  for (const entry of entries) {
    const present = rows.get(entry.key);
    if (present === undefined) {
      needless.push(entry);
      continue;
    }
    // The row may have other columns by now than when it was changed: they are matched by name.
    const places = new Map(relation.columns.map(({ name }, place) => [name, place]));
    const bottom = entry.mapping.relation.columns.map(({ name }) => present[places.get(name) ?? -1] ?? null);
    entry.after = overlay(entry.after!, bottom);
    entry.fill = false;
    if (!entry.refilter || entry.mapping.filter!(entry.after) === true) continue;
    if (sync.mode === "mirror" && sync.onDelete.kind !== "ignore") {
      entry.op = sync.onDelete.kind;
      entry.before = entry.after;
      entry.after = null;
    } else needless.push(entry);
  }
  return needless;
}
