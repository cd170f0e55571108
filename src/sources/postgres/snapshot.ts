// Reading rows as they are now: chunks of a table in key order, single rows by key, each with what its snapshot sees.
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues, SnapshotChunk } from "../../contracts/source.ts";
import type { Value, Values } from "../../contracts/values.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { type DescribeOptions, type DescribedModel, describe } from "./describe.ts";
import { parseLsn, positionAt } from "./position.ts";
import type { RelationVersions } from "./relation-versions.ts";
import { sqlState } from "../../kit/postgres/errors.ts";
import { asSourceError } from "./source-error.ts";
import type { SqlSession } from "./sql-session.ts";
import { visibility } from "./visibility.ts";

/** How long a reading waits for a lock: somebody alters the table. Then it is `source.blocked`, and tried again. */
const LOCK_WAIT_MS = 10_000;
/** Keys in one statement. */
const LOOKUP_KEYS = 1000;
/** Rows of a table whose size is not known yet. */
const FIRST_ROWS = 500;
/** What a row costs in memory besides its texts, and what each of its values does: a row of many small ones is mostly that. */
const ROW_BYTES = 32;
const VALUE_BYTES = 24;

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
  #mayEmit = true;

  constructor(session: SqlSession, options: DescribeOptions, versions: RelationVersions) {
    this.#session = session;
    this.#options = options;
    this.#versions = versions;
  }

  /** The next rows after `after` in the key's order. At least one row, whatever it weighs; else no more bytes than asked for. */
  chunk(model: TableModel, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#session
      .use(signal, async (client) => {
        const { described, relation, snapshot } = await this.#begin(client, model);
        if (after && after.length !== relation.key.length) {
          throw new TailraceError(
            "source.model",
            `model ${model.name}: its key had ${after.length} columns when the backfill began and has ${relation.key.length} now; resync it`,
          );
        }
        const known = this.#rowBytes.get(relation.id);
        const planned = known === undefined ? FIRST_ROWS : Math.ceil(limit.bytes / known);
        const wanted = Math.max(1, Math.min(limit.rows, planned));
        const read = await readRows(client, chunkQuery(described, after, wanted), described, limit.bytes);
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
          const { rows } = await readRows(client, query, described, Infinity);
          for (const row of rows) found.set(JSON.stringify(relation.key.map((place) => row[place])), row);
        }
        return { relation, rows: [...found.values()], next: null, high: await this.#end(client), snapshot };
      })
      .then((chunk) => this.#withHigh(chunk, signal));
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
  async #end(client: pg.Client): Promise<string | null> {
    await client.query("COMMIT");
    return this.#mark(client);
  }

  // A transactional message is flushed, and the reader of the log is sure to come past it soon, however quiet the
  // database is.
  async #mark(client: pg.Client): Promise<string> {
    if (this.#mayEmit) {
      try {
        const { rows } = await client.query<{ lsn: string }>(
          "SELECT pg_logical_emit_message(true, 'tailrace', ''::text)::text AS lsn",
        );
        return rows[0]!.lsn;
      } catch (error) {
        if (sqlState(error) !== "42501") throw error;
        this.#mayEmit = false;
      }
    }
    const { rows } = await client.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn");
    return rows[0]!.lsn;
  }

  async #withHigh(
    chunk: { relation: Relation; rows: readonly Values[]; next: Cursor | null; high: string | null; snapshot: string },
    signal: AbortSignal,
  ): Promise<SnapshotChunk> {
    const { relation, rows, next, snapshot } = chunk;
    const lsn = chunk.high ?? (await this.#session.use(signal, (client) => this.#mark(client)));
    return { relation, rows, next, high: positionAt(parseLsn(lsn)), sees: visibility(snapshot) };
  }
}

/** What must stay as it is for a description to hold. */
function beginQuery({ table }: DescribedModel, publication: string): string {
  return `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL lock_timeout = ${LOCK_WAIT_MS};
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0;
LOCK TABLE ${tableSql(table)} IN ACCESS SHARE MODE;
SELECT pg_current_snapshot()::text AS snapshot, (
  SELECT md5(concat_ws('/', n.nspname, c.relname, c.relkind, c.relreplident,
    (SELECT string_agg(concat_ws(',', a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.attisdropped), ';'
                       ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
    (SELECT string_agg(i.indexrelid::text || i.xmin::text, ';' ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid),
    (SELECT p.xmin FROM pg_publication p WHERE p.pubname = ${pg.escapeLiteral(publication)})))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ${BigInt(table.oid)}) AS fingerprint`;
}

/** A plain table without those that inherit from it: the log has their rows under their own names. */
function tableSql(table: DescribedModel["table"]): string {
  return table.kind === "p" ? table.sql : `ONLY ${table.sql}`;
}

