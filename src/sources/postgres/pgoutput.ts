// The `pgoutput` plugin's messages, protocol version 1, made into changes.
// https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
//
// Written for the rate of the server: no object, view or promise a row other than the change itself and its values.
// A row's region of the buffer is decoded with one native call; when that gives as many UTF-16 units as there were
// bytes, then every byte stands for itself and the values are cut out of the string. (Multi-byte characters, and
// length bytes that look like the start of one, only ever make the string shorter.)
import type { Change, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import type { Value } from "../../contracts/values.ts";
import { PgChange, PgTransaction } from "./pg-change.ts";
import { hex8, parsePosition, positionAt, prefixOf } from "./position.ts";
import { type RelationMessage, readRelation } from "./relation-message.ts";
import { type Bytes, EPOCH_2000_US, uint32At, uint64At } from "./wire.ts";

/** How the rows that follow one RELATION message are read. */
export interface RowShape {
  readonly relation: Relation;
  /** One a column: what turns the server's text into `col::text`; null where they are the same. */
  readonly normalise: readonly (((text: string) => string) | null)[];
  /** Whether the column is in a `K` tuple; elsewhere such a tuple's null means "not sent". */
  readonly inOldKey: readonly boolean[];
}

/** What the decoder meets outside of the stream's data. */
export interface StreamEvents {
  /** The server's position, and whether it wants an answer now. */
  keepalive(walEnd: bigint, replyNow: boolean): void;
  /** Any other message of the backend: a notice, an error, the end of the stream. `from`–`to` is its body. */
  control(kind: number, bytes: Bytes, from: number, to: number): void;
}

const INSERT = 0x49;
const UPDATE = 0x55;
const DELETE = 0x44;

export class PgOutputDecoder {
  readonly #events: StreamEvents;
  readonly #shapes = new Map<number, { readonly signature: string; readonly shape: RowShape | TailraceError | null }>();
  /** Names of types that the server announced, by OID: also of types that the catalogue has no more. */
  readonly types = new Map<number, { readonly namespace: string; readonly name: string }>();
  readonly #afterLsn: bigint;
  readonly #afterOrdinal: number;
  #transaction: PgTransaction | null = null;
  #ordinal = 0;
  /** Rows of the open transaction up to this ordinal were delivered in an earlier life. */
  #skipThrough = 0;
  #end: Position;
  #serverLsn = 0n;
  #changes: Change[] = [];
  #needed: RelationMessage | null = null;
  #neededSignature = "";
  // The row that is being read: its string (null: decode value by value), where that starts, and how far we are.
  #text: string | null = null;
  #textStart = 0;
  #at = 0;
  #sawUnchanged = false;
  #lastOid = -1;
  #lastShape: RowShape | null = null;

  constructor(after: Position, events: StreamEvents) {
    const { lsn, ordinal } = parsePosition(after);
    this.#afterLsn = lsn;
    this.#afterOrdinal = ordinal;
    this.#end = after;
    this.#events = events;
  }

  /** A table whose shape must be given with {@link provide} before `decode` goes on. */
  get needed(): RelationMessage | null {
    return this.#needed;
  }

  /**
   * `null`: rows of this table are not ours; they are counted, not decoded. An error: thrown at the first row, for a
   * table may be announced that has none (a partition is, before rows of its root).
   */
  provide(shape: RowShape | TailraceError | null): void {
    if (!this.#needed) throw new TailraceError("internal.defect", "a shape that nobody asked for");
    this.#shapes.set(this.#needed.oid, { signature: this.#neededSignature, shape });
    this.#needed = null;
    this.#lastOid = -1;
  }

  /** Everything at or before it was taken with {@link take}, or belongs to the next `take`. */
  get end(): Position {
    const transaction = this.#transaction;
    if (transaction && this.#ordinal > 0 && this.#ordinal >= this.#skipThrough) {
      return transaction.prefix + hex8(this.#ordinal);
    }
    return this.#end;
  }

  /** How far the server says that it has read; 0 before it said anything. */
  get serverLsn(): bigint {
    return this.#serverLsn;
  }

  get inTransaction(): boolean {
    return this.#transaction !== null;
  }

  take(): readonly Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /**
   * Reads whole messages from `at` on. Returns where it stopped: at the end, or after a RELATION message whose
   * shape is {@link needed}. Throws `source.protocol` on anything that it does not know.
   */
  decode(bytes: Bytes, at: number): number {
    const length = bytes.length;
    while (at < length) {
      const to = at + 1 + uint32At(bytes, at + 1);
      const kind = bytes[at]!;
      if (kind !== 0x64) {
        this.#events.control(kind, bytes, at + 5, to);
      } else if (bytes[at + 5] === 0x77) {
        // w: 24 bytes of positions and clock, then one message of the plugin.
        const from = at + 30;
        const plugin = bytes[from]!;
        if (plugin === INSERT) {
          this.#row(INSERT, bytes, from + 1, to);
        } else if (plugin === UPDATE || plugin === DELETE) {
          this.#row(plugin, bytes, from + 1, to);
        } else {
          this.#message(plugin, bytes, from + 1, to);
          if (this.#needed) return to;
        }
      } else if (bytes[at + 5] === 0x6b) {
        this.#keepalive(uint64At(bytes, at + 6), bytes[at + 22] === 1);
      } else {
        throw unknown("replication", bytes[at + 5]);
      }
      at = to;
    }
    return at;
  }

  #keepalive(walEnd: bigint, replyNow: boolean): void {
    if (walEnd > this.#serverLsn) this.#serverLsn = walEnd;
    if (!this.#transaction) this.#moveEnd(positionAt(walEnd));
    this.#events.keepalive(walEnd, replyNow);
  }

  #moveEnd(position: Position): void {
    if (position > this.#end) this.#end = position;
  }

  #row(kind: number, bytes: Bytes, at: number, to: number): void {
    const transaction = this.#transaction;
    if (!transaction) throw new TailraceError("source.protocol", "a row outside of a transaction");
    const ordinal = ++this.#ordinal;
    if (ordinal <= this.#skipThrough) return;
    const oid = uint32At(bytes, at);
    const shape = oid === this.#lastOid ? this.#lastShape : this.#shapeOf(oid);
    if (!shape) return;
    at += 4;
    const text = bytes.utf8Slice(at, to);
    this.#text = text.length === to - at ? text : null;
    this.#textStart = at;
    this.#sawUnchanged = false;
    const mark = bytes[at]!;
    this.#at = at + 1;
    let change: PgChange;
    if (kind === INSERT) {
      if (mark !== 0x4e) throw unknown("tuple", mark);
      change = new PgChange("insert", shape.relation, null, this.#tuple(bytes, to, shape), transaction, ordinal);
    } else if (kind === DELETE) {
      if (mark !== 0x4b && mark !== 0x4f) throw unknown("tuple", mark);
      const old = this.#tuple(bytes, to, shape);
      if (mark === 0x4b || shape.relation.oldRows === "key") hideWhatWasNotSent(old, shape);
      change = new PgChange("delete", shape.relation, old, null, transaction, ordinal);
    } else {
      change = this.#update(mark, bytes, to, shape, transaction, ordinal);
    }
    if (this.#at !== to) throw new TailraceError("source.protocol", "a row is longer than its columns");
    this.#changes.push(change);
  }

  #update(
    mark: number,
    bytes: Bytes,
    to: number,
    shape: RowShape,
    transaction: PgTransaction,
    ordinal: number,
  ): PgChange {
    let old: Value[] | null = null;
    if (mark !== 0x4e) {
      if (mark !== 0x4b && mark !== 0x4f) throw unknown("tuple", mark);
      old = this.#tuple(bytes, to, shape);
      if (mark === 0x4b || shape.relation.oldRows === "key") hideWhatWasNotSent(old, shape);
      if (bytes[this.#at] !== 0x4e) throw unknown("tuple", bytes[this.#at]);
      this.#at += 1;
      this.#sawUnchanged = false;
    }
    const after = this.#tuple(bytes, to, shape);
    if (this.#sawUnchanged) {
      // What the new row leaves out, because it is stored elsewhere and did not change, the old one may hold.
      if (old) for (let i = 0; i < after.length; i += 1) if (after[i] === UNCHANGED) after[i] = old[i]!;
      for (const place of shape.relation.key) {
        if (after[place] === UNCHANGED) {
          const { namespace, name, columns } = shape.relation;
          throw new TailraceError(
            "source.config",
            `an update of ${namespace}.${name} came without its key column ${columns[place]!.name}: ` +
              `run ALTER TABLE "${namespace}"."${name}" REPLICA IDENTITY FULL`,
          );
        }
      }
    }
    return new PgChange("update", shape.relation, old, after, transaction, ordinal);
  }

  #tuple(bytes: Bytes, to: number, shape: RowShape): Value[] {
    const normalise = shape.normalise;
    const count = normalise.length;
    const text = this.#text;
    const textStart = this.#textStart;
    let at = this.#at;
    if (((bytes[at]! << 8) | bytes[at + 1]!) !== count) {
      throw new TailraceError("source.protocol", "a row has another number of columns than its table");
    }
    at += 2;
    // oxlint-disable-next-line unicorn/no-new-array -- one allocation, of just the size
    const values: Value[] = new Array<Value>(count);
    for (let i = 0; i < count; i += 1) {
      const kind = bytes[at]!;
      at += 1;
      if (kind === 0x74) {
        const start = at + 4;
        const end = start + uint32At(bytes, at);
        if (end > to) throw new TailraceError("source.protocol", "a value is longer than its row");
        const value = text === null ? bytes.utf8Slice(start, end) : text.substring(start - textStart, end - textStart);
        const normaliser = normalise[i]!;
        values[i] = normaliser === null ? value : normaliser(value);
        at = end;
      } else if (kind === 0x6e) {
        values[i] = null;
      } else if (kind === 0x75) {
        values[i] = UNCHANGED;
        this.#sawUnchanged = true;
      } else {
        throw unknown("value", kind);
      }
    }
    this.#at = at;
    return values;
  }

  #shapeOf(oid: number): RowShape | null {
    const known = this.#shapes.get(oid);
    if (!known) throw new TailraceError("source.protocol", `a row of table ${oid}, which was never announced`);
    if (known.shape instanceof TailraceError) throw known.shape;
    this.#lastOid = oid;
    this.#lastShape = known.shape;
    return known.shape;
  }

  /** Everything that is not a row. */
  #message(kind: number, bytes: Bytes, at: number, to: number): void {
    switch (kind) {
      case 0x42: // B
        return this.#begin(bytes, at);
      case 0x43: {
        // C: flags, where the commit record starts, where it ends, when.
        const end = uint64At(bytes, at + 9);
        this.#transaction = null;
        if (end > this.#serverLsn) this.#serverLsn = end;
        return this.#moveEnd(positionAt(end));
      }
      case 0x52: // R
        return this.#announced(bytes, at, to);
      case 0x54: // T
        return this.#truncate(bytes, at);
      case 0x59: {
        // Y: a type that is not built in.
        const namespaceEnd = bytes.indexOf(0, at + 4);
        const nameEnd = bytes.indexOf(0, namespaceEnd + 1);
        const namespace = bytes.utf8Slice(at + 4, namespaceEnd) || "pg_catalog";
        this.types.set(uint32At(bytes, at), { namespace, name: bytes.utf8Slice(namespaceEnd + 1, nameEnd) });
        return;
      }
      case 0x4f: // O: which node a transaction came from first.
      case 0x4d: // M: a message that somebody, or our own heartbeat, wrote into the log.
        return;
      default:
        throw unknown("pgoutput", kind);
    }
  }

  #begin(bytes: Bytes, at: number): void {
    const lsn = uint64At(bytes, at);
    const committedAt = bytes.readBigInt64BE(at + 8) + EPOCH_2000_US;
    this.#transaction = new PgTransaction(String(uint32At(bytes, at + 16)), committedAt, prefixOf(lsn));
    this.#ordinal = 0;
    this.#skipThrough = lsn > this.#afterLsn ? 0 : lsn === this.#afterLsn ? this.#afterOrdinal : Infinity;
  }

  #truncate(bytes: Bytes, at: number): void {
    const transaction = this.#transaction;
    if (!transaction) throw new TailraceError("source.protocol", "a truncate outside of a transaction");
    const count = uint32At(bytes, at);
    for (let i = 0; i < count; i += 1) {
      const ordinal = ++this.#ordinal;
      if (ordinal <= this.#skipThrough) continue;
      const shape = this.#shapeOf(uint32At(bytes, at + 5 + i * 4));
      if (shape) this.#changes.push(new PgChange("truncate", shape.relation, null, null, transaction, ordinal));
    }
  }

  #announced(bytes: Bytes, at: number, to: number): void {
    const oid = uint32At(bytes, at);
    const signature = bytes.latin1Slice(at, to);
    if (this.#shapes.get(oid)?.signature === signature) return;
    this.#needed = readRelation(bytes, at);
    this.#neededSignature = signature;
  }
}

/**
 * A `K` tuple holds the identity's columns; the others are sent as null and mean nothing. So does an `O` tuple of a
 * partition whose identity is less than its root's FULL.
 */
function hideWhatWasNotSent(old: Value[], shape: RowShape): void {
  for (let i = 0; i < old.length; i += 1) if (!shape.inOldKey[i]) old[i] = UNCHANGED;
}

function unknown(what: string, kind: number | undefined): TailraceError {
  const shown = kind === undefined ? "nothing" : `0x${kind.toString(16)}`;
  return new TailraceError("source.protocol", `an unknown ${what} message: ${shown}`);
}
