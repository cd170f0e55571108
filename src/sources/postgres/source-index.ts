// What was sent of the rows of models, kept in the source's own database.
import type pg from "pg";
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type {
  Differences,
  KnownRows,
  SentRow,
  SourceRowIndex,
  SourceRowIndexes,
  SourceRowIndexOptions,
} from "../../contracts/row-index.ts";
import type { Holding } from "../../contracts/source.ts";
import { type OpenedRows, openRows, rowsKnown } from "../../kit/row-index/open-tables.ts";
import { storedIdentity } from "../../kit/row-index/stored-identity.ts";
import { type TableAccess, TableRowIndex } from "../../kit/row-index/table-index.ts";
import type { Row, RowSession } from "../../kit/row-index/tables.ts";
import type { QueryReader } from "./query-reader.ts";
import { compare } from "./source-index-compare.ts";
import {
  dropNumber,
  hasTables,
  HOLDERS,
  KEPT_OUT,
  numberOf,
  partitionsOf,
  prepareTables,
  SCHEMA,
  TABLES,
  writing,
} from "./source-index-tables.ts";
import type { SqlSession } from "./sql-session.ts";

export interface SourceIndexesOptions {
  readonly project: string;
  /** For our own statements. */
  readonly session: SqlSession;
  /** A connection for the SQL of models. */
  readonly open: (signal: AbortSignal) => Promise<pg.Client>;
  readonly reader: QueryReader;
  readonly mark: (signal: AbortSignal) => Promise<Position>;
}

const never = new AbortController().signal;

export class SourceIndexes implements SourceRowIndexes {
  readonly permit = `CREATE SCHEMA ${SCHEMA} AUTHORIZATION the_role`;
  readonly #options: SourceIndexesOptions;

  constructor(options: SourceIndexesOptions) {
    this.#options = options;
  }

  known(sync: string, signal: AbortSignal): Promise<KnownRows | null> {
    return this.#options.session.use(signal, async (client) => {
      if (!(await hasTables(client))) return null;
      const { rows } = await client.query<{ id: string }>(
        `SELECT id::text AS id FROM ${HOLDERS} WHERE project = $1 AND sync = $2 AND complete`,
        [this.#options.project, sync],
      );
      return rows[0] === undefined ? null : rowsKnown(sessionOf(client), TABLES, rows[0].id);
    });
  }

  open(options: SourceRowIndexOptions, signal: AbortSignal): Promise<SourceRowIndex | null> {
    const { session, project } = this.#options;
    return session.use(signal, async (client) => {
      if (!(await prepareTables(client))) return null;
      const judgedBy = JSON.stringify(options.where);
      const opened = await writing(client, async () => {
        const id = await numberOf(client, project, options.sync);
        const { rows } = await client.query<{ epoch: string; complete: string; judged_by: string | null }>(
          `UPDATE ${HOLDERS} SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch::text, complete::text, judged_by`,
          [id],
        );
        const { epoch, judged_by } = rows[0]!;
        const complete = rows[0]!.complete === "true";
        // What was begun and not completed is begun anew.
        const identity = complete ? options.identity : `${options.identity} ${epoch}`;
        const index = await openRows(sessionOf(client), TABLES, id, { ...options, identity });
        if (!complete)
          await client.query(`UPDATE ${TABLES.indexed_model} SET identity = $2 WHERE sync = $1`, [
            id,
            storedIdentity(options),
          ]);
        if (index.isNew) await client.query(`UPDATE ${HOLDERS} SET complete = false WHERE id = $1`, [id]);
        const isJudged = index.isNew || judged_by === judgedBy;
        if (index.isNew || !isJudged) await client.query(`DELETE FROM ${KEPT_OUT} WHERE sync = $1`, [id]);
        if (index.isNew) await client.query(`UPDATE ${HOLDERS} SET judged_by = $2 WHERE id = $1`, [id, judgedBy]);
        const kept = await client.query<{ count: string }>(`SELECT count(*) FROM ${partitionsOf(id).keptOut}`);
        return { id, epoch, index, isJudged, keptOut: Number(kept.rows[0]!.count) };
      });
      return new PostgresSourceIndex(this.#options, options, { ...opened, judgedBy });
    });
  }

  forget(sync: string, signal: AbortSignal): Promise<void> {
    const { session, project } = this.#options;
    return session.use(signal, async (client) => {
      if (!(await hasTables(client))) return;
      await writing(client, async () => {
        const { rows } = await client.query<{ id: string }>(
          `SELECT id::text AS id FROM ${HOLDERS} WHERE project = $1 AND sync = $2 FOR UPDATE`,
          [project, sync],
        );
        if (rows[0] !== undefined) await dropNumber(client, rows[0].id);
      });
    });
  }

  /** The project's, of whichever syncs. `used`: names of those that there are. */
  holdings(used: readonly string[], signal: AbortSignal): Promise<readonly Holding[]> {
    const { session, project } = this.#options;
    return session.use(signal, async (client) => {
      if (!(await hasTables(client))) return [];
      const { rows } = await client.query<{ sync: string; rows: string; size: string }>(
        `SELECT h.sync, coalesce(m.rows, 0)::text AS rows,
                pg_size_pretty(pg_total_relation_size(format('tailrace_rows.indexed_%s', h.id)::regclass)) AS size
         FROM ${HOLDERS} h LEFT JOIN ${TABLES.indexed_model} m ON m.sync = h.id::text WHERE h.project = $1 ORDER BY h.sync`,
        [project],
      );
      return rows.map((row) => ({
        name: `${HOLDING}${row.sync}`,
        kind: "index of rows",
        active: false,
        retainedBytes: null,
        used: used.includes(row.sync),
        detail: `what was sent of ${row.rows} rows; ${row.size}`,
      }));
    });
  }

  /** Removes what {@link holdings} named so; false: it is not a name of these. */
  async release(name: string, signal: AbortSignal): Promise<boolean> {
    if (!name.startsWith(HOLDING)) return false;
    const sync = name.slice(HOLDING.length);
    const known = await this.holdings([], signal);
    if (!known.some((holding) => holding.name === name))
      throw new TailraceError("source.config", `there is no index of the rows of ${sync}`);
    await this.forget(sync, signal);
    return true;
  }
}

