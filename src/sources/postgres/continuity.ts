// Is the log unbroken from where we stopped? What must still be true for a stored position to mean the same place.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { lsnOf, lsnText, parseLsn } from "./position.ts";
import type { Publication } from "./publication.ts";
import type { Slot } from "./slot.ts";

export interface Cluster {
  readonly systemId: string;
  readonly timeline: string;
  readonly databaseOid: string;
  /** How far the log goes. */
  readonly walEnd: bigint;
}

interface Incarnation {
  readonly systemId: string;
  readonly timeline: string;
  readonly database: string;
  readonly slot: string;
  readonly publication: readonly [oid: string, version: string];
  /** By table OID: the membership's version, and the table's name then. */
  readonly tables: Readonly<Record<string, readonly [version: string, name: string]>>;
  /** By the name of each query: what it meant. */
  readonly queries?: Readonly<Record<string, string>>;
}

/** `client`: connected with `replication: "database"`. */
export async function readCluster(client: pg.Client): Promise<Cluster> {
  const identity = await client.query<{ systemid: string; timeline: string }>("IDENTIFY_SYSTEM");
  const row = identity.rows[0]!;
  const wal = await client.query<{ oid: string; lsn: string }>(
    `SELECT oid::text, (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text AS lsn
       FROM pg_database WHERE datname = current_database()`,
  );
  return {
    systemId: row.systemid,
    timeline: row.timeline,
    databaseOid: wal.rows[0]!.oid,
    walEnd: parseLsn(wal.rows[0]!.lsn),
  };
}

/** `read`: OIDs of the tables that are read. A publication may hold many more. `queries`: what each means, by name. */
export function incarnationOf(
  cluster: Cluster,
  slotName: string,
  publication: Publication,
  read: readonly string[],
  queries: ReadonlyMap<string, string>,
): string {
  const tables: Record<string, readonly [string, string]> = {};
  for (const oid of read) {
    const member = publication.members.get(oid);
    if (member) tables[oid] = [member.version, member.sql];
  }
  return JSON.stringify({
    systemId: cluster.systemId,
    timeline: cluster.timeline,
    database: cluster.databaseOid,
    slot: slotName,
    publication: [publication.oid, publication.version],
    tables,
    ...(queries.size === 0 ? {} : { queries: Object.fromEntries(queries) }),
  } satisfies Incarnation);
}

function parseIncarnation(text: string): Incarnation {
  try {
    const parsed = JSON.parse(text) as Incarnation;
    if (typeof parsed.systemId === "string" && Array.isArray(parsed.publication) && parsed.tables !== null)
      return parsed;
  } catch {
    // Said below.
  }
  throw new TailraceError("source.gap.cluster", "the checkpoint was not made by this kind of source");
}

/** The slot that kept the log for this checkpoint when it was stored. Throws as {@link proveContinuity}. */
export function slotOf(stored: SourceCheckpoint): string {
  return parseIncarnation(stored.incarnation).slot;
}

/** What a query meant when this checkpoint was made; undefined: it was not read. Throws as {@link proveContinuity}. */
export function meaningThen(stored: SourceCheckpoint, query: string): string | undefined {
  return parseIncarnation(stored.incarnation).queries?.[query];
}

/** Whether everything after this checkpoint is still to be had from the slot. */
export function serves(slot: Slot | null, stored: SourceCheckpoint): slot is Slot {
  return (
    slot !== null && slot.lost === null && slot.confirmedFlush !== null && slot.confirmedFlush <= lsnOf(stored.position)
  );
}

export interface Present {
  readonly cluster: Cluster;
  /** The slot that is read, or that the slot that is read is to be copied from. */
  readonly slotName: string;
  readonly slot: Slot | null;
  /** Whether a slot is the same source's: where it kept the checkpoint and `slot` serves it too, nothing is missing. */
  readonly ofFamily: (slot: string) => boolean;
  readonly publicationName: string;
  readonly publication: Publication | null;
  /** OIDs of the tables that are read now, with its name, quoted. */
  readonly tables: ReadonlyMap<string, string>;
}

