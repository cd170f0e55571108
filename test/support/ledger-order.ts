// What a ledger says of order and repeats. Kept apart on purpose:
//
// - an *inversion* is a first delivery that is older than another first delivery of its key: never allowed;
// - a *regression* is a repeat (same id) of something older than what its key has seen since: never allowed either
//   (a batch that was not acknowledged may hold two versions of a key, and is sent again whole: that is none);
// - a *replay* is a first delivery after a restart of something sent before it: inherent to at-least-once, to be bounded.
//
// "First" and "since" are counted by window: a mark `restart` opens a new one, because a process that was killed may
// begin again anywhere after its last checkpoint. Within a window the order must be whole.
import type { LedgerEntry, LedgerRequest, LedgerRow } from "./ledger.ts";

/** A mark that opens a new window. */
export const RESTART = "restart";

export interface OutOfOrder {
  readonly key: string;
  readonly window: number;
  /** The request that carried the older row. */
  readonly seq: number;
  readonly id: string;
  readonly version: bigint | null;
  readonly position: string | null;
  /** What had been seen already. */
  readonly seen: { readonly version: bigint | null; readonly position: string | null };
}

export interface WindowCounts {
  readonly rows: number;
  /** Rows seen for the first time in this window, but not for the first time. */
  readonly replays: number;
  /** Repeats of an id within the window that no whole answer had acknowledged: due. */
  readonly retries: number;
  /** Repeats of an id that had been acknowledged in this very window: not due. */
  readonly needless: number;
}

export interface OrderReport {
  readonly inversions: readonly OutOfOrder[];
  readonly regressions: readonly OutOfOrder[];
  readonly windows: readonly WindowCounts[];
}

/** The report on one ledger. Rows with neither a version nor a position cannot be ordered and only count. */
export function orderOf(entries: readonly LedgerEntry[]): OrderReport {
  const inversions: OutOfOrder[] = [];
  const regressions: OutOfOrder[] = [];
  const windows: { -readonly [K in keyof WindowCounts]: WindowCounts[K] }[] = [];
  const everSeen = new Set<string>();
  let newest = new Map<string, Newest>();
  let inWindow = new Map<string, { seq: number; acknowledged: boolean }>();
  let counts = open();

  function open(): { -readonly [K in keyof WindowCounts]: WindowCounts[K] } {
    const fresh = { rows: 0, replays: 0, retries: 0, needless: 0 };
    windows.push(fresh);
    newest = new Map();
    inWindow = new Map();
    return fresh;
  }

  for (const entry of entries) {
    if (entry.kind === "mark") {
      if (entry.label === RESTART) counts = open();
      continue;
    }
    for (const row of entry.rows) {
      counts.rows += 1;
      const before = newest.get(row.key) ?? NOTHING;
      const repeat = inWindow.get(row.id);
      if (isOlder(row, before)) {
        const found = describe(row, entry, windows.length - 1, before);
        if (repeat === undefined) inversions.push(found);
        else if (before.acknowledged || before.seq !== repeat.seq) regressions.push(found);
      }
      if (repeat === undefined) {
        if (everSeen.has(row.id)) counts.replays += 1;
        everSeen.add(row.id);
        inWindow.set(row.id, { seq: entry.seq, acknowledged: row.acknowledged });
      } else {
        if (repeat.acknowledged) counts.needless += 1;
        else counts.retries += 1;
        repeat.acknowledged ||= row.acknowledged;
        repeat.seq = entry.seq;
      }
      newest.set(row.key, later(before, row, entry.seq));
    }
  }
  return { inversions, regressions, windows };
}

export function inversions(entries: readonly LedgerEntry[]): readonly OutOfOrder[] {
  return orderOf(entries).inversions;
}

interface Newest {
  readonly version: bigint | null;
  /** Only of changes: a row that was read has its position from elsewhere. */
  readonly position: string | null;
  /** The request that carried it last, and whether it was acknowledged. */
  readonly seq: number;
  readonly acknowledged: boolean;
}

const NOTHING: Newest = { version: null, position: null, seq: -1, acknowledged: false };

function isOlder(row: LedgerRow, newest: Newest): boolean {
  if (row.version !== null && newest.version !== null && row.version < newest.version) return true;
  const position = changePosition(row);
  return position !== null && newest.position !== null && position < newest.position;
}

function later(newest: Newest, row: LedgerRow, seq: number): Newest {
  if (isOlder(row, newest)) return newest;
  return {
    version: row.version ?? newest.version,
    position: changePosition(row) ?? newest.position,
    seq,
    acknowledged: row.acknowledged,
  };
}

function changePosition(row: LedgerRow): string | null {
  return row.committedAt === null ? null : row.position;
}

function describe(row: LedgerRow, { seq }: LedgerRequest, window: number, seen: Newest): OutOfOrder {
  const { key, id, version, position } = row;
  return { key, window, seq, id, version, position, seen: { version: seen.version, position: seen.position } };
}

export interface Overlap {
  readonly key: string;
  readonly first: number;
  readonly second: number;
}

/**
 * Pairs of requests (by `seq`) that were in flight at once with a row of the same key in both. A request is in flight
 * from its first byte until just before its answer's last byte, or until its connection ended.
 */
export function overlaps(entries: readonly LedgerEntry[]): readonly Overlap[] {
  const found: Overlap[] = [];
  const open = new Map<string, LedgerRequest[]>();
  for (const entry of entries) {
    if (entry.kind === "mark") continue;
    for (const key of new Set(entry.rows.map((row) => row.key))) {
      const still = (open.get(key) ?? []).filter(({ endedNs }) => endedNs === null || endedNs > entry.arrivedNs);
      for (const { seq } of still) found.push({ key, first: seq, second: entry.seq });
      open.set(key, [...still, entry]);
    }
  }
  return found;
}

/** Ids that were used for two different things: another key, op or position. */
export function idConflicts(entries: readonly LedgerEntry[]): readonly string[] {
  const meaning = new Map<string, string>();
  const conflicts = new Set<string>();
  for (const row of rowsOf(entries)) {
    const mine = JSON.stringify([row.key, row.op, row.position]);
    const other = meaning.get(row.id);
    if (other === undefined) meaning.set(row.id, mine);
    else if (other !== mine) conflicts.add(row.id);
  }
  return [...conflicts];
}

/**
 * Requests that began while an earlier answer's `Retry-After` had not run out, and were sent after that answer. The first
 * `onTheirWay` requests after an answer may have been sent before it was read: as many as the sender has in flight.
 */
export function hastyRequests(entries: readonly LedgerEntry[], onTheirWay = 0): readonly number[] {
  const hasty: number[] = [];
  let answers: { readonly fromNs: bigint; readonly untilNs: bigint; excused: number }[] = [];
  for (const entry of entries) {
    if (entry.kind === "mark") continue;
    answers = answers.filter(({ untilNs }) => untilNs > entry.arrivedNs);
    const earlier = answers.filter(({ fromNs }) => fromNs < entry.arrivedNs);
    if (earlier.some(({ excused }) => excused >= onTheirWay)) hasty.push(entry.seq);
    for (const answer of earlier) answer.excused += 1;
    if (entry.retryAfterMs !== null && entry.answeredNs !== null) {
      const fromNs = entry.answeredNs;
      answers.push({ fromNs, untilNs: fromNs + BigInt(entry.retryAfterMs) * 1_000_000n, excused: 0 });
    }
  }
  return hasty;
}

export function* rowsOf(entries: readonly LedgerEntry[]): Generator<LedgerRow> {
  for (const entry of entries) if (entry.kind === "request") yield* entry.rows;
}