const HOLDING = "rows of ";

function sessionOf(client: pg.Client): RowSession {
  return { rows: async (text, values = []) => (await client.query<Row>(text, [...values])).rows };
}

interface Opened {
  readonly id: string;
  readonly epoch: string;
  readonly index: OpenedRows;
  readonly keptOut: number;
  readonly isJudged: boolean;
  readonly judgedBy: string;
}

class PostgresSourceIndex extends TableRowIndex implements SourceRowIndex {
  readonly #source: SourceIndexesOptions;
  readonly #options: SourceRowIndexOptions;
  readonly #id: string;
  readonly #access: TableAccess;
  readonly #judgedBy: string;
  #keptOut: number;
  #isJudged: boolean;

  constructor(source: SourceIndexesOptions, options: SourceRowIndexOptions, opened: Opened) {
    const { id, epoch, index } = opened;
    const access = heldBy(source.session, options.sync, id, epoch);
    super(id, access, options.parts, index);
    this.#source = source;
    this.#options = options;
    this.#id = id;
    this.#access = access;
    this.#judgedBy = opened.judgedBy;
    this.#keptOut = opened.keptOut;
    this.#isJudged = opened.isJudged;
  }

  compare(signal: AbortSignal): Promise<Differences> {
    const { open, reader, mark } = this.#source;
    const { model, columns, content } = this.#options;
    return compare(
      {
        open,
        reader,
        mark,
        model,
        content,
        hashed: columns,
        id: this.#id,
        keepsOut: this.#keptOut > 0,
        all: !this.#isJudged,
        settled: () => this.#settled(),
      },
      signal,
    );
  }

  async #settled(): Promise<void> {
    if (this.#isJudged) return;
    await this.#access.write((session) =>
      session.rows(`UPDATE ${HOLDERS} SET judged_by = $2 WHERE id = $1`, [this.#id, this.#judgedBy]),
    );
    this.#isJudged = true;
  }

  async complete(): Promise<void> {
    await this.#access.write((session) =>
      session.rows(`UPDATE ${HOLDERS} SET complete = true WHERE id = $1`, [this.#id]),
    );
  }

  /** Never both in the index and kept out: a comparison would find it twice. */
  override async announce(rows: readonly SentRow[]): Promise<readonly number[]> {
    if (this.#keptOut > 0) {
      const keys = rows.map(({ key }) => key);
      await this.#access.write((session) =>
        session.rows(`DELETE FROM ${KEPT_OUT} WHERE sync = $1 AND key = ANY ($2)`, [this.#id, keys]),
      );
    }
    return super.announce(rows);
  }

  async keepOut(rows: readonly { readonly key: string; readonly hash: string }[]): Promise<void> {
    if (rows.length === 0) return;
    this.#keptOut += rows.length;
    await this.#access.write((session) =>
      session.rows(
        `INSERT INTO ${KEPT_OUT} (sync, key, hash)
         SELECT $1::text, key, decode(hash, 'hex') FROM unnest($2::text[], $3::text[]) AS new (key, hash)
         WHERE NOT EXISTS (SELECT FROM ${TABLES.indexed} i WHERE i.sync = $1 AND i.key = ANY ($2) AND i.key = new.key)
         ON CONFLICT (sync, key) DO UPDATE SET hash = excluded.hash`,
        [this.#id, rows.map(({ key }) => key), rows.map(({ hash }) => hash)],
      ),
    );
  }
}

/** What writes proves in the same transaction that nobody has opened the index since. */
function heldBy(session: SqlSession, sync: string, id: string, epoch: string): TableAccess {
  return {
    names: TABLES,
    read: (work) => session.use(never, (client) => work(sessionOf(client))),
    write: (work) =>
      session.use(never, (client) =>
        writing(client, async () => {
          const { rows } = await client.query(`SELECT FROM ${HOLDERS} WHERE id = $1 AND epoch = $2 FOR SHARE`, [
            id,
            epoch,
          ]);
          if (rows.length === 0) throw taken(sync);
          return work(sessionOf(client));
        }),
      ),
  };
}

function taken(sync: string): TailraceError {
  return new TailraceError(
    "state.lease_lost",
    `another process keeps the index of ${sync} in the source's database now`,
  );
}
