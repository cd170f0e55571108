// How rows of an index cross from SQLite to the thread that asks, and back: as JSON, because one text is copied faster than many values.
import type { IndexedRow, SentRow } from "../../contracts/row-index.ts";

/** Key, record, identity, hash. */
export type RowText = readonly [string, string | null, readonly string[] | null, string | null];

/** Place, version, confirmed (1 or 0), hash ("": none), record, identity. null: not in the index. */
export type FoundText = readonly [number, number, number, string, string | null, readonly string[] | null] | null;

export function toText({ key, recordKey, identity, hash }: SentRow): RowText {
  return [key, recordKey, identity, hash];
}

export function rowOf([key, recordKey, identity, hash]: RowText): SentRow {
  return { key, recordKey, identity, hash };
}

export function toFound(key: string, text: FoundText): IndexedRow | null {
  if (text === null) return null;
  const [place, version, confirmed, hash, recordKey, identity] = text;
  return { key, recordKey, identity, hash: hash === "" ? null : hash, place, version, confirmed: confirmed === 1 };
}
