// TABLE_MAP: which table the rows that follow are of, and what their columns look like.
import { TailraceError } from "../../../contracts/errors.ts";
import { TYPE, type WireColumn } from "./types.ts";

export interface TableMap {
  readonly id: number;
  readonly database: string;
  readonly table: string;
  readonly columns: readonly WireColumn[];
}

const ID_BYTES = 6;

/** The table's id, database and name, which is all that most events are read for. `from`: behind the event's header. */
export function readTableName(
  buffer: Buffer,
  from: number,
): { readonly id: number; readonly database: string; readonly table: string; readonly next: number } {
  const id = buffer.readUIntLE(from, ID_BYTES);
  let at = from + ID_BYTES + 2;
  const databaseLength = buffer[at]!;
  const database = buffer.toString("utf8", at + 1, at + 1 + databaseLength);
  at += databaseLength + 2;
  const tableLength = buffer[at]!;
  const table = buffer.toString("utf8", at + 1, at + 1 + tableLength);
  return { id, database, table, next: at + tableLength + 2 };
}

/** `to`: before the checksum. `mariadb`: which columns count as texts differs. */
export function readTableMap(buffer: Buffer, from: number, to: number, mariadb: boolean): TableMap {
  const { id, database, table, next } = readTableName(buffer, from);
  const cursor = { buffer, at: next };
  const count = lengthEncoded(cursor);
  const types = [...buffer.subarray(cursor.at, cursor.at + count)];
  cursor.at += count;
  const metaEnd = lengthEncoded(cursor) + cursor.at;
  const kinds = types.map((type) => kindOf(type, cursor));
  cursor.at = metaEnd;
  const nullable = types.map((_, i) => ((buffer[cursor.at + (i >> 3)]! >> (i & 7)) & 1) === 1);
  cursor.at += (count + 7) >> 3;
  const optional = readOptional(cursor, to, kinds, mariadb);
  const columns = kinds.map(({ type, meta }, i): WireColumn => {
    const { unsigned, collations, names, members } = optional;
    return {
      type,
      meta,
      nullable: nullable[i]!,
      unsigned: unsigned.get(i) ?? null,
      collation: collations.get(i) ?? null,
      name: names?.[i] ?? null,
      members: members.get(i) ?? null,
    };
  });
  return { id, database, table, columns };
}

export interface Cursor {
  readonly buffer: Buffer;
  at: number;
}

export function lengthEncoded(cursor: Cursor): number {
  const { buffer } = cursor;
  const first = buffer[cursor.at]!;
  cursor.at += 1;
  if (first < 0xfb) return first;
  const bytes = first === 0xfc ? 2 : first === 0xfd ? 3 : 6;
  const value = buffer.readUIntLE(cursor.at, bytes);
  cursor.at += first === 0xfe ? 8 : bytes;
  return value;
}

interface Kind {
  readonly type: number;
  readonly meta: number;
}

function kindOf(type: number, cursor: Cursor): Kind {
  const { buffer } = cursor;
  switch (type) {
    case TYPE.float:
    case TYPE.double:
    case TYPE.blob:
    case TYPE.tinyblob:
    case TYPE.mediumblob:
    case TYPE.longblob:
    case TYPE.json:
    case TYPE.geometry:
    case TYPE.vector:
    case TYPE.blobCompressed:
    case TYPE.timestamp2:
    case TYPE.datetime2:
    case TYPE.time2:
      return { type, meta: buffer[cursor.at++]! };
    case TYPE.varchar:
    case TYPE.varcharCompressed:
    case TYPE.bit:
    case TYPE.varString: {
      const meta = buffer.readUInt16LE(cursor.at);
      cursor.at += 2;
      return { type, meta };
    }
    case TYPE.newdecimal:
    case TYPE.enum:
    case TYPE.set: {
      const meta = buffer.readUInt16BE(cursor.at);
      cursor.at += 2;
      return { type, meta };
    }
    case TYPE.string: {
      // The type proper, and a length whose two high bits hide, inverted, in the type's byte.
      const first = buffer[cursor.at++]!;
      const second = buffer[cursor.at++]!;
      if (first === TYPE.enum || first === TYPE.set) return { type: first, meta: second };
      return { type, meta: second | (((first & 0x30) ^ 0x30) << 4) };
    }
    default:
      return { type, meta: 0 };
  }
}

