// Which of a source's slots keeps the log from a checkpoint on: the one that its syncs share, or a sync's own.
import type pg from "pg";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { type Present, serves, slotOf } from "./continuity.ts";
import { isOfFamily } from "./object-names.ts";
import { type Slot, readSlot } from "./slot.ts";

/**
 * The slot that continuity from `stored` must be proven with: `ours` where it serves, else the one of the same source that kept
 * the log for it. `base`: the name that all slots of the source begin with.
 */
export async function keeperOf(
  client: pg.Client,
  stored: SourceCheckpoint,
  base: string,
  ours: Slot | null,
  oursName = base,
): Promise<Pick<Present, "slotName" | "slot" | "ofFamily">> {
  const ofFamily = (name: string) => isOfFamily(name, base);
  const kept = slotOf(stored);
  const elsewhere = kept !== oursName && ofFamily(kept) && !serves(ours, stored);
  return elsewhere
    ? { slotName: kept, slot: await readSlot(client, kept), ofFamily }
    : { slotName: oursName, slot: ours, ofFamily };
}
