import type { Relation } from "../../contracts/relation.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { CompiledField } from "./field.ts";

export interface OldColumn {
  readonly column: string;
  readonly because: string;
}

/** The columns whose old values the sync needs. The key's are always sent, so they are not among them. */
export function oldColumnsOf(
  sync: Sync,
  relation: Relation,
  fields: readonly CompiledField[],
  match: readonly CompiledField[],
  where: readonly number[],
): readonly OldColumn[] {
  const reasons = new Map<number, string>();
  const add = (place: number, because: string): void => {
    if (!relation.key.includes(place) && !reasons.has(place)) reasons.set(place, because);
  };
  const deletes = sync.mode === "mirror" && sync.onDelete.kind !== "ignore";
  // An upsert goes by the new row alone; the others must know whether the row was in the sync before.
  if (deletes || sync.mode === "insert" || sync.mode === "update" || sync.mode === "event") {
    for (const place of where) add(place, "where: whether the old row was in the sync");
  }
  if (deletes) {
    for (const { field, reads } of match) {
      for (const place of reads) add(place, `match: the record to ${sync.onDelete.kind} is found by "${field.name}"`);
    }
  }
  for (const { field, oldReads } of fields) {
    for (const place of oldReads) add(place, `map: "${field.name}" reads the old row`);
  }
  return [...reasons]
    .sort(([a], [b]) => a - b)
    .map(([place, because]) => ({ column: relation.columns[place]!.name, because }));
}