interface RowQuery {
  readonly text: string;
  readonly values: readonly unknown[];
}

function selectList({ columns }: DescribedModel): string {
  return columns.map(({ name }) => `t.${quoteIdentifier(name)}`).join(", ");
}

/** The key's columns in the order of its index, with what a parameter is cast to and its place in the key. */
function keyColumns({ columns, relation, index }: DescribedModel) {
  return index.columns.map((name, i) => {
    const keyPlace = relation.key.findIndex((place) => columns[place]!.name === name);
    const { sqlType } = columns[relation.key[keyPlace]!]!;
    return { sql: `t.${quoteIdentifier(name)}`, sqlType, keyPlace, operators: index.operators[i]! };
  });
}

function chunkQuery(described: DescribedModel, after: Cursor | null, rows: number): RowQuery {
  const key = keyColumns(described);
  const order = key.map(({ sql }) => sql).join(", ");
  const where = after === null ? "" : ` WHERE ${afterSql(key)}`;
  return {
    text: `SELECT ${selectList(described)} FROM ${tableSql(described.table)} AS t${where} ORDER BY ${order} LIMIT ${rows}`,
    values: after === null ? [] : key.map(({ keyPlace }) => after[keyPlace]),
  };
}

// Row comparison goes straight to the index, but has one operator for all columns. Where a column's type brings its own
// (citext), the comparison is spelled out, with a bound on the first column for the index.
function afterSql(key: ReturnType<typeof keyColumns>): string {
  const values = key.map(({ sqlType }, i) => `$${i + 1}::${sqlType}`);
  if (key.every(({ operators }) => operators.greater === "OPERATOR(pg_catalog.>)")) {
    return `(${key.map(({ sql }) => sql).join(", ")}) OPERATOR(pg_catalog.>) (${values.join(", ")})`;
  }
  const [first] = key;
  const later = key.map(({ sql, operators }, i) => {
    const equal = key.slice(0, i).map((before, j) => `${before.sql} ${before.operators.equal} ${values[j]}`);
    return `(${[...equal, `${sql} ${operators.greater} ${values[i]}`].join(" AND ")})`;
  });
  return `${first!.sql} ${first!.operators.atLeast} ${values[0]} AND (${later.join(" OR ")})`;
}

function lookupQuery(described: DescribedModel, keys: readonly KeyValues[]): RowQuery {
  const key = keyColumns(described);
  const arrays = key.map((_, i) => `$${i + 1}::text[]`).join(", ");
  const names = key.map((_, i) => `k${i}`).join(", ");
  const match = key
    .map(({ sql, sqlType, operators }, i) => `${sql} ${operators.equal} k.k${i}::${sqlType}`)
    .join(" AND ");
  return {
    text: `SELECT ${selectList(described)} FROM unnest(${arrays}) AS k (${names}) JOIN ${tableSql(described.table)} AS t ON ${match}`,
    values: key.map(({ keyPlace }) => keys.map((values) => values[keyPlace])),
  };
}

/**
 * Runs a query and keeps its rows up to `limitBytes` (the first in any case). What is on its way after that is thrown
 * away; when it is much, the connection is cut rather than read to the end.
 */
function readRows(
  client: pg.Client,
  { text, values }: RowQuery,
  { columns }: DescribedModel,
  limitBytes: number,
): Promise<{
  readonly rows: readonly Values[];
  readonly bytes: number;
  readonly left: boolean;
  readonly cutOff: boolean;
}> {
  const normalise = columns.map((column) => column.normalise);
  const rows: Values[] = [];
  let bytes = 0;
  let wastedBytes = 0;
  let left = false;
  let cutOff = false;
  const query = new pg.Query<Value[]>({ text, values: [...values], rowMode: "array" } as unknown as pg.QueryConfig);
  return new Promise((resolve, reject) => {
    query.on("row", (row) => {
      if (cutOff) return;
      const texts = row as unknown as (string | null)[];
      let size = ROW_BYTES + texts.length * VALUE_BYTES;
      for (let i = 0; i < texts.length; i += 1) {
        const value = texts[i]!;
        if (value === null) continue;
        size += value.length;
        const normaliser = normalise[i]!;
        if (normaliser !== null) texts[i] = normaliser(value);
      }
      if (rows.length > 0 && (left || bytes + size > limitBytes)) {
        left = true;
        wastedBytes += size;
        if (wastedBytes <= Math.max(limitBytes, 1_048_576)) return;
        cutOff = true;
        destroy(client);
        resolve({ rows, bytes, left, cutOff });
        return;
      }
      rows.push(texts);
      bytes += size;
    });
    query.on("end", () => resolve({ rows, bytes, left, cutOff }));
    query.on("error", (error) => reject(asSourceError(error)));
    client.query(query);
  });
}
