// Reading rows of a table as they are now: chunks in key order, single rows by key, each with what its snapshot sees.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { type DescribeOptions, type DescribedModel, describe } from "./describe.ts";
import type { LogMark } from "./log-mark.ts";
import { ROW_BYTES, readRows } from "./read-rows.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import type { BegunScan } from "./scan.ts";
import type { SqlSession } from "./sql-session.ts";
import { beginQuery, chunkQuery, lookupQuery } from "./table-queries.ts";
import { visibility } from "./visibility.ts";

/** Keys in one statement. */
const LOOKUP_KEYS = 1000;
/** Rows of a table whose size is not known yet. */
const FIRST_ROWS = 500;

interface Reading {
  readonly described: DescribedModel;
  readonly relation: Relation;
  readonly snapshot: string;
}

export class SnapshotReader {
  readonly #session: SqlSession;
  readonly #options: DescribeOptions;
  readonly #versions: RelationVersions;
  readonly #known = new Map<string, { readonly described: DescribedModel; readonly fingerprint: string }>();
  /** Bytes of a row, as last seen, by table. */
  readonly #rowBytes = new Map<string, number>();
  readonly #mark: LogMark;

  constructor(session: SqlSession, options: DescribeOptions, versions: RelationVersions, mark: LogMark) {
    this.#session = session;
    this.#options = options;
    this.#versions = versions;
    this.#mark = mark;
  }

