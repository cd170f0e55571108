import type { IndexedRow, SentRow } from "../../contracts/row-index.ts";

/** What a row becomes when it is announced. */
export interface AnnouncedRow extends SentRow {
  readonly place: number;
  readonly version: number;
}

export interface Announcement {
  /** One a row; `version` is the answer. */
  readonly rows: readonly AnnouncedRow[];
  /** Keys that were not in the index. */
  readonly added: readonly string[];
  /** The greatest version that was ever given, now. */
  readonly last: number;
}

/** See {@link RowIndex.announce}: far more than are announced over months, and exact numbers until the year 2255. */
const VERSIONS_PER_MS = 1_000;

/**
 * What an announcement makes of the rows that are in the index (`known`, one a row). `places`: free ones, at least as many as rows
 * are not in it. `last`: the greatest version until now.
 */
export function announced(
  rows: readonly SentRow[],
  known: readonly (IndexedRow | null)[],
  places: readonly number[],
  last: number,
): Announcement {
  const added: string[] = [];
  let version = Math.max(last, Date.now() * VERSIONS_PER_MS);
  const next = rows.map((row, at): AnnouncedRow => {
    const before = known[at] ?? null;
    if (before === null) {
      added.push(row.key);
      version += 1;
      return { ...row, place: places[added.length - 1]!, version };
    }
    const { place } = before;
    const isRepeat = !before.confirmed && before.hash === row.hash && before.recordKey === row.recordKey;
    if (isRepeat) return { ...row, place, version: before.version };
    version += 1;
    return { ...row, place, version };
  });
  return { rows: next, added, last: version };
}
