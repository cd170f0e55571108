// A position is `LLLLLLLLLLLLLLLL-OOOOOOOO`: a place in the write-ahead log and an ordinal, both in hex, so that
// string order is log order.
//
// - The n-th row of a transaction: (where its commit record starts, n), n from 1.
// - The end of a transaction: (where its commit record ends, 0).
// - Nothing of ours up to here: (where the server has read to, 0).
//
// A commit record may start exactly where the last one ended. Rows count from 1, so the order stays strict.
// Everything that the log holds in a transaction whose commit record starts at or after a position's LSN is sent
// again when reading starts there; hence a half-read transaction is resumed by its ordinal.
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";

const SHAPE = /^([0-9a-f]{16})-([0-9a-f]{8})$/;

const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
let upperValue = 0;
let upper = "000000";

/** 8 hex digits. Ordinals are asked for one after the other, so the digits before the last two are mostly those of the last call. */
export function hex8(value: number): string {
  const most = value >>> 8;
  if (most !== upperValue) {
    upperValue = most;
    upper = most.toString(16).padStart(6, "0");
  }
  return upper + BYTES[value & 0xff]!;
}

/** The part of a position that its LSN makes, with the dash; an ordinal of 8 hex digits completes it. */
export function prefixOf(lsn: bigint): string {
  return `${lsn.toString(16).padStart(16, "0")}-`;
}

export function positionAt(lsn: bigint, ordinal = 0): Position {
  return prefixOf(lsn) + hex8(ordinal);
}

/** Throws `internal.defect` on a text that is no position of ours. */
export function parsePosition(position: Position): { readonly lsn: bigint; readonly ordinal: number } {
  const parts = SHAPE.exec(position);
  if (!parts) throw new TailraceError("internal.defect", `not a PostgreSQL position: ${position.slice(0, 40)}`);
  return { lsn: BigInt(`0x${parts[1]}`), ordinal: Number.parseInt(parts[2]!, 16) };
}

export function lsnOf(position: Position): bigint {
  return parsePosition(position).lsn;
}

/** As the server writes it: `16/B374D848`. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

export function parseLsn(text: string): bigint {
  const parts = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!parts) throw new TailraceError("internal.defect", `not an LSN: ${text.slice(0, 40)}`);
  return (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`);
}
