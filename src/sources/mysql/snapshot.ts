// Reading rows as they are now: chunks of a relation in key order, single rows by key, each with what its snapshot sees.
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { Connection } from "./connection.ts";
import { namespaceOf } from "./describe.ts";
import { readRows } from "./read-rows.ts";
import { type RelationSource, relationSource } from "./relation-source.ts";
import { keyColumns, valuesSql } from "./values-sql.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { type Server, readServer } from "./server.ts";
import { serverErrorNumber } from "./source-error.ts";
import { literal } from "./sql.ts";
import type { SqlSession } from "./sql-session.ts";
import { type Snapshot, beginSnapshot } from "./visibility.ts";

/** Keys in one statement. */
const LOOKUP_KEYS = 500;
/** Rows of a table whose size is not known yet. */
const FIRST_ROWS = 500;
const LEAST_ROW_BYTES = 32;
/** The table was altered between the snapshot and the reading, or since it was described. */
const ALTERED = new Set([1412, 1054, 1146]);
const TRIES = 3;

export interface SnapshotReaderOptions {
  readonly session: SqlSession;
  /** For a scan, whose snapshot lives long. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  readonly versions: RelationVersions;
  readonly database: string | undefined;
  /** The server whose log is read, or will be. */
  readonly reading: () => Reading;
}

export interface Reading {
  readonly epoch: number;
  /** See Server.identity; null: not opened yet. */
  readonly server: string | null;
}

interface Known {
  readonly source: RelationSource;
  readonly relation: Relation;
  /** What results look like, to notice that the table was altered; null: none was seen. */
  signature: string | null;
}

export class SnapshotReader {
  readonly #options: SnapshotReaderOptions;
  readonly #known = new Map<string, Known>();
  /** Bytes of a row, as last seen, by relation. */
  readonly #rowBytes = new Map<string, number>();
  readonly #servers = new WeakMap<Connection, Server>();

  constructor(options: SnapshotReaderOptions) {
    this.#options = options;
  }

  /** The model's relation as it is now. */
  describe(model: Model, signal: AbortSignal): Promise<Relation> {
    return this.#options.session.use(signal, async (connection) => (await this.#describe(connection, model)).relation);
  }

