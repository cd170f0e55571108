// A position is `EEEE-FFFFFFFF-OOOOOOOOOO-RRRRRRRRRRRRRR-TTTTTTTT-GTID`, all in hex but the last:
//
// - E: the epoch, one more each time that the source is another server than before (a failover);
// - F and O: the number of the binary log's file, and the offset in it where the transaction begins;
// - R: the ordinal within the transaction: the number of the event that the row is in, and of the row in that event;
// - T: when the file was begun, to know the file again;
// - GTID: of a row's own transaction, or of the last one before.
//
// Where a transaction ends the next one begins: (that offset, ordinal 0) is the end of the one and before every row of
// the other. The first three parts decide the order with the ordinal; the rest follows from them. Reading starts
// anew at (F, O) on the same server, where the transaction is skipped up to R, and by GTID on another.
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";

export interface Place {
  readonly epoch: number;
  /** The number in the file's name. */
  readonly file: number;
  readonly offset: number;
  readonly ordinal: number;
  /** The timestamp of the file's first event, in seconds. */
  readonly begun: number;
  /** As {@link mysqlGtidPart} or {@link mariadbGtidPart} write it; "": there is none yet. */
  readonly gtid: string;
}

const SHAPE = /^([0-9a-f]{4})-([0-9a-f]{8})-([0-9a-f]{10})-([0-9a-f]{14})-([0-9a-f]{8})-([0-9a-z_]*)$/;
/** Rows in one event. */
export const ROWS_IN_EVENT = 2 ** 24;

export function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

/** What comes before the ordinal in a position. It is less than every position at that place. */
export function startOf(epoch: number, file: number, offset: number): string {
  return `${hex(epoch, 4)}-${hex(file, 8)}-${hex(offset, 10)}-`;
}

/** What comes after the ordinal. */
export function endOf(begun: number, gtid: string): string {
  return `-${hex(begun, 8)}-${gtid}`;
}

export function positionAt({ epoch, file, offset, ordinal, begun, gtid }: Place): Position {
  return startOf(epoch, file, offset) + hex(ordinal, 14) + endOf(begun, gtid);
}

export function ordinalText(ordinal: number): string {
  return hex(ordinal, 14);
}

/** Throws `source.gap.cluster` on a text that is no position of ours: another kind of source made it. */
export function parsePosition(position: Position): Place {
  const parts = SHAPE.exec(position);
  if (!parts) throw new TailraceError("source.gap.cluster", "the checkpoint was not made by this kind of source");
  const [epoch, file, offset, ordinal, begun] = parts.slice(1, 6).map((part) => Number.parseInt(part, 16));
  return { epoch: epoch!, file: file!, offset: offset!, ordinal: ordinal!, begun: begun!, gtid: parts[6]! };
}

/** A server's UUID and a number: the UUID is known again by its beginning among those that the server has. */
export function mysqlGtidPart(uuid: string, number: bigint): string {
  return `${uuid.slice(0, 8)}_${number}`;
}

export function mariadbGtidPart(domain: string, server: string, number: bigint): string {
  return `${domain}_${server}_${number}`;
}
