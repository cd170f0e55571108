import type { Change } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { BinlogChange, type BinlogTransaction } from "./binlog-change.ts";
import { type TableShape, joinImages, keyOnly, readImage, readRow } from "./table-shape.ts";
import type { RowCursor } from "./values/decoders.ts";
import { EVENT, inflated } from "./wire/events.ts";
import { lengthEncoded } from "./wire/table-map.ts";

export interface RowEventKind {
  readonly op: "insert" | "update" | "delete";
  /** With room for more in front of the rows. */
  readonly second: boolean;
  readonly compressed: boolean;
}

function kind(op: RowEventKind["op"], second: boolean, compressed = false): RowEventKind {
  return { op, second, compressed };
}

/** By the event's number. */
export const ROW_EVENTS: ReadonlyMap<number, RowEventKind> = new Map([
  [EVENT.writeRowsV1, kind("insert", false)],
  [EVENT.updateRowsV1, kind("update", false)],
  [EVENT.deleteRowsV1, kind("delete", false)],
  [EVENT.writeRows, kind("insert", true)],
  [EVENT.updateRows, kind("update", true)],
  [EVENT.deleteRows, kind("delete", true)],
  [EVENT.writeRowsCompressedV1, kind("insert", false, true)],
  [EVENT.updateRowsCompressedV1, kind("update", false, true)],
  [EVENT.deleteRowsCompressedV1, kind("delete", false, true)],
  [EVENT.writeRowsCompressed, kind("insert", true, true)],
  [EVENT.updateRowsCompressed, kind("update", true, true)],
  [EVENT.deleteRowsCompressed, kind("delete", true, true)],
]);

/** The number of the table that the rows are of. `from`: behind the header. */
export function tableNumber(buffer: Buffer, from: number): number {
  return buffer.readUIntLE(from, 6);
}

export interface RowEvent {
  readonly kind: RowEventKind;
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
  readonly shape: TableShape;
  readonly transaction: BinlogTransaction;
  /** Of the event; its rows follow. */
  readonly ordinal: number;
  /** Rows up to this ordinal were handed on before. */
  readonly skip: number;
}

const row: RowCursor = { buffer: Buffer.alloc(0), at: 0 };

/** Adds the event's rows to `changes`. */
export function readRowEvent(event: RowEvent, changes: Change[]): void {
  const { buffer, from, to, shape, transaction, skip } = event;
  const { op, second, compressed } = event.kind;
  const cursor = { buffer, at: from + 8 };
  if (second) cursor.at += buffer.readUInt16LE(cursor.at);
  const width = lengthEncoded(cursor);
  if (width !== shape.decoders.length)
    throw new TailraceError("source.protocol", "rows of another width than their table");
  const bitmap = (width + 7) >> 3;
  const old = readImage(buffer, cursor.at, width);
  cursor.at += bitmap;
  const image = op === "update" ? readImage(buffer, cursor.at, width) : old;
  if (op === "update") cursor.at += bitmap;
  row.buffer = compressed ? inflated(buffer, cursor.at, to) : buffer;
  row.at = compressed ? 0 : cursor.at;
  const end = compressed ? row.buffer.length : to;
  const relation = op === "insert" || old.whole ? shape.full : shape.keyed;
  let { ordinal } = event;
  while (row.at < end) {
    ordinal += 1;
    const one = readRow(row, old, shape);
    const two = op === "update" ? readRow(row, image, shape) : null;
    if (ordinal <= skip) continue;
    let before: Change["before"] = op === "insert" ? null : one;
    let after: Change["after"] = op === "insert" ? one : two;
    if (op === "update" && !old.whole) ({ before, after } = joinImages(one, two!, relation));
    else if (op === "delete" && !old.whole) before = keyOnly(one, relation);
    changes.push(new BinlogChange(op, relation, before, after, transaction, ordinal));
  }
  if (row.at !== end) throw new TailraceError("source.protocol", "rows that go beyond their event");
}
