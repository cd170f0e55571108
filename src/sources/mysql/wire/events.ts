// The events of the binary log: their numbers, and what stands in those that hold no rows.
import { inflateSync } from "node:zlib";

export const EVENT = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  appendBlock: 9,
  deleteFile: 11,
  rand: 13,
  userVar: 14,
  formatDescription: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  taggedGtid: 42,
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  writeRowsCompressedV1: 166,
  updateRowsCompressedV1: 167,
  deleteRowsCompressedV1: 168,
  writeRowsCompressed: 169,
  updateRowsCompressed: 170,
  deleteRowsCompressed: 171,
} as const;

/** What says nothing to us. */
export const SILENT_EVENTS: ReadonlySet<number> = new Set([
  EVENT.stop,
  EVENT.intvar,
  EVENT.appendBlock,
  EVENT.deleteFile,
  EVENT.rand,
  EVENT.userVar,
  EVENT.beginLoadQuery,
  EVENT.heartbeat,
  EVENT.heartbeatV2,
  EVENT.ignorable,
  EVENT.rowsQuery,
  EVENT.previousGtids,
  EVENT.transactionContext,
  EVENT.viewChange,
  EVENT.annotateRows,
  EVENT.binlogCheckpoint,
  EVENT.mariadbGtidList,
  EVENT.startEncryption,
]);

export interface Header {
  /** Seconds since the epoch. */
  timestamp: number;
  type: number;
  serverId: number;
  size: number;
  /** Where the event ends in its file, by its low 32 bits; 0: it is not in the file. */
  endPosition: number;
  flags: number;
}

export const HEADER_BYTES = 19;
/** The server made it up for us. */
export const ARTIFICIAL = 0x20;
export const IGNORABLE = 0x80;

export function readHeader(buffer: Buffer, from: number, into: Header): void {
  into.timestamp = buffer.readUInt32LE(from);
  into.type = buffer[from + 4]!;
  into.serverId = buffer.readUInt32LE(from + 5);
  into.size = buffer.readUInt32LE(from + 9);
  into.endPosition = buffer.readUInt32LE(from + 13);
  into.flags = buffer.readUInt16LE(from + 17);
}

export interface QueryEvent {
  readonly database: string;
  readonly sql: string;
}

/** `from`: behind the header. `extra`: what a LOAD DATA statement has before its text. */
export function readQuery(
  buffer: Buffer,
  from: number,
  to: number,
  { compressed = false, extra = 0 }: { compressed?: boolean; extra?: number } = {},
): QueryEvent {
  const databaseLength = buffer[from + 8]!;
  const at = from + 13 + extra + buffer.readUInt16LE(from + 11);
  const database = buffer.toString("utf8", at, at + databaseLength);
  const text = at + databaseLength + 1;
  return {
    database,
    sql: compressed ? inflated(buffer, text, to).toString("utf8") : buffer.toString("utf8", text, to),
  };
}

/** MariaDB's compressed part of an event: a byte with the length of the length, the length (big-endian), and zlib's stream. */
export function inflated(buffer: Buffer, from: number, to: number): Buffer {
  const lengthBytes = buffer[from]! & 0x07;
  const length = buffer.readUIntBE(from + 1, lengthBytes);
  return inflateSync(buffer.subarray(from + 1 + lengthBytes, to), { maxOutputLength: Math.max(1, length) });
}

/** The number in a file's name, `binlog.000042`. */
export function fileNumber(name: string): number {
  return Number(/\.(\d+)$/.exec(name)?.[1] ?? Number.NaN);
}
