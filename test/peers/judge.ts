import type { LedgerEntry } from "../support/ledger.ts";
import { hastyRequests, orderOf, overlaps } from "../support/ledger-order.ts";
import { type TextDatabase, compareStates, fold, tableState } from "../support/oracle.ts";

/**
 * What both write alike. Left out: `seen_at` and `amount`, of which Debezium prints some in a form of its own (NaN as "NAN"), and
 * `note`, which it cannot know of a row whose key changed (an unchanged long value is not in the log).
 */
const COMPARED = ["id", "version", "name", "active", "doc"];

/** A request may lie in a socket for so long before the receiver reads it. */
const ON_ITS_WAY_MS = 100;

export interface Verdict {
  /** Rows that the source has and the receiver has not, or not as they are, or the other way round. */
  readonly lost: number;
  readonly inversions: number;
  /** Pairs of requests with one key that were on their way at the same time. */
  readonly overlaps: number;
  /** Requests inside another answer's Retry-After window. */
  readonly hasty: number;
  readonly requests: number;
  /** Rows that were sent again after each restart: one number a restart. */
  readonly repeats: readonly number[];
}

/** The ledger against the table. `where`: rows that count, as SQL and as a predicate over keys. */
export async function judge(
  entries: readonly LedgerEntry[],
  database: TextDatabase,
  table: string,
  where?: { readonly sql: string; readonly key: (key: string) => boolean },
): Promise<Verdict> {
  const mapping = Object.fromEntries(COMPARED.map((name) => [name, name]));
  const expected = await tableState(database, { table, key: ["id"], mapping, where: where?.sql });
  const actual = new Map([...fold(entries)].filter(([key]) => where?.key(key) ?? true));
  const { lost, extra, different } = compareStates(expected, actual);
  const { inversions, windows } = orderOf(entries);
  return {
    lost: lost.length + extra.length + new Set(different.map(({ key }) => key)).size,
    inversions: inversions.length,
    overlaps: overlaps(entries).length,
    hasty: hastyRequests(entries, ON_ITS_WAY_MS).length,
    requests: entries.filter(({ kind }) => kind === "request").length,
    repeats: windows.slice(1).map(({ replays }) => replays),
  };
}
