// Events in, changes out. Knows where in the log it is; keeps nothing but the changes that were not taken yet.
import { crc32 } from "node:zlib";
import type { Change, Position } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { BinlogChange, BinlogTransaction } from "./binlog-change.ts";
import { GtidCollector } from "./gtid-collector.ts";
import { transactionId } from "./visibility.ts";
import {
  type Place,
  ROWS_IN_EVENT,
  endOf,
  mariadbGtidPart,
  mysqlGtidPart,
  ordinalText,
  positionAt,
  startOf,
} from "./position.ts";
import type { ReadFrom } from "./read-from.ts";
import { ROW_EVENTS, type RowEventKind, readRowEvent, tableNumber } from "./row-event.ts";
import { type Statement, type TableEffect, opensTransaction, readStatement } from "./statements.ts";
import type { TableShape } from "./table-shape.ts";
import {
  ARTIFICIAL,
  EVENT,
  HEADER_BYTES,
  type Header,
  IGNORABLE,
  SILENT_EVENTS,
  fileNumber,
  readHeader,
  readQuery,
} from "./wire/events.ts";
import { readMariadbGtid, readMysqlGtid } from "./wire/gtid-events.ts";
import { readPayload } from "./wire/payload.ts";
import { type TableMap, readTableMap, readTableName } from "./wire/table-map.ts";

export interface DecoderOptions {
  readonly mariadb: boolean;
  readonly after: Position;
  readonly from: ReadFrom;
  /** Whether the events that come first end in a checksum; a file says it of its own. */
  readonly checksums: boolean;
  readonly tables: ReadTables;
}

/** The tables that are read. */
export interface ReadTables {
  has(database: string, table: string): boolean;
  /** For what concerns all rows of a table. */
  relationOf(database: string, table: string): Relation;
  /** Names of tables. */
  touchedBy(effect: TableEffect): readonly string[];
  /** What is said to be touched when rows of a table changed that are not read themselves; null: nothing. */
  watched(database: string, table: string): Relation | null;
  /** What is said to be touched by a statement that may alter what a query reads. `database`: the session's. */
  redefinedBy(sql: string, database: string): readonly Relation[];
}

const KNOWN_MAPS = 2000;
interface KnownMap {
  /** The event's body, to know it again. */
  readonly bytes: Buffer;
  readonly shape: TableShape | null;
  /** See ReadTables.watched. */
  readonly watched: Relation | null;
}

export class BinlogDecoder {
  readonly #options: DecoderOptions;
  readonly #maps = new Map<number, KnownMap>();
  readonly #header: Header = { timestamp: 0, type: 0, serverId: 0, size: 0, endPosition: 0, flags: 0 };
  #changes: Change[] = [];
  #checksums: boolean;
  #file: number;
  #offset: number;
  #begun: number;
  #lastGtid: string;
  #transaction: BinlogTransaction | null = null;
  /** What ends with the statement itself. */
  #standalone = false;
  /** Its rows are in the log before it is known whether they stay. */
  #undecided = false;
  #ignored = false;
  #event = 0;
  /** Of the transaction that is read anew: rows up to this ordinal were handed on. */
  #skip = 0;
  #pendingMap: { readonly map: TableMap; readonly bytes: Buffer } | null = null;
  #inner: { readonly buffer: Buffer; at: number } | null = null;
  /** What to say while a new file's beginning is not known yet. */
  #endBefore: Position;
  /** MySQL: the transactions that were read. */
  readonly seen = new GtidCollector();

  constructor(options: DecoderOptions) {
    const { place } = options.from;
    this.#options = options;
    this.#endBefore = options.after;
    this.#checksums = options.checksums;
    this.#file = place.file;
    this.#offset = place.offset;
    this.#begun = place.begun;
    this.#lastGtid = place.gtid;
  }

