import { setTimeout as delay } from "node:timers/promises";
import type { Source } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import { keyOf, keyValues, recordKeyOf } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Mappings } from "./mappings.ts";

/**
 * Which of these removals are of records that have their row again: whoever replaces a table's rows deletes them first. What inserts
 * them is still to come in the log, and brings the record to what the row is.
 *
 * A commit is in the log before new snapshots see it: one that does not see the delete would show the row that was deleted, so it is
 * taken again.
 */
export async function thereAgain(
  source: Source,
  sync: Sync,
  mappings: Mappings,
  removals: readonly Entry[],
  signal: AbortSignal,
): Promise<readonly Entry[]> {
  const again: Entry[] = [];
  for (let left = removals; left.length > 0;) {
    const keys = left.map(({ mapping, before }) => keyValues(mapping.relation, before!));
    const chunk = await source.lookup(sync.model, keys, signal);
    const mapping = mappings.for(chunk.relation);
    const records = new Map<string, string>();
    for (const row of chunk.rows) {
      if (mapping.filter !== null && mapping.filter(row) !== true) continue;
      const key = keyOf(mapping.relation, row);
      records.set(key, recordKeyOf(mapping, sync.mode, row, key));
    }
    const seen = left.filter(({ transaction }) => transaction === null || chunk.sees(transaction.id));
    again.push(...seen.filter(({ rowKey, key }) => records.get(rowKey) === key));
    left = left.filter((entry) => !seen.includes(entry));
    if (left.length > 0) await delay(NOT_VISIBLE_YET_MS, undefined, { signal });
  }
  return again;
}

const NOT_VISIBLE_YET_MS = 5;
