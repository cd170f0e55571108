// What must still be true for a position to mean the same place, and what it takes to find it on another server.
import { TailraceError } from "../../contracts/errors.ts";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { type GtidSet, extendedTo, formatGtidSet, parseGtidSet } from "./gtid-set.ts";
import { type GtidState, formatGtidState, parseGtidState, withGtid } from "./gtid-state.ts";
import { type Place, parsePosition } from "./position.ts";
import type { ReadFrom } from "./read-from.ts";

/** What is surely in the log at or before a place. */
export type Done =
  | { readonly mariadb: false; readonly set: GtidSet }
  | { readonly mariadb: true; readonly state: GtidState };

export interface Incarnation {
  /** See Server.identity. */
  readonly server: string;
  readonly epoch: number;
  readonly done: Done;
  /** What the queries meant, by the names of their models. */
  readonly meanings?: Readonly<Record<string, string>> | undefined;
}

export function formatIncarnation({ server, epoch, done, meanings }: Incarnation): string {
  const gtids = done.mariadb ? formatGtidState(done.state) : formatGtidSet(done.set);
  return JSON.stringify({ kind: done.mariadb ? "mariadb" : "mysql", server, epoch, gtids, meanings });
}

/** Throws `source.gap.cluster` on what is none. */
export function parseIncarnation(text: string): Incarnation {
  try {
    const { kind, server, epoch, gtids, meanings } = JSON.parse(text) as Record<string, unknown>;
    if (typeof server === "string" && typeof epoch === "number" && typeof gtids === "string") {
      const about = { server, epoch, meanings: meanings as Incarnation["meanings"] };
      if (kind === "mariadb") return { ...about, done: { mariadb: true, state: parseGtidState(gtids) } };
      if (kind === "mysql") return { ...about, done: { mariadb: false, set: parseGtidSet(gtids) } };
    }
  } catch {
    // Said below.
  }
  throw new TailraceError("source.gap.cluster", "the checkpoint was not made by this kind of source");
}

export interface Stored {
  readonly checkpoint: SourceCheckpoint;
  readonly place: Place;
  readonly incarnation: Incarnation;
}

export function readStored(checkpoint: SourceCheckpoint): Stored {
  return {
    checkpoint,
    place: parsePosition(checkpoint.position),
    incarnation: parseIncarnation(checkpoint.incarnation),
  };
}

/**
 * What is done at a place, by what was done when reading began and by the GTID of the place. Never too much: what is missing
 * is handed on again. Within a transaction, that one is not done.
 */
export function doneAt(before: Done, place: Place, uuids: readonly string[]): Done {
  if (place.gtid === "") return before;
  if (before.mariadb) {
    if (place.ordinal > 0) return before;
    const [domain = "", server = "", number = ""] = place.gtid.split("_");
    return { mariadb: true, state: withGtid(before.state, { domain, server, number: BigInt(number) }) };
  }
  const [prefix = "", number = ""] = place.gtid.split("_");
  const uuid = fullUuid(prefix, [...before.set.keys(), ...uuids]);
  const last = BigInt(number) - (place.ordinal > 0 ? 1n : 0n);
  return { mariadb: false, set: extendedTo(before.set, { uuid, number: last }) };
}

function fullUuid(prefix: string, known: readonly string[]): string {
  const found = new Set(known.filter((uuid) => uuid.startsWith(prefix)));
  if (found.size === 1) return [...found][0]!;
  throw new TailraceError(
    "source.gap.cluster",
    found.size === 0
      ? "the server does not have the transactions that were read last: its history is another one"
      : "two servers whose UUIDs begin alike: which one's transactions were read last cannot be told",
  );
}

/** How another server is told where to go on after `place`. */
export function fromGtids(before: Done, place: Place, epoch: number, uuids: readonly string[]): ReadFrom {
  const done = doneAt(before, place, uuids);
  const start: Place = { epoch, file: 0, offset: 0, ordinal: 0, begun: 0, gtid: "" };
  if (!done.mariadb) return { by: "gtid", epoch, place: start, set: done.set };
  const [domain = "", , number = ""] = place.gtid.split("_");
  const inside = place.ordinal > 0 && place.gtid !== "";
  return {
    by: "gtid",
    epoch,
    place: start,
    state: done.state,
    ...(inside && { doneOfDomain: { domain, before: BigInt(number) } }),
  };
}