  /** Everything up to here has been read. */
  get end(): Position {
    const transaction = this.#transaction;
    if (transaction === null) return this.#begun === 0 ? this.#endBefore : positionAt(this.#placeNow());
    const ordinal = Math.max(this.#skip, this.#event * ROWS_IN_EVENT + ROWS_IN_EVENT - 1);
    return transaction.prefix + ordinalText(ordinal) + transaction.suffix;
  }

  #placeNow(): Place {
    const { epoch } = this.#options.from;
    return {
      epoch,
      file: this.#file,
      offset: this.#offset,
      ordinal: 0,
      begun: this.#begun,
      gtid: this.#lastGtid,
    };
  }

  /** How many changes wait to be taken. */
  get waiting(): number {
    return this.#changes.length;
  }

  take(): readonly Change[] {
    const changes = this.#changes;
    if (changes.length > 0) this.#changes = [];
    return changes;
  }

  /** Whether an event that was read holds others, to be read by {@link next}. */
  get holdsMore(): boolean {
    return this.#inner !== null;
  }

  /**
   * Reads one event. Returns the table that the rows which follow are of, when its shape is not known yet: then {@link provide}
   * comes before the next event.
   */
  read(buffer: Buffer, from: number, to: number): TableMap | null {
    const header = this.#header;
    readHeader(buffer, from, header);
    if (header.size !== to - from) throw new TailraceError("source.protocol", "an event of another size than it says");
    const isFormat = header.type === EVENT.formatDescription;
    let end = to;
    if (isFormat) {
      // The kind of checksum is told by the event itself, which always has one.
      this.#checksums = buffer[to - 5] === 1;
      end = to - 4;
    } else if (this.#checksums) {
      end = to - 4;
      if (crc32(buffer.subarray(from, end)) !== buffer.readUInt32LE(end))
        throw new TailraceError("source.unreachable", "an event arrived damaged: its checksum is wrong");
    }
    const isReal = header.endPosition !== 0 && (header.flags & ARTIFICIAL) === 0;
    const { type, endPosition, size } = header;
    if (type === EVENT.heartbeat || type === EVENT.heartbeatV2) return null;
    const endOffset = isReal ? this.#endOffset(endPosition) : this.#offset;
    // Where the server leaves transactions out, the event before did not end where this one begins.
    const start = this.#options.from.by === "place" ? this.#offset : endOffset - size;
    const needed = this.#take(buffer, from + HEADER_BYTES, end, start);
    if (isReal && type !== EVENT.rotate) this.#offset = endOffset;
    return needed;
  }

  /** Reads the next event inside of the one before. */
  next(): TableMap | null {
    const inner = this.#inner!;
    const { buffer, at } = inner;
    const header = this.#header;
    readHeader(buffer, at, header);
    inner.at = at + header.size;
    if (inner.at > buffer.length) throw new TailraceError("source.protocol", "a compressed transaction is cut off");
    if (inner.at === buffer.length) this.#inner = null;
    return this.#take(buffer, at + HEADER_BYTES, at + header.size, this.#offset);
  }

  /** The shape that {@link read} asked for; null: the table is not read. */
  provide(shape: TableShape | null): void {
    const { map, bytes } = this.#pendingMap!;
    this.#pendingMap = null;
    this.#remember(map.id, { bytes, shape, watched: null });
  }

  #remember(id: number, known: KnownMap): void {
    if (this.#maps.size >= KNOWN_MAPS) this.#maps.clear();
    this.#maps.set(id, known);
  }

  /** Offsets are told by their low 32 bits: one transaction may make a file longer than that. */
  #endOffset(low: number): number {
    const span = 2 ** 32;
    const high = Math.floor(this.#offset / span) * span;
    return high + low < this.#offset && this.#transaction !== null ? high + span + low : high + low;
  }

