// From changes of a table to what its references need of them, and what was found, each once.
import type { Affected, LiveQuery, PartialKeys } from "../../contracts/capture.ts";
import type { Change } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { KeyValues } from "../../contracts/source.ts";
import { UNCHANGED, type Value, type Values, overlay } from "../../contracts/values.ts";
import type { BaseTable } from "./catalog.ts";
import type { Reference } from "./reference.ts";

/** Texts of the needed columns, each list once. */
export type Needed = ReadonlyMap<string, readonly (string | null)[]>;

export const ALL: Affected = { all: true, keys: [], partial: [], sees: () => true };

export function relationsOf({ tables }: { readonly tables: readonly BaseTable[] }): ReadonlySet<string> {
  return new Set(tables.map(({ id }) => id));
}

export function partialPlacesOf(references: readonly Reference[]): readonly (readonly number[])[] {
  const partial = references.filter(({ complete }) => !complete).map(({ keyPlaces }) => keyPlaces);
  return [...new Map(partial.map((places) => [places.join(), places])).values()];
}

/** Whether what was made for the one does for the other. */
export function isLike(one: Pick<LiveQuery, "relations" | "partialPlaces">, other: typeof one): boolean {
  return (
    one.relations.size === other.relations.size &&
    [...one.relations].every((id) => other.relations.has(id)) &&
    JSON.stringify(one.partialPlaces) === JSON.stringify(other.partialPlaces)
  );
}

/** What was found, each once. */
export class Found {
  readonly #width: number;
  readonly #keys = new Map<string, KeyValues>();
  readonly partial = new Map<string, { readonly places: readonly number[]; readonly values: Map<string, KeyValues> }>();

  constructor(width: number) {
    this.#width = width;
  }

  addKey(key: KeyValues): void {
    this.#keys.set(JSON.stringify(key), key);
  }

  /** `texts`: by the reference's places. */
  add({ keyPlaces }: Reference, texts: KeyValues): void {
    if (keyPlaces.length === this.#width) return this.addKey(texts);
    const of = this.partial.get(keyPlaces.join()) ?? { places: keyPlaces, values: new Map<string, KeyValues>() };
    this.partial.set(keyPlaces.join(), of);
    of.values.set(JSON.stringify(texts), texts);
  }

  addDirect(reference: Reference, needed: readonly (string | null)[]): void {
    const texts = reference.direct!.flatMap((place) => needed[place] ?? []);
    if (texts.length === reference.direct!.length) this.add(reference, texts);
  }

  partials(): readonly PartialKeys[] {
    return [...this.partial.values()].map(({ places, values }) => ({ places, values: [...values.values()] }));
  }

  result(sees: (transaction: string) => boolean): Affected {
    return { all: false, keys: [...this.#keys.values()], partial: this.partials(), sees };
  }
}

/** The old and the new values that a reference needs of these changes; null: one of them does not tell. */
export function neededValues(reference: Reference, changes: readonly Change[]): Needed | null {
  const needed = new Map<string, readonly (string | null)[]>();
  const take = (row: Values, relation: Relation): boolean => {
    const values = reference.needs.map((name): Value => {
      const place = relation.columns.findIndex((column) => column.name === name);
      return row[place] === undefined ? UNCHANGED : row[place];
    });
    if (values.includes(UNCHANGED)) return false;
    needed.set(JSON.stringify(values), values as (string | null)[]);
    return true;
  };
  for (const { op, relation, before, after } of changes) {
    const now = overlay(after, before);
    if (after && now && !take(now, relation)) return null;
    if (op === "insert") continue;
    // As the log held it then: it may hold more now.
    const kept = new Set(relation.keptPlaces);
    const old = before ?? after?.map((value, i) => (kept.has(i) ? value : UNCHANGED)) ?? null;
    if (old && !take(old, relation)) return null;
  }
  return needed;
}
