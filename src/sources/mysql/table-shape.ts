// How the rows of one shape of a table are read.
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import type { DecodeValue, RowCursor } from "./values/decoders.ts";

export interface TableShape {
  /** One a column of the log. */
  readonly decoders: readonly DecodeValue[];
  /** Its place in the relation; -1: it is not read. */
  readonly places: readonly number[];
  /** Of events whose old rows are whole, and of others. Of the same columns. */
  readonly full: Relation;
  readonly keyed: Relation;
}

/** Bits of columns that a row image holds. */
export interface Image {
  readonly present: readonly number[];
  /** Every column of the table. */
  readonly whole: boolean;
}

export function readImage(buffer: Buffer, from: number, width: number): Image {
  const present: number[] = [];
  for (let i = 0; i < width; i += 1) if (((buffer[from + (i >> 3)]! >> (i & 7)) & 1) === 1) present.push(i);
  return { present, whole: present.length === width };
}

/** Reads one image; columns that it does not hold are {@link UNCHANGED}. */
export function readRow(row: RowCursor, image: Image, shape: TableShape): Value[] {
  const { present } = image;
  const { decoders, places, full } = shape;
  const { buffer } = row;
  const nulls = row.at;
  row.at += (present.length + 7) >> 3;
  const values: Value[] = image.whole ? [] : full.columns.map(() => UNCHANGED);
  for (let i = 0; i < present.length; i += 1) {
    const column = present[i]!;
    const place = places[column]!;
    const isNull = ((buffer[nulls + (i >> 3)]! >> (i & 7)) & 1) === 1;
    if (isNull) {
      if (place >= 0) values[place] = null;
      continue;
    }
    const value = decoders[column]!(row);
    if (place >= 0) values[place] = value;
  }
  return values;
}

/**
 * The rows of an update as a change has them, where the old one is not whole. What the new image leaves out did not change; its key is
 * then in the old one, and the old row says no more than a key that did change.
 */
export function joinImages(
  before: readonly Value[],
  after: Value[],
  relation: Relation,
): { readonly before: Value[] | null; readonly after: Value[] } {
  let keyChanged = false;
  for (const place of relation.key) {
    if (after[place] === UNCHANGED) after[place] = before[place]!;
    else if (before[place] !== UNCHANGED && before[place] !== after[place]) keyChanged = true;
    if (after[place] === UNCHANGED) throw noKey(relation);
  }
  return { before: keyChanged ? keyOnly(before, relation) : null, after };
}

/** The old row of a delete whose image is not whole. */
export function keyOnly(row: readonly Value[], relation: Relation): Value[] {
  const values: Value[] = row.map(() => UNCHANGED);
  for (const place of relation.key) {
    if (row[place] === UNCHANGED) throw noKey(relation);
    values[place] = row[place]!;
  }
  return values;
}

function noKey({ namespace, name }: Relation): TailraceError {
  return new TailraceError(
    "source.gap.unreadable",
    `the log does not hold the key of changed rows of ${namespace}.${name}: with binlog_row_image=MINIMAL, the key must be the primary key`,
  );
}