  #take(buffer: Buffer, from: number, to: number, start: number): TableMap | null {
    const { type, flags, timestamp } = this.#header;
    const kind = ROW_EVENTS.get(type);
    if (kind !== undefined) {
      this.#rows(kind, buffer, from, to);
      return null;
    }
    switch (type) {
      case EVENT.tableMap:
        return this.#tableMap(buffer, from, to);
      case EVENT.mariadbGtid:
        this.#beginMariadb(buffer, from, start);
        return null;
      case EVENT.gtid:
        this.#beginMysql(buffer, from, to, start);
        return null;
      case EVENT.anonymousGtid:
        this.#begin("", "", BigInt(timestamp) * 1_000_000n, start);
        return null;
      case EVENT.xid:
      case EVENT.xaPrepare:
        this.#end();
        return null;
      case EVENT.query:
      case EVENT.queryCompressed:
      case EVENT.executeLoadQuery: {
        const { database, sql } = readQuery(buffer, from, to, {
          compressed: type === EVENT.queryCompressed,
          extra: type === EVENT.executeLoadQuery ? 13 : 0,
        });
        this.#statement(readStatement(sql, database), sql, database);
        return null;
      }
      case EVENT.formatDescription:
        // 2 bytes of version, 50 of the server's: when the file was begun stands in the header.
        this.#begun = timestamp;
        this.#maps.clear();
        return null;
      case EVENT.rotate: {
        const file = fileNumber(buffer.toString("latin1", from + 8, to));
        const offset = Number(buffer.readBigUInt64LE(from));
        if (Number.isNaN(file)) throw new TailraceError("source.protocol", "a binary log's file without a number");
        if (file === this.#file) return null;
        this.#endBefore = this.end;
        this.#begun = 0;
        this.#file = file;
        this.#offset = offset;
        return null;
      }
      case EVENT.transactionPayload: {
        const events = readPayload(buffer, from, to);
        if (events.length > 0) this.#inner = { buffer: events, at: 0 };
        return null;
      }
      case EVENT.incident:
        throw new TailraceError(
          "source.gap.unreadable",
          "the server noted that changes are missing in its log (an incident)",
        );
      case EVENT.partialUpdateRows:
        throw new TailraceError(
          "source.gap.unreadable",
          "the log holds parts of JSON values only: set binlog_row_value_options to '' on the server, then resync",
        );
      case EVENT.taggedGtid:
        throw new TailraceError("source.gap.unreadable", "transactions with tagged GTIDs cannot be read yet");
      default:
        if (SILENT_EVENTS.has(type) || (flags & IGNORABLE) !== 0) return null;
        throw new TailraceError("source.protocol", `an unknown event in the binary log: ${type}`);
    }
  }

  #beginMariadb(buffer: Buffer, from: number, start: number): void {
    const { serverId, timestamp } = this.#header;
    const { domain, number, standalone, prepared } = readMariadbGtid(buffer, from);
    const { epoch, doneOfDomain } = this.#options.from;
    const server = String(serverId);
    const id = transactionId(`${domain}-${server}-${number}`, epoch, this.#file, start);
    this.#begin(id, mariadbGtidPart(domain, server, number), BigInt(timestamp) * 1_000_000n, start);
    this.#standalone = standalone;
    this.#undecided = prepared;
    this.#ignored = doneOfDomain?.domain === domain && number < doneOfDomain.before;
  }

  #beginMysql(buffer: Buffer, from: number, to: number, start: number): void {
    const { uuid, number, committedAt } = readMysqlGtid(buffer, from, to);
    const micros = committedAt ?? BigInt(this.#header.timestamp) * 1_000_000n;
    this.#begin(`${uuid}:${number}`, mysqlGtidPart(uuid, number), micros, start);
    this.seen.add(uuid, number);
  }

  #begin(id: string, gtid: string, committedAt: bigint, start: number): void {
    const { from } = this.#options;
    const { epoch, place } = from;
    const resumed = from.by === "place" && place.file === this.#file && place.offset === start;
    this.#skip = resumed ? place.ordinal : 0;
    this.#event = 0;
    this.#undecided = false;
    this.#ignored = false;
    this.#lastGtid = gtid;
    // Until something says otherwise, a statement that follows on MySQL stands alone.
    this.#standalone = true;
    this.#transaction = new BinlogTransaction(
      id,
      committedAt,
      startOf(epoch, this.#file, start),
      endOf(this.#begun, gtid),
    );
  }