  /** The next rows after `after` in the key's order. At least one row, whatever it weighs; else no more bytes than asked for. */
  chunk(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#options.session.use(signal, (connection) =>
      this.#inSnapshot(connection, model, (known, snapshot) =>
        this.#read(connection, model, known, snapshot, after, limit),
      ),
    );
  }

  /** See Source.scan. */
  async *scan(
    model: Model,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    const connection = await this.#options.connect(signal);
    const cut = () => connection.destroy();
    signal.addEventListener("abort", cut, { once: true });
    try {
      const known = await this.#describe(connection, model);
      const snapshot = await this.#begin(connection);
      for (let next = after; ;) {
        const chunk = await this.#read(connection, model, known, snapshot, next, limit);
        yield chunk;
        if (chunk.next === null) return;
        next = chunk.next;
      }
    } finally {
      signal.removeEventListener("abort", cut);
      await connection.close();
    }
  }

  /** The rows with these keys, each once, from one snapshot. */
  lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#options.session.use(signal, (connection) =>
      this.#inSnapshot(connection, model, async (known, snapshot) => {
        const { source, relation } = known;
        const found = new Map<string, Values>();
        for (let at = 0; at < keys.length; at += LOOKUP_KEYS) {
          const where = valuesSql(keyColumns(source), keys.slice(at, at + LOOKUP_KEYS));
          const sql = `SELECT ${selectList(source)} FROM ${source.from} WHERE ${where}`;
          const { rows } = await readRows(connection, sql, source.columns, Infinity, this.#expect(known));
          for (const row of rows) found.set(JSON.stringify(relation.key.map((place) => row[place])), row);
        }
        return { relation, rows: [...found.values()], next: null, ...snapshot };
      }),
    );
  }

  /** Runs `work` in a transaction with its snapshot. */
  inSnapshot<T>(signal: AbortSignal, work: (connection: Connection, snapshot: Snapshot) => Promise<T>): Promise<T> {
    return this.#options.session.use(signal, async (connection) => {
      const snapshot = await this.#begin(connection);
      const result = await work(connection, snapshot);
      if (!connection.isCut) await connection.rows("COMMIT");
      return result;
    });
  }

  /** About how many rows the table has, as its statistics say; null: not known. */
  estimate(model: Model, signal: AbortSignal): Promise<number | null> {
    if (model.kind === "query") return Promise.resolve(null);
    const database = namespaceOf(model, this.#options.database);
    return this.#options.session.use(signal, async (connection) => {
      const rows = await connection.value(
        `SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${literal(database)} AND TABLE_NAME = ${literal(model.table.name)}`,
      );
      return rows === null ? null : Number(rows);
    });
  }

  async #describe(connection: Connection, model: Model): Promise<Known> {
    const source = await relationSource(connection, model, this.#options.database);
    const known: Known = { source, relation: this.#options.versions.intern(source.relation), signature: null };
    this.#known.set(model.name, known);
    return known;
  }

  /**
   * Begins a transaction with its snapshot. Where another server has begun to answer, its places in the log mean nothing beside those
   * that are read: not before the log is opened there too.
   */
  async #begin(connection: Connection): Promise<Snapshot> {
    const server = this.#servers.get(connection) ?? (await readServer(connection));
    this.#servers.set(connection, server);
    const reading = this.#options.reading();
    if (reading.server !== null && reading.server !== server.identity) {
      throw new TailraceError(
        "source.unreachable",
        "another server answers than the one whose log is read; waiting until the log is read there",
      );
    }
    return beginSnapshot(connection, server, reading.epoch);
  }

  /** Runs `work` in a transaction with its snapshot; anew, when the table was altered meanwhile. */
  async #inSnapshot<T>(
    connection: Connection,
    model: Model,
    work: (known: Known, snapshot: Snapshot) => Promise<T>,
  ): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      const known = this.#known.get(model.name) ?? (await this.#describe(connection, model));
      const snapshot = await this.#begin(connection);
      try {
        const result = await work(known, snapshot);
        if (!connection.isCut) await connection.rows("COMMIT");
        return result;
      } catch (error) {
        const altered = error instanceof TableAltered || ALTERED.has(serverErrorNumber(error) ?? 0);
        if (!altered) throw error;
        if (tries >= TRIES)
          throw new TailraceError("source.blocked", `model ${model.name}: its table is being altered again and again`);
        await connection.rows("ROLLBACK");
        await this.#describe(connection, model);
      }
    }
  }

  async #read(
    connection: Connection,
    model: Model,
    known: Known,
    snapshot: Snapshot,
    after: Cursor | null,
    limit: ChunkLimit,
  ): Promise<SnapshotChunk> {
    const { source, relation } = known;
    if (after && after.length !== relation.key.length) {
      throw new TailraceError(
        "source.model",
        `model ${model.name}: its key had ${after.length} columns when the backfill began and has ${relation.key.length} now; resync it`,
      );
    }
    const rowBytes = this.#rowBytes.get(model.name);
    const planned = rowBytes === undefined ? FIRST_ROWS : Math.ceil(limit.bytes / rowBytes);
    const wanted = Math.max(1, Math.min(limit.rows, planned));
    const order = source.order.map((place) => source.columns[place]!.select("t")).join(", ");
    const where = after === null ? "" : ` WHERE ${afterSql(source, after)}`;
    const sql = `SELECT ${selectList(source)} FROM ${source.from}${where} ORDER BY ${order} LIMIT ${wanted}`;
    const { rows, bytes, left } = await readRows(connection, sql, source.columns, limit.bytes, this.#expect(known));
    if (rows.length > 0) this.#rowBytes.set(model.name, Math.max(LEAST_ROW_BYTES, bytes / rows.length));
    const last = rows.at(-1);
    const more = left || rows.length === wanted;
    const next = last && more ? relation.key.map((place) => last[place] as string) : null;
    return { relation, rows, next, ...snapshot };
  }

  #expect(known: Known): (signature: string) => void {
    return (signature) => {
      known.signature ??= signature;
      if (known.signature !== signature) throw new TableAltered();
    };
  }
}

class TableAltered extends Error {}

function selectList({ columns }: RelationSource): string {
  return columns.map((column) => column.select("t")).join(", ");
}

/** Spelled out, with a bound on the first column: a comparison of whole rows would not use the index. */
function afterSql({ columns, order, relation }: RelationSource, after: Cursor): string {
  const parts = order.map((place) => {
    const column = columns[place]!;
    return { sql: column.select("t"), value: column.literal(after[relation.key.indexOf(place)]!) };
  });
  const later = parts.map(({ sql, value }, i) =>
    [...parts.slice(0, i).map((before) => `${before.sql} = ${before.value}`), `${sql} > ${value}`].join(" AND "),
  );
  const [first] = parts;
  return `${first!.sql} >= ${first!.value} AND (${later.map((each) => `(${each})`).join(" OR ")})`;
}
