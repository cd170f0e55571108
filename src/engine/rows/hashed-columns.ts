import { rowHash } from "../../kit/row-hash.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Value, Values } from "../../contracts/values.ts";
import { sentIdentity } from "../delivery/sent-keeper.ts";
import type { Mapping } from "../mapping/compile.ts";

const places = new WeakMap<Mapping, readonly number[]>();

/** Places of what decides whether a row is to be sent again: the key, and what the map, the match and the where read; by name. */
export function hashedPlaces(mapping: Mapping): readonly number[] {
  let found = places.get(mapping);
  if (found === undefined) {
    const { columns } = mapping.relation;
    const nameOf = (place: number): string => columns[place]!.name;
    found = [...new Set([...mapping.identity, ...mapping.reads])].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    places.set(mapping, found);
  }
  return found;
}

export function hashOf(mapping: Mapping, row: Values): string {
  return rowHash(hashedPlaces(mapping).map((place): Value => row[place]!));
}

/** What the rows of an index are told apart by, and what is hashed: with another, nothing is known of what was sent. */
export function rowIdentity(sync: Sync, mapping: Mapping): string {
  const names = hashedPlaces(mapping).map((place) => mapping.relation.columns[place]!.name);
  const map = sync.map?.map((field) => ({ ...field, at: "" })) ?? null;
  return JSON.stringify([sentIdentity(sync, mapping), names, map]);
}