  #end(): void {
    this.#transaction = null;
    this.#skip = 0;
  }

  #statement(statement: Statement, sql: string, database: string): void {
    const { kind, effects } = statement;
    if (kind === "begin") {
      this.#standalone = false;
      return;
    }
    if (kind === "commit" || kind === "rollback" || kind === "xa-end") {
      this.#end();
      return;
    }
    if (kind === "xa-start") {
      this.#standalone = false;
      this.#undecided = true;
      return;
    }
    if (kind === "within") return;
    if (opensTransaction(sql)) this.#standalone = false;
    this.#event += 1;
    if (!this.#ignored) {
      let row = 0;
      for (const effect of effects)
        for (const table of this.#options.tables.touchedBy(effect)) this.#effect(effect, table, (row += 1));
      for (const relation of this.#options.tables.redefinedBy(sql, database))
        this.#all("touched", relation, (row += 1));
    }
    if (this.#standalone) this.#end();
  }

  #effect(effect: TableEffect, table: string, row: number): void {
    const { database } = effect;
    if (effect.kind !== "emptied") throw unreadable(effect.kind, `${database}.${table}`);
    this.#all("truncate", this.#options.tables.relationOf(database, table), row);
  }

  #all(op: "truncate" | "touched", relation: Relation, row: number): void {
    const transaction = this.#transaction;
    const ordinal = this.#event * ROWS_IN_EVENT + row;
    if (transaction === null || ordinal <= this.#skip) return;
    this.#changes.push(new BinlogChange(op, relation, null, null, transaction, ordinal));
  }

  /** By the same transaction, as the last that was said. */
  #isTouched(relation: Relation): boolean {
    const last = this.#changes.at(-1);
    return last !== undefined && last.relation === relation && last.transaction === this.#transaction;
  }

  #tableMap(buffer: Buffer, from: number, to: number): TableMap | null {
    const { id, database, table } = readTableName(buffer, from);
    const known = this.#maps.get(id);
    if (known !== undefined && known.bytes.compare(buffer, from, to) === 0) return null;
    const bytes = Buffer.from(buffer.subarray(from, to));
    if (!this.#options.tables.has(database, table)) {
      this.#remember(id, { bytes, shape: null, watched: this.#options.tables.watched(database, table) });
      return null;
    }
    const map = readTableMap(buffer, from, to, this.#options.mariadb);
    this.#pendingMap = { map, bytes };
    return map;
  }

  #rows(kind: RowEventKind, buffer: Buffer, from: number, to: number): void {
    this.#event += 1;
    const { shape = null, watched = null } = this.#maps.get(tableNumber(buffer, from)) ?? {};
    const transaction = this.#transaction;
    if (watched !== null && !this.#ignored && !this.#isTouched(watched)) this.#all("touched", watched, 0);
    if (shape === null || this.#ignored || transaction === null) return;
    if (this.#undecided) {
      const { namespace, name } = shape.full;
      throw new TailraceError(
        "source.gap.unreadable",
        `${namespace}.${name} was changed in a two-phase (XA) transaction: its rows are in the log before it is decided whether they stay`,
      );
    }
    const ordinal = this.#event * ROWS_IN_EVENT;
    readRowEvent({ kind, buffer, from, to, shape, transaction, ordinal, skip: this.#skip }, this.#changes);
  }
}

function unreadable(kind: "replaced" | "written", table: string): TailraceError {
  return new TailraceError(
    "source.gap.unreadable",
    kind === "written"
      ? `${table} was changed by a statement that is in the log as such, not by its rows: binlog_format must be ROW in every session`
      : `${table} is another table now, renamed to its name or exchanged: which of its rows differ is not in the log`,
  );
}