  /** The next rows after `after` in the key's order. At least one row, whatever it weighs; else no more bytes than asked for. */
  chunk(model: TableModel, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#session
      .use(signal, async (client) => {
        const { described, relation, snapshot } = await this.#begin(client, model);
        sameKey(model, after, relation);
        const known = this.#rowBytes.get(relation.id);
        const planned = known === undefined ? FIRST_ROWS : Math.ceil(limit.bytes / known);
        const wanted = Math.max(1, Math.min(limit.rows, planned));
        const read = await readRows(client, chunkQuery(described, after, wanted), normaliseOf(described), limit.bytes);
        const { rows } = read;
        if (rows.length > 0) this.#rowBytes.set(relation.id, Math.max(ROW_BYTES, read.bytes / rows.length));
        // Cut off: the session is gone, and so is its transaction; the rows that came are whole.
        const high = read.cutOff ? null : await this.#end(client);
        const last = rows.at(-1);
        const more = read.left || rows.length === wanted;
        const next = last && more ? relation.key.map((place) => last[place] as string) : null;
        return { relation, rows, next, high, snapshot };
      })
      .then((chunk) => this.#withHigh(chunk, signal));
  }

  /** The rows with these keys, each once, from one snapshot. */
  lookup(model: TableModel, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#session
      .use(signal, async (client) => {
        const { described, relation, snapshot } = await this.#begin(client, model);
        const found = new Map<string, Values>();
        for (let at = 0; at < keys.length; at += LOOKUP_KEYS) {
          const query = lookupQuery(described, keys.slice(at, at + LOOKUP_KEYS));
          const { rows } = await readRows(client, query, normaliseOf(described), Infinity);
          for (const row of rows) found.set(JSON.stringify(relation.key.map((place) => row[place])), row);
        }
        return { relation, rows: [...found.values()], next: null, high: await this.#end(client), snapshot };
      })
      .then((chunk) => this.#withHigh(chunk, signal));
  }

  /** A transaction on `client` for all rows after `after`. */
  async beginScan(client: pg.Client, model: TableModel, after: Cursor | null): Promise<BegunScan> {
    const { described, relation, snapshot } = await this.#begin(client, model);
    sameKey(model, after, relation);
    return { relation, snapshot, query: chunkQuery(described, after, null), normalise: normaliseOf(described) };
  }

  /** The model's relation as it is now. */
  describe(model: TableModel, signal: AbortSignal): Promise<Relation> {
    return this.#session.use(signal, async (client) => {
      const { relation } = await describe(client, model, this.#options);
      return this.#versions.intern(relation);
    });
  }

  /** About how many rows the table has, as its statistics say; null: it was never analysed. */
  estimate(model: TableModel, signal: AbortSignal): Promise<number | null> {
    return this.#session.use(signal, async (client) => {
      const { rows } = await client.query<{ rows: string | null }>(
        `SELECT (CASE WHEN bool_or(l.reltuples < 0 AND pg_relation_size(l.oid) > 0) THEN NULL
                      ELSE sum(greatest(l.reltuples, 0))::bigint END)::text AS rows
           FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
          CROSS JOIN LATERAL (SELECT c.oid AS relid UNION SELECT t.relid FROM pg_partition_tree(c.oid) t WHERE t.isleaf) AS part
           JOIN pg_class l ON l.oid = part.relid AND l.relkind = 'r'
          WHERE n.nspname = $1 AND c.relname = $2`,
        [model.table.namespace ?? this.#options.schema, model.table.name],
      );
      const text = rows[0]?.rows ?? null;
      return text === null ? null : Number(text);
    });
  }

  /**
   * A read-only transaction with its snapshot, and the table as that snapshot's moment has it. The lock comes first: a
   * table that is rewritten or truncated after a snapshot looks empty to it.
   */
  async #begin(client: pg.Client, model: TableModel): Promise<Reading> {
    const known = JSON.stringify([model.table.namespace, model.table.name, model.key]);
    let described = this.#known.get(known)?.described ?? (await describe(client, model, this.#options));
    for (let tries = 0; ; tries += 1) {
      try {
        const results = (await client.query(
          beginQuery(described, this.#options.publication),
        )) as unknown as pg.QueryResult<{
          snapshot: string;
          fingerprint: string | null;
        }>[];
        const { snapshot, fingerprint } = results.at(-1)!.rows[0]!;
        if (fingerprint !== null && fingerprint === this.#known.get(known)?.fingerprint) {
          return { described, relation: this.#versions.intern(described.relation), snapshot };
        }
        // The first time, or it was altered: described anew under the lock, so that it cannot change any more.
        const now = await describe(client, model, this.#options);
        if (fingerprint !== null && now.table.oid === described.table.oid) {
          this.#known.set(known, { described: now, fingerprint });
          return { described: now, relation: this.#versions.intern(now.relation), snapshot };
        }
        await client.query("ROLLBACK");
        described = now;
      } catch (error) {
        // Renamed, moved or dropped since it was described.
        const gone = ["42P01", "3F000", "42703"].includes(sqlState(error) ?? "");
        if (!gone || tries >= 3) throw error;
        await client.query("ROLLBACK");
        described = await describe(client, model, this.#options);
      }
      if (tries >= 3)
        throw new TailraceError("source.blocked", `model ${model.name}: its table is being altered again and again`);
    }
  }

  /** Ends the transaction; returns a place in the log that everything its snapshot saw is before. */
  async #end(client: pg.Client): Promise<string> {
    await client.query("COMMIT");
    return this.#mark.set(client);
  }

  async #withHigh(
    chunk: { relation: Relation; rows: readonly Values[]; next: Cursor | null; high: string | null; snapshot: string },
    signal: AbortSignal,
  ): Promise<SnapshotChunk> {
    const { relation, rows, next, snapshot } = chunk;
    return { relation, rows, next, high: chunk.high ?? (await this.#mark.note(signal)), sees: visibility(snapshot) };
  }
}

function normaliseOf({ columns }: DescribedModel) {
  return columns.map(({ normalise }) => normalise);
}

/** A cursor that was kept is of the same key. */
export function sameKey(model: Pick<TableModel, "name">, after: Cursor | null, relation: Relation): void {
  if (after === null || after.length === relation.key.length) return;
  throw new TailraceError(
    "source.model",
    `model ${model.name}: its key had ${after.length} columns when the backfill began and has ${relation.key.length} now; resync it`,
  );
}
