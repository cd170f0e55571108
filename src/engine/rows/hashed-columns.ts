import { hash } from "node:crypto";
import { rowHash } from "../../kit/row-hash.ts";
import type { RowIndexOptions } from "../../contracts/row-index.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Value, Values } from "../../contracts/values.ts";
import { sentIdentity } from "../delivery/sent-keeper.ts";
import type { Mapping } from "../mapping/compile.ts";

const places = new WeakMap<Mapping, readonly number[]>();
const contents = new WeakMap<Mapping, string>();

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

/** Names of {@link hashedPlaces}. */
export function hashedNames(mapping: Mapping): readonly string[] {
  return hashedPlaces(mapping).map((place) => mapping.relation.columns[place]!.name);
}

/** A row as it would be sent. `mapping`: of this sync. */
export function hashOf(sync: Sync, mapping: Mapping, row: Values): string {
  return rowHash([contentOf(sync, mapping), ...hashedPlaces(mapping).map((place): Value => row[place]!)]);
}

/** What is made of a row before it is sent: with another, every row that was sent is other. The order of fields says nothing. */
export function contentOf(sync: Sync, mapping: Mapping): string {
  let content = contents.get(mapping);
  if (content === undefined) {
    const map = sync.map?.map((field) => ({ ...field, at: "" })).sort((a, b) => (a.field < b.field ? -1 : 1));
    const means = sync.mode === "mirror" ? "upsert" : sync.mode;
    content = digest([map ?? null, hashedNames(mapping), means], CONTENT_DIGITS);
    contents.set(mapping, content);
  }
  return content;
}

/** What was sent is not told again by these modes, whatever is made of it now. */
export function tellsOnce({ mode }: Pick<Sync, "mode">): boolean {
  return mode === "event" || mode === "insert";
}

/** What an index of this sync's rows is opened with. Constants and templates, which may hold secrets, are in it as a digest. */
export function identifies(sync: Sync, mapping: Mapping): Pick<RowIndexOptions, "identity" | "content"> {
  const content = contentOf(sync, mapping);
  // Then nothing is known of what was told, and nothing is told anew.
  return {
    identity: digest([sentIdentity(sync, mapping), tellsOnce(sync) ? content : null], IDENTITY_DIGITS),
    content,
  };
}

function digest(value: unknown, digits: number): string {
  return hash("sha256", JSON.stringify(value)).slice(0, digits);
}

/** Every hash of a row is made with it, so it is short. */
const CONTENT_DIGITS = 12;
const IDENTITY_DIGITS = 32;
