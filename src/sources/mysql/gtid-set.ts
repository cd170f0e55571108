// MySQL's sets of transactions, as `@@gtid_executed` prints them: `uuid:1-5:7,uuid:9`. Sets do not change.
import { TailraceError } from "../../contracts/errors.ts";

type Interval = readonly [first: bigint, last: bigint];
/** Intervals by the server's UUID (lower case), ascending, apart from one another. */
export type GtidSet = ReadonlyMap<string, readonly Interval[]>;

export interface Gtid {
  readonly uuid: string;
  readonly number: bigint;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Throws `source.config` on tags (MySQL 8.3 and later), which this version does not read. */
export function parseGtidSet(text: string): GtidSet {
  const set = new Map<string, readonly Interval[]>();
  for (const part of text.replaceAll(/\s/g, "").split(",")) {
    if (part === "") continue;
    const [uuid = "", ...ranges] = part.toLowerCase().split(":");
    if (!UUID.test(uuid)) throw new TailraceError("source.protocol", "a set of GTIDs that cannot be read");
    const intervals = ranges.map((range): Interval => {
      const parts = /^(\d+)(?:-(\d+))?$/.exec(range);
      if (!parts) throw new TailraceError("source.config", "transactions with tagged GTIDs cannot be read yet");
      return [BigInt(parts[1]!), BigInt(parts[2] ?? parts[1]!)];
    });
    set.set(uuid, merged([...(set.get(uuid) ?? []), ...intervals]));
  }
  return set;
}

export function formatGtidSet(set: GtidSet): string {
  return [...set]
    .map(([uuid, intervals]) => [uuid, ...intervals.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`))].join(":"))
    .join(",");
}

export function hasGtid(set: GtidSet, { uuid, number }: Gtid): boolean {
  return (set.get(uuid) ?? []).some(([first, last]) => first <= number && number <= last);
}

/**
 * The set with everything up to this transaction, from the end of what it has of that server before: a server's
 * transactions are in its log in the order of their numbers.
 */
export function extendedTo(set: GtidSet, { uuid, number }: Gtid): GtidSet {
  if (number < 1n) return set;
  const intervals = set.get(uuid) ?? [];
  const before = intervals.filter(([first]) => first <= number).at(-1);
  const from = before === undefined ? 1n : before[1] + 1n;
  return from > number ? set : new Map(set).set(uuid, merged([...intervals, [from, number]]));
}

function merged(intervals: readonly Interval[]): readonly Interval[] {
  const sorted = [...intervals].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  const result: Interval[] = [];
  for (const [first, last] of sorted) {
    const before = result.at(-1);
    if (before !== undefined && first <= before[1] + 1n) {
      result[result.length - 1] = [before[0], last > before[1] ? last : before[1]];
    } else {
      result.push([first, last]);
    }
  }
  return result;
}

/** As COM_BINLOG_DUMP_GTID wants it; the end of an interval is the first number that is not in it. */
export function encodeGtidSet(set: GtidSet): Buffer {
  const parts = [uint64(BigInt(set.size))];
  for (const [uuid, intervals] of set) {
    parts.push(Buffer.from(uuid.replaceAll("-", ""), "hex"), uint64(BigInt(intervals.length)));
    for (const [first, last] of intervals) parts.push(uint64(first), uint64(last + 1n));
  }
  return Buffer.concat(parts);
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