interface Optional {
  readonly unsigned: ReadonlyMap<number, boolean>;
  readonly collations: ReadonlyMap<number, number>;
  readonly names: readonly string[] | null;
  readonly members: ReadonlyMap<number, readonly Buffer[]>;
}

const SIGNEDNESS = 1;
const DEFAULT_CHARSET = 2;
const COLUMN_CHARSET = 3;
const COLUMN_NAME = 4;
const SET_MEMBERS = 5;
const ENUM_MEMBERS = 6;
const ENUM_SET_DEFAULT_CHARSET = 10;
const ENUM_SET_COLUMN_CHARSET = 11;

function readOptional(cursor: Cursor, to: number, kinds: readonly Kind[], mariadb: boolean): Optional {
  const { buffer } = cursor;
  const unsigned = new Map<number, boolean>();
  const collations = new Map<number, number>();
  const members = new Map<number, readonly Buffer[]>();
  let names: string[] | null = null;
  const placesOf = (wanted: (type: number) => boolean): number[] =>
    kinds.flatMap(({ type }, i) => (wanted(type) ? [i] : []));
  while (cursor.at < to) {
    const field = buffer[cursor.at++]!;
    const end = lengthEncoded(cursor) + cursor.at;
    if (end > to) throw new TailraceError("source.protocol", "the metadata of a table is cut off");
    switch (field) {
      case SIGNEDNESS:
        placesOf(isNumeric).forEach((place, i) => {
          unsigned.set(place, ((buffer[cursor.at + (i >> 3)]! << (i & 7)) & 0x80) !== 0);
        });
        break;
      case DEFAULT_CHARSET:
      case ENUM_SET_DEFAULT_CHARSET: {
        const places = placesOf(field === DEFAULT_CHARSET ? (type) => isText(type, mariadb) : isEnumOrSet);
        const most = lengthEncoded(cursor);
        for (const place of places) collations.set(place, most);
        while (cursor.at < end) {
          const place = places[lengthEncoded(cursor)]!;
          collations.set(place, lengthEncoded(cursor));
        }
        break;
      }
      case COLUMN_CHARSET:
      case ENUM_SET_COLUMN_CHARSET: {
        const places = placesOf(field === COLUMN_CHARSET ? (type) => isText(type, mariadb) : isEnumOrSet);
        for (const place of places) collations.set(place, lengthEncoded(cursor));
        break;
      }
      case COLUMN_NAME:
        names = [];
        while (cursor.at < end) names.push(bytes(cursor).toString("utf8"));
        break;
      case SET_MEMBERS:
      case ENUM_MEMBERS:
        for (const place of placesOf((type) => type === (field === SET_MEMBERS ? TYPE.set : TYPE.enum))) {
          // A copy: the event's bytes are not ours to keep.
          const count = lengthEncoded(cursor);
          members.set(
            place,
            Array.from({ length: count }, () => Buffer.from(bytes(cursor))),
          );
        }
        break;
      default:
    }
    cursor.at = end;
  }
  return { unsigned, collations, names, members };
}

function bytes(cursor: Cursor): Buffer {
  const length = lengthEncoded(cursor);
  cursor.at += length;
  return cursor.buffer.subarray(cursor.at - length, cursor.at);
}

const NUMERIC = new Set<number>([
  TYPE.tiny,
  TYPE.short,
  TYPE.int24,
  TYPE.long,
  TYPE.longlong,
  TYPE.newdecimal,
  TYPE.float,
  TYPE.double,
]);
const TEXTS = new Set<number>([
  TYPE.string,
  TYPE.varString,
  TYPE.varchar,
  TYPE.blob,
  TYPE.varcharCompressed,
  TYPE.blobCompressed,
]);

function isNumeric(type: number): boolean {
  return NUMERIC.has(type);
}

function isText(type: number, mariadb: boolean): boolean {
  return TEXTS.has(type) || (mariadb && type === TYPE.geometry);
}

function isEnumOrSet(type: number): boolean {
  return type === TYPE.enum || type === TYPE.set;
}
