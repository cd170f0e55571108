import { zstdDecompressSync } from "node:zlib";
import { TailraceError } from "../../../contracts/errors.ts";
import { lengthEncoded } from "./table-map.ts";

/** Most that a compressed transaction may hold, in bytes: it is read at one go. */
const MOST_BYTES = 512 * 1024 * 1024;

const END = 0;
const COMPRESSION = 2;
const SIZE = 3;
const ZSTD = 0;
const PLAIN = 255;

/** The events of a transaction that MySQL compressed. The event is fields of (type, length, value), then the bytes. */
export function readPayload(buffer: Buffer, from: number, to: number): Buffer {
  const cursor = { buffer, at: from };
  let compression = PLAIN;
  let size = 0;
  while (cursor.at < to) {
    const field = lengthEncoded(cursor);
    if (field === END) break;
    const end = lengthEncoded(cursor) + cursor.at;
    if (field === COMPRESSION) compression = lengthEncoded(cursor);
    else if (field === SIZE) size = lengthEncoded(cursor);
    cursor.at = end;
  }
  const packed = buffer.subarray(cursor.at, to);
  if (compression === PLAIN) return Buffer.from(packed);
  if (compression !== ZSTD)
    throw new TailraceError("source.protocol", `a transaction compressed in an unknown way (${compression})`);
  if (size > MOST_BYTES) {
    throw new TailraceError(
      "source.gap.unreadable",
      `a compressed transaction of ${Math.round(size / 1_048_576)} MB is too large to be read: set binlog_transaction_compression=OFF, or make smaller transactions`,
    );
  }
  return zstdDecompressSync(packed, { maxOutputLength: MOST_BYTES });
}
