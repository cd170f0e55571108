import type { Relation } from "../../contracts/relation.ts";
import type { Sync } from "../../contracts/sync.ts";
import { didYouMean } from "../../contracts/did-you-mean.ts";
import { invalid } from "./configuration-error.ts";
import type { CompiledField } from "./field.ts";

/**
 * The fields that identify a record at the destination: the sync's `match`, else those that the key's columns are
 * mapped to. Throws a config error when there are none and the mode needs them.
 */
export function matchFields(
  sync: Sync,
  relation: Relation,
  fields: readonly CompiledField[],
): readonly CompiledField[] {
  if (sync.match !== null) return [named(sync, sync.match, fields)];
  const found: CompiledField[] = [];
  for (const place of relation.key) {
    const field = fields.find((candidate) => candidate.columnPlace === place);
    if (field === undefined) {
      if (sync.mode === "event" || sync.mode === "insert") return [];
      throw invalid(
        sync,
        sync.at,
        `the key column "${relation.columns[place]!.name}" of model "${sync.model.name}" is not mapped; ` +
          `map it to a field, or say with match: which field identifies a record`,
      );
    }
    found.push(field);
  }
  if (found.length === 0 && sync.mode !== "event" && sync.mode !== "insert") {
    throw invalid(
      sync,
      sync.at,
      `model "${sync.model.name}" has no key; say with match: which field identifies a record`,
    );
  }
  return found;
}

function named(sync: Sync, match: string, fields: readonly CompiledField[]): CompiledField {
  const field = fields.find((candidate) => candidate.field.name === match);
  if (field === undefined) {
    const names = fields.map((candidate) => candidate.field.name);
    throw invalid(sync, sync.at, `match: "${match}" is not a field of the map${didYouMean(match, names, '"')}`);
  }
  if (field.oldReads.length > 0) {
    throw invalid(sync, sync.at, `match: "${match}" is read of the old row, so it cannot identify the new one`);
  }
  if (field.reads.length === 0) {
    throw invalid(sync, sync.at, `match: "${match}" is the same for every row, so it cannot identify a record`);
  }
  return field;
}
