// The server's side of the protocol while a replication stream runs: frames cut out of the socket's chunks, and
// the few messages that we send. https://www.postgresql.org/docs/current/protocol-message-formats.html
import { TailraceError } from "../../contracts/errors.ts";

/** What `Buffer` has and its typings leave out: decoding a range without making a view of it first. */
export interface Bytes extends Buffer {
  utf8Slice(start: number, end: number): string;
  latin1Slice(start: number, end: number): string;
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function uint64At(bytes: Uint8Array, at: number): bigint {
  return (BigInt(uint32At(bytes, at)) << 32n) | BigInt(uint32At(bytes, at + 4));
}

/** Longer than the server can send (its own limit is 1 GB); a larger one means that we lost our place. */
const MAX_MESSAGE_BYTES = 0x4000_0000;

/**
 * Joins chunks into stretches of whole messages. A message that spans many chunks is copied once, when its last
 * chunk is there, so that a row of any size costs linear time.
 */
export class Framer {
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #neededBytes = 0;

  /** Bytes of a message that is not whole yet. */
  get pendingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * Whole messages, one after the other, from what is held and `chunk`; null when there is none yet. The bytes
   * are valid until the next call.
   */
  push(chunk: Buffer): Bytes | null {
    let bytes = chunk;
    if (this.#waitingBytes > 0) {
      this.#waiting.push(chunk);
      this.#waitingBytes += chunk.length;
      if (this.#waitingBytes < this.#neededBytes) return null;
      bytes = Buffer.concat(this.#waiting, this.#waitingBytes);
      this.#waiting = [];
      this.#waitingBytes = 0;
    }
    const length = bytes.length;
    let end = 0;
    let needed = 5;
    while (length - end >= 5) {
      const size = uint32At(bytes, end + 1) + 1;
      if (size < 5 || size > MAX_MESSAGE_BYTES) {
        throw new TailraceError("source.protocol", `a message of ${size} bytes, kind 0x${bytes[end]!.toString(16)}`);
      }
      if (length - end < size) {
        needed = size;
        break;
      }
      end += size;
    }
    if (end < length) {
      this.#neededBytes = needed;
      this.#waiting.push(end === 0 ? bytes : bytes.subarray(end));
      this.#waitingBytes = length - end;
    }
    if (end === 0) return null;
    return (end === length ? bytes : bytes.subarray(0, end)) as Bytes;
  }
}

/** A notice's or an error's fields by their one-letter codes (`C` SQLSTATE, `M` message, `R` routine). */
export function readFields(bytes: Bytes, from: number, to: number): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  let at = from;
  while (at < to && bytes[at] !== 0) {
    const code = String.fromCharCode(bytes[at]!);
    const end = bytes.indexOf(0, at + 1);
    if (end < 0 || end >= to) break;
    fields[code] = bytes.utf8Slice(at + 1, end);
    at = end + 1;
  }
  return fields;
}

export function queryMessage(sql: string): Buffer {
  const length = Buffer.byteLength(sql) + 5;
  const message = Buffer.alloc(length + 1);
  message[0] = 0x51; // Q
  message.writeInt32BE(length, 1);
  message.write(sql, 5);
  return message;
}

/** µs between 1970 and 2000, where the server's clock starts. */
export const EPOCH_2000_US = 946_684_800_000_000n;

/** A standby status update. `replyNow` asks the server to answer at once. */
export function statusMessage(writtenLsn: bigint, flushedLsn: bigint, nowMs: number, replyNow: boolean): Buffer {
  const message = Buffer.alloc(39);
  message[0] = 0x64; // d
  message.writeInt32BE(38, 1);
  message[5] = 0x72; // r
  message.writeBigUInt64BE(writtenLsn, 6);
  message.writeBigUInt64BE(flushedLsn, 14);
  message.writeBigUInt64BE(flushedLsn, 22);
  message.writeBigInt64BE(BigInt(nowMs) * 1000n - EPOCH_2000_US, 30);
  message[38] = replyNow ? 1 : 0;
  return message;
}

/** Terminate. Without CopyDone before it, after which the server sends a long transaction to its end first. */
export const GOODBYE: Buffer = Buffer.from([0x58, 0, 0, 0, 4]);
