// What begins a transaction in the log.

export interface MysqlGtidEvent {
  readonly uuid: string;
  readonly number: bigint;
  /** µs since the epoch; null: the server is older than 8.0 and does not say. */
  readonly committedAt: bigint | null;
}

/** Bytes up to the first commit timestamp, and with it. */
const BEFORE_COMMIT = 42;
const WITH_COMMIT = 49;

/** `from`: behind the header. */
export function readMysqlGtid(buffer: Buffer, from: number, to: number): MysqlGtidEvent {
  const hex = buffer.toString("hex", from + 1, from + 17);
  const uuid = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  const number = buffer.readBigInt64LE(from + 17);
  if (to - from < WITH_COMMIT) return { uuid, number, committedAt: null };
  // 7 bytes, whose top bit says that another timestamp follows.
  const low = buffer.readUIntLE(from + BEFORE_COMMIT, 6);
  const micros = low + (buffer[from + BEFORE_COMMIT + 6]! & 0x7f) * 2 ** 48;
  return { uuid, number, committedAt: micros === 0 ? null : BigInt(micros) };
}

export interface MariadbGtidEvent {
  readonly domain: string;
  readonly number: bigint;
  /** One statement follows, which ends it too. */
  readonly standalone: boolean;
  /** What follows is prepared, and not committed yet. */
  readonly prepared: boolean;
}

const STANDALONE = 1;
const PREPARED_XA = 64;

export function readMariadbGtid(buffer: Buffer, from: number): MariadbGtidEvent {
  const flags = buffer[from + 12]!;
  return {
    number: buffer.readBigUInt64LE(from),
    domain: String(buffer.readUInt32LE(from + 8)),
    standalone: (flags & STANDALONE) !== 0,
    prepared: (flags & PREPARED_XA) !== 0,
  };
}
