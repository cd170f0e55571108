// What a model and the index of its rows differ in: worked out by the database once, and kept there until it was taken.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { Position } from "../../contracts/change.ts";
import type { QueryModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Differences } from "../../contracts/row-index.ts";
import type { ChunkLimit, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { close } from "./connection.ts";
import type { QueryReader } from "./query-reader.ts";
import { compareSql, FOUND, PLAN } from "./source-index-sql.ts";
import { partitionsOf } from "./source-index-tables.ts";
import { asSourceError } from "./source-error.ts";
import { visibility } from "./visibility.ts";

export interface CompareOptions {
  readonly open: (signal: AbortSignal) => Promise<pg.Client>;
  readonly reader: QueryReader;
  /** A place in the log that all is before which is visible by now. */
  readonly mark: (signal: AbortSignal) => Promise<Position>;
  readonly model: QueryModel;
  readonly content: string;
  readonly hashed: readonly string[];
  /** The sync's number. */
  readonly id: string;
  readonly keepsOut: boolean;
  /** Every row is to be offered. */
  readonly all: boolean;
  readonly settled: () => Promise<void>;
}

/** The transaction is over when this resolves: nothing holds back the database's vacuum while the differences are delivered. */
export async function compare(options: CompareOptions, signal: AbortSignal): Promise<Differences> {
  const session = await OneSession.open(options.open, signal);
  try {
    return await session.use(signal, async (client) => {
      const { described, relation, snapshot } = await options.reader.begin(client, options.model, "READ WRITE");
      const high = await options.mark(signal);
      const { rows } = await client.query<{ encoding: string }>(
        "SELECT current_setting('server_encoding') AS encoding",
      );
      const sql = compareSql({ ...options, described, utf8: rows[0]!.encoding === "UTF8" });
      // Hardly a row is expected to differ, which the planner does not know: it would not let several processes search.
      await client.query("SET LOCAL parallel_tuple_cost = 0");
      await client.query(sql.find);
      const counted = await client.query<Record<"gone" | "without", string>>(
        `SELECT count(*) FILTER (WHERE NOT present AND known) AS gone, count(*) FILTER (WHERE key IS NULL) AS without FROM ${FOUND}`,
      );
      const count = counted.rows[0]!;
      if (count.without !== "0") throw withoutKey(options.model, Number(count.without));
      await client.query(`ANALYZE ${FOUND}`);
      await client.query(sql.plan);
      const planned = await client.query<{ changed: string }>(
        `SELECT count(*) FILTER (WHERE present) AS changed FROM ${PLAN}`,
      );
      // No model's SQL runs in this session any more.
      await client.query("COMMIT; SET default_transaction_read_only = off");
      if (options.keepsOut) await dropKept(client, options.id);
      await client.query(`DROP TABLE ${FOUND}`);
      const about = { relation, high, sees: visibility(snapshot) };
      return new Planned(session, about, Number(planned.rows[0]!.changed), Number(count.gone), options.settled);
    });
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Rows that were kept out and are not there any more. */
async function dropKept(client: pg.Client, id: string): Promise<void> {
  await client.query(
    `DELETE FROM ${partitionsOf(id).keptOut} AS o USING ${FOUND} AS f WHERE f.kept AND NOT f.present AND o.key = f.key`,
  );
}

function withoutKey(model: QueryModel, rows: number): TailraceError {
  return new TailraceError(
    "source.model",
    `${rows} ${rows === 1 ? "row" : "rows"} of model \`${model.name}\` ${rows === 1 ? "has" : "have"} no value in the key (${model.key.join(", ")}); such rows cannot be told apart.`,
  );
}

class Planned implements Differences {
  readonly changed: number;
  readonly gone: number;
  readonly settled: () => Promise<void>;
  readonly #session: OneSession;
  readonly #about: Pick<SnapshotChunk, "relation" | "high" | "sees">;

  constructor(
    session: OneSession,
    about: Pick<SnapshotChunk, "relation" | "high" | "sees">,
    changed: number,
    gone: number,
    settled: () => Promise<void>,
  ) {
    this.#session = session;
    this.#about = about;
    this.changed = changed;
    this.gone = gone;
    this.settled = settled;
  }

  async *rows(limit: ChunkLimit, signal: AbortSignal): AsyncGenerator<SnapshotChunk, void, undefined> {
    const { relation } = this.#about;
    const names = relation.columns.map((_, i) => `c${i}`).join(", ");
    // What a chunk may weigh is counted where it is: too much is not even sent.
    const text = `SELECT q.n::pg_catalog.text AS place, ${names} FROM (
      SELECT p.*, pg_catalog.sum(pg_catalog.octet_length(pg_catalog.concat(${names}))) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS bytes,
             pg_catalog.row_number() OVER (ORDER BY n) AS nth
      FROM (SELECT * FROM ${PLAN} WHERE n > $1 ORDER BY n LIMIT ${limit.rows}) AS p) AS q
      WHERE bytes <= ${limit.bytes} OR nth = 1 ORDER BY q.n`;
    const last = this.gone + this.changed;
    for (let at = this.gone; at < last;) {
      const rows = await this.#session.texts(signal, text, at);
      at = Number(rows.at(-1)![0]);
      const values = rows.map(([, ...texts]): Values => texts);
      yield { ...this.#about, rows: values, next: at === last ? null : keyOf(relation, values.at(-1)!) };
    }
  }

  async *goneKeys(signal: AbortSignal): AsyncGenerator<readonly string[], void, undefined> {
    for (let at = 0; at < this.gone; at += KEYS) {
      const most = Math.min(KEYS, this.gone - at);
      const rows = await this.#session.texts(
        signal,
        `SELECT key FROM ${PLAN} WHERE n > $1 ORDER BY n LIMIT ${most}`,
        at,
      );
      yield rows.map(([key]) => key!);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#session.close();
  }
}

const KEYS = 2_000;

function keyOf({ key }: Relation, values: Values): string[] {
  return key.map((place) => values[place] as string);
}

/** A connection whose temporary tables matter: when it is lost, so are they, and nothing opens it again. */
class OneSession {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(open: CompareOptions["open"], signal: AbortSignal): Promise<OneSession> {
    return new OneSession(await open(signal));
  }

  async use<T>(signal: AbortSignal, work: (client: pg.Client) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const cut = () => destroy(this.#client);
    signal.addEventListener("abort", cut, { once: true });
    try {
      return await work(this.#client);
    } catch (error) {
      destroy(this.#client);
      signal.throwIfAborted();
      throw asSourceError(error);
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }

  async texts(signal: AbortSignal, text: string, after: number): Promise<readonly (string | null)[][]> {
    return this.use(signal, async (client) => {
      const { rows } = await client.query<(string | null)[]>({ text, values: [after], rowMode: "array" });
      return rows;
    });
  }

  close(): Promise<void> {
    return close(this.#client);
  }
}