/** Throws the `source.gap` error that tells why `stored` cannot be resumed. */
export function proveContinuity(stored: SourceCheckpoint, now: Present): void {
  const then = parseIncarnation(stored.incarnation);
  const lsn = lsnOf(stored.position);
  const { cluster, slot, publication } = now;
  if (then.systemId !== cluster.systemId || then.database !== cluster.databaseOid) {
    throw new TailraceError(
      "source.gap.cluster",
      "the checkpoint was made on another cluster or database than this one",
    );
  }
  if (then.timeline !== cluster.timeline) {
    throw new TailraceError(
      "source.gap.cluster",
      `the checkpoint was made on timeline ${then.timeline}, the server is on ${cluster.timeline}: it was promoted or restored`,
    );
  }
  if (lsn > cluster.walEnd) {
    throw new TailraceError(
      "source.gap.cluster",
      `the server's log ends at ${lsnText(cluster.walEnd)}, before the checkpoint at ${lsnText(lsn)}: it was restored to an older state`,
    );
  }
  if (then.slot !== now.slotName && !now.ofFamily(then.slot)) {
    throw new TailraceError(
      "source.gap.slot_missing",
      `the checkpoint belongs to slot ${then.slot}, not to ${now.slotName}`,
    );
  }
  if (!slot) throw new TailraceError("source.gap.slot_missing", `there is no replication slot ${now.slotName}`);
  if (slot.lost) throw slotLost(slot.name, slot.lost);
  if (slot.confirmedFlush === null || slot.confirmedFlush > lsn) {
    throw new TailraceError(
      "source.gap.slot_ahead",
      `slot ${slot.name} starts at ${slot.confirmedFlush === null ? "?" : lsnText(slot.confirmedFlush)}, after the checkpoint at ${lsnText(lsn)}`,
    );
  }
  if (!publication) throw new TailraceError("source.gap.publication", `the publication ${now.publicationName} is gone`);
  const [oid, version] = then.publication;
  if (oid !== publication.oid) {
    throw new TailraceError(
      "source.gap.publication",
      `the publication ${now.publicationName} was dropped and made again`,
    );
  }
  if (version !== publication.version || !publication.everything || !publication.viaRoot) {
    throw new TailraceError(
      "source.gap.publication",
      `the options of the publication ${now.publicationName} were changed; changes may have been left out meanwhile`,
    );
  }
  for (const [table, name] of now.tables) {
    const membership = then.tables[table]?.[0];
    if (membership === undefined) {
      if (Object.values(then.tables).some(([, old]) => old === name)) {
        throw new TailraceError("source.gap.publication", `table ${name} was dropped and made again`);
      }
      // A table that the checkpoint does not know belongs to a sync that is newer than it.
      continue;
    }
    const present = publication.members.get(table)?.version;
    if (present === membership) continue;
    throw new TailraceError(
      "source.gap.publication",
      present === undefined
        ? `table ${name} was taken out of the publication ${now.publicationName}`
        : `table ${name} was taken out of the publication ${now.publicationName} and put back`,
    );
  }
}

export function slotLost(name: string, reason: string): TailraceError {
  return new TailraceError("source.gap.slot_lost", `the server gave up replication slot ${name} (${reason})`);
}

/** What changed since `opened`, while reading; null when nothing that matters did. */
export function membershipChange(
  opened: Publication,
  now: Publication | null,
  tables: ReadonlyMap<string, string>,
): string | null {
  if (!now) return "the publication was dropped";
  if (now.oid !== opened.oid) return "the publication was dropped and made again";
  if (now.version !== opened.version) return "the publication's options were changed";
  for (const [oid, name] of tables) {
    if (now.members.get(oid)?.version !== opened.members.get(oid)?.version) {
      return `table ${name} was taken out of the publication`;
    }
  }
  return null;
}
