// MariaDB's places in the log of GTIDs, as `@@gtid_binlog_pos` prints them: the last transaction of each domain,
// `0-1-42,7-2-9` (domain, server, number). States do not change.
import { TailraceError } from "../../contracts/errors.ts";

export interface DomainGtid {
  readonly domain: string;
  readonly server: string;
  readonly number: bigint;
}

/** By domain. */
export type GtidState = ReadonlyMap<string, DomainGtid>;

const SHAPE = /^(\d+)-(\d+)-(\d+)$/;

export function parseDomainGtid(text: string): DomainGtid {
  const parts = SHAPE.exec(text);
  if (!parts) throw new TailraceError("source.protocol", "a GTID that cannot be read");
  return { domain: parts[1]!, server: parts[2]!, number: BigInt(parts[3]!) };
}

export function formatDomainGtid({ domain, server, number }: DomainGtid): string {
  return `${domain}-${server}-${number}`;
}

export function parseGtidState(text: string): GtidState {
  const gtids = text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => parseDomainGtid(part.trim()));
  return new Map(gtids.map((gtid) => [gtid.domain, gtid]));
}

export function formatGtidState(state: GtidState): string {
  return [...state.values()].map(formatDomainGtid).join(",");
}

/** The state with this transaction as the last one of its domain. */
export function withGtid(state: GtidState, gtid: DomainGtid): GtidState {
  return new Map(state).set(gtid.domain, gtid);
}
