import type { Relation } from "../contracts/relation.ts";
import type { Source } from "../contracts/source.ts";
import type { FieldMapping, Sync } from "../contracts/sync.ts";
import { withDeclaredKey } from "../engine/capture/mappings.ts";
import { compileMapping, type Mapping } from "../engine/mapping/compile.ts";

/** A sync against its model as it is now. */
export interface MappedSync {
  readonly relation: Relation;
  readonly mapping: Mapping;
}

/** Throws a config error when there is no such model, or the sync does not fit it. */
export async function mapSync(source: Source, sync: Sync, signal: AbortSignal): Promise<MappedSync> {
  return mapRelation(sync, await source.describe(sync.model, signal));
}

/** Throws a config error when the sync does not fit the relation. */
export function mapRelation(sync: Sync, described: Relation): MappedSync {
  const relation = withDeclaredKey(described, sync.model.key);
  return { relation, mapping: compileMapping(sync, relation) };
}

/** One field of what is sent, and where it comes from. */
export interface FieldInWords {
  readonly field: string;
  readonly from: string;
  /** The source's type; null for what is not a column. */
  readonly type: string | null;
  /** Whether it identifies the record at the destination. */
  readonly match: boolean;
}

export function fieldsInWords(sync: Sync, { relation, mapping }: MappedSync): readonly FieldInWords[] {
  return mapping.shape.fields.map(({ name, type }) => {
    const declared = sync.map?.find(({ field }) => field === name);
    return {
      field: name,
      from: declared === undefined ? name : originOf(declared),
      type: type ?? relation.columns.find((column) => declared === undefined && column.name === name)?.type ?? null,
      match: mapping.match.includes(name),
    };
  });
}

function originOf(mapping: FieldMapping): string {
  const nulls = mapping.null === "send" ? "" : `, null: ${mapping.null}`;
  switch (mapping.kind) {
    case "column":
      return `${mapping.old ? "old." : ""}${mapping.column}${mapping.as === null ? "" : ` as ${mapping.as}`}${nulls}`;
    case "template":
      return `${mapping.template}${nulls}`;
    case "code":
      return `a function of ${mapping.code.columns?.join(", ") ?? "every column"}${nulls}`;
    case "constant":
      // Its value may have come from a variable, and so may be a secret.
      return "a constant";
  }
}
