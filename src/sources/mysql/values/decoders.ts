// From a row image to texts: one function a column, made once for each shape of a table.
import { TailraceError } from "../../../contracts/errors.ts";
import { TYPE, type WireColumn } from "../wire/types.ts";
import { inet4Text, inet6Text, uuidText } from "./addresses.ts";
import { textDecoder } from "./charsets.ts";
import { jsonText } from "./json-binary.ts";
import { bitText, decimalBytes, decimalText, doubleText, floatText, int64Text, uint64Text } from "./numbers.ts";
import {
  dateText,
  datetimeText,
  fractionBytes,
  oldDatetimeText,
  oldTimeText,
  secondsText,
  timeText,
  timestampText,
} from "./temporal.ts";

/** Where a row is read; moves on with each value. */
export interface RowCursor {
  buffer: Buffer;
  at: number;
}

/** Reads the value at the cursor and moves behind it. */
export type DecodeValue = (row: RowCursor) => string;

/** What the log does not say of a column, or says only with full metadata. */
export interface ColumnFacts {
  readonly unsigned: boolean;
  /** `binary` for bytes. */
  readonly charset: string;
  readonly members: readonly string[];
  /** The type's name where a text of its own is made of its bytes: uuid, inet4, inet6. */
  readonly typeName: string;
}

/** Throws `source.model` for a type that cannot be read. */
export function decoderFor(column: WireColumn, facts: ColumnFacts): DecodeValue {
  const { type, meta } = column;
  switch (type) {
    case TYPE.tiny:
      return facts.unsigned ? fixed(1, (b, at) => String(b[at])) : fixed(1, (b, at) => String(b.readInt8(at)));
    case TYPE.short:
      return facts.unsigned
        ? fixed(2, (b, at) => String(b.readUInt16LE(at)))
        : fixed(2, (b, at) => String(b.readInt16LE(at)));
    case TYPE.int24:
      return facts.unsigned
        ? fixed(3, (b, at) => String(b.readUIntLE(at, 3)))
        : fixed(3, (b, at) => String(b.readIntLE(at, 3)));
    case TYPE.long:
      return facts.unsigned
        ? fixed(4, (b, at) => String(b.readUInt32LE(at)))
        : fixed(4, (b, at) => String(b.readInt32LE(at)));
    case TYPE.longlong:
      return facts.unsigned ? fixed(8, uint64Text) : fixed(8, int64Text);
    case TYPE.float:
      return fixed(4, (b, at) => floatText(b.readFloatLE(at)));
    case TYPE.double:
      return fixed(8, (b, at) => doubleText(b.readDoubleLE(at)));
    case TYPE.newdecimal: {
      const precision = meta >> 8;
      const scale = meta & 0xff;
      return fixed(decimalBytes(precision, scale), (b, at) => decimalText(b, at, precision, scale));
    }
    case TYPE.bit: {
      const bytes = (meta >> 8) + ((meta & 0xff) > 0 ? 1 : 0);
      return fixed(bytes, (b, at) => bitText(b, at, at + bytes));
    }
    case TYPE.year:
      return fixed(1, (b, at) => (b[at] === 0 ? "0000" : String(1900 + b[at]!)));
    case TYPE.date:
    case TYPE.newdate:
      return fixed(3, dateText);
    case TYPE.datetime2:
      return fixed(5 + fractionBytes(meta), (b, at) => datetimeText(b, at, meta));
    case TYPE.timestamp2:
      return fixed(4 + fractionBytes(meta), (b, at) => timestampText(b, at, meta));
    case TYPE.time2:
      return fixed(3 + fractionBytes(meta), (b, at) => timeText(b, at, meta));
    case TYPE.datetime:
      return fixed(8, oldDatetimeText);
    case TYPE.timestamp:
      return fixed(4, (b, at) => secondsText(b.readUInt32LE(at)));
    case TYPE.time:
      return fixed(3, oldTimeText);
    case TYPE.enum:
      return enumDecoder(meta & 0xff, facts.members);
    case TYPE.set:
      return setDecoder(meta & 0xff, facts.members);
    case TYPE.string:
      return stringDecoder(meta, facts);
    case TYPE.varchar:
    case TYPE.varString:
      return sized(meta > 255 ? 2 : 1, textDecoder(facts.charset));
    case TYPE.blob:
    case TYPE.tinyblob:
    case TYPE.mediumblob:
    case TYPE.longblob:
      return sized(meta, textDecoder(facts.charset));
    case TYPE.geometry:
    case TYPE.vector:
      return sized(meta, textDecoder("binary"));
    case TYPE.json:
      return sized(meta, jsonText);
    default:
      throw new TailraceError("source.model", `columns of type ${type} in the binary log cannot be read`);
  }
}

function fixed(bytes: number, text: (buffer: Buffer, at: number) => string): DecodeValue {
  return (row) => {
    const { at } = row;
    row.at = at + bytes;
    return text(row.buffer, at);
  };
}

/** A length in so many bytes, and what is as long as that. */
function sized(lengthBytes: number, text: (buffer: Buffer, from: number, to: number) => string): DecodeValue {
  return (row) => {
    const { buffer } = row;
    const from = row.at + lengthBytes;
    const to = from + (lengthBytes === 1 ? buffer[row.at]! : buffer.readUIntLE(row.at, lengthBytes));
    row.at = to;
    return text(buffer, from, to);
  };
}

function stringDecoder(most: number, { charset, typeName }: ColumnFacts): DecodeValue {
  const lengthBytes = most > 255 ? 2 : 1;
  if (charset !== "binary" && !Object.hasOwn(OF_BYTES, typeName)) return sized(lengthBytes, textDecoder(charset));
  // The log leaves out the zeros at the end.
  const text = OF_BYTES[typeName] ?? ((buffer: Buffer) => buffer.toString("base64"));
  return sized(lengthBytes, (buffer, from, to) => {
    const whole = Buffer.alloc(most);
    buffer.copy(whole, 0, from, to);
    return text(whole);
  });
}

const OF_BYTES: Readonly<Record<string, (whole: Buffer) => string>> = {
  uuid: (whole) => uuidText(whole, 0),
  inet4: (whole) => inet4Text(whole, 0),
  inet6: (whole) => inet6Text(whole, 0),
};

/** 0 is the text that the server puts where a value was not allowed. */
function enumDecoder(bytes: number, members: readonly string[]): DecodeValue {
  return fixed(bytes, (buffer, at) => {
    const number = buffer.readUIntLE(at, bytes);
    return number === 0 ? "" : (members[number - 1] ?? unknownMember());
  });
}

function setDecoder(bytes: number, members: readonly string[]): DecodeValue {
  return fixed(bytes, (buffer, at) => {
    const chosen: string[] = [];
    for (let i = 0; i < bytes * 8; i += 1) {
      if (((buffer[at + (i >> 3)]! >> (i & 7)) & 1) === 1) chosen.push(members[i] ?? unknownMember());
    }
    return chosen.join(",");
  });
}

function unknownMember(): never {
  throw new TailraceError(
    "source.gap.shape",
    "a value of an ENUM or SET column is not among its members as they are now: set binlog_row_metadata=FULL, so that the log tells them",
  );
}
