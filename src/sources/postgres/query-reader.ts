// Reading rows of a query: all of them, or those of some keys, each with what its snapshot sees.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { QueryModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Cursor, KeyValues, SnapshotChunk } from "../../contracts/source.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { type DescribedQuery, describeQuery, fingerprintSql, fromModel } from "./describe-query.ts";
import { afterSql } from "./key-sql.ts";
import { type KnownQuery, knowQuery } from "./known-query.ts";
import type { LogMark } from "./log-mark.ts";
import { parseLsn, positionAt } from "./position.ts";
import { lookUp } from "./query-lookup.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import type { BegunScan } from "./scan.ts";
import { sameKey } from "./snapshot.ts";
import type { SqlSession } from "./sql-session.ts";
import { visibility } from "./visibility.ts";

/** The best way to read rows by key may be another one when an index was made. */
const LEARN_AGAIN_AFTER_MS = 600_000;

export interface BegunQuery {
  readonly described: DescribedQuery;
  readonly relation: Relation;
  readonly snapshot: string;
}

export class QueryReader {
  readonly #session: SqlSession;
  readonly #live: SqlSession;
  readonly #versions: RelationVersions;
  readonly #mark: LogMark;
  readonly #publication: string;
  readonly #known = new Map<string, { readonly known: KnownQuery; readonly atMs: number }>();

  /** Both sessions are for models; `live`: for what is never long. `mark`: on another one. */
  constructor(session: SqlSession, live: SqlSession, publication: string, versions: RelationVersions, mark: LogMark) {
    this.#session = session;
    this.#live = live;
    this.#publication = publication;
    this.#versions = versions;
    this.#mark = mark;
  }

  /** The result's relation as it is now. */
  async describe(model: QueryModel, signal: AbortSignal): Promise<Relation> {
    const described = await this.#session.use(signal, (client) => describeQuery(client, model));
    return this.#versions.intern(described.relation);
  }

  /** All that is to be known of it; from the last look, or as it is `now`. */
  async know(model: QueryModel, signal: AbortSignal, now = false): Promise<KnownQuery> {
    const name = JSON.stringify([model.name, model.sql, model.key, model.capture, model.diff.whenChanged]);
    const last = now ? undefined : this.#known.get(name);
    if (last && Date.now() - last.atMs < LEARN_AGAIN_AFTER_MS) return last.known;
    const known = await this.#session.use(signal, (client) => knowQuery(client, model, this.#publication));
    this.#known.set(name, { known, atMs: Date.now() });
    return known;
  }

  /**
   * The rows with these keys, from one snapshot, in one round trip: a single statement takes its locks before its snapshot. All rows
   * of a key that is not unique.
   */
  async lookup(model: QueryModel, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    if (keys.length === 0) {
      const relation = this.#versions.intern((await this.know(model, signal)).described.relation);
      const high = await this.#mark.note(signal);
      return { relation, rows: [], next: null, high, sees: () => true };
    }
    for (let tries = 0; ; tries += 1) {
      // A table or view of it was altered: the rows may be of another shape, or of another query.
      const known = await this.know(model, signal, tries > 0);
      // A query that is compared may have to be evaluated as a whole for it: no other waits for that.
      const session = known.because.length === 0 ? this.#live : this.#session;
      const found = await session.use(signal, (client) => lookUp(client, known, keys));
      if (found !== null && found.fingerprint === known.described.fingerprint) {
        const { rows, lsn, snapshot } = found;
        const relation = this.#versions.intern(known.described.relation);
        return { relation, rows, next: null, high: positionAt(parseLsn(lsn)), sees: visibility(snapshot) };
      }
      if (tries >= 3) throw alteredAgain(model);
    }
  }

  /** A transaction on `client` for all rows after `after`. */
  async beginScan(client: pg.Client, model: QueryModel, after: Cursor | null): Promise<BegunScan> {
    const { described, relation, snapshot } = await this.begin(client, model, "READ ONLY");
    sameKey(model, after, relation);
    return { relation, snapshot, query: scanQuery(model, described, after), normalise: described.normalise };
  }

  /**
   * A transaction on `client` that has its snapshot. The locks come before that: a table that is rewritten or truncated after it looks empty
   * to it.
   */
  async begin(client: pg.Client, model: QueryModel, access: "READ ONLY" | "READ WRITE"): Promise<BegunQuery> {
    for (let tries = 0; ; tries += 1) {
      const described = await describeQuery(client, model);
      const lockable = described.reads.filter(({ kind, readable }) => readable && "rpv".includes(kind));
      const lock =
        lockable.length === 0 ? "" : `LOCK TABLE ${lockable.map(({ sql }) => sql).join(", ")} IN ACCESS SHARE MODE;`;
      const results = (await client.query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ ${access}; ${lock}
         SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot, ${fingerprintSql(described.reads)} AS fingerprint`,
      )) as unknown as pg.QueryResult<{ snapshot: string; fingerprint: string }>[];
      const { snapshot, fingerprint } = results.at(-1)!.rows[0]!;
      if (fingerprint === described.fingerprint) {
        return { described, relation: this.#versions.intern(described.relation), snapshot };
      }
      await client.query("ROLLBACK");
      if (tries >= 3) throw alteredAgain(model);
    }
  }

  /** About how many rows it has, as the planner guesses. */
  estimate(model: QueryModel, signal: AbortSignal): Promise<number | null> {
    return this.#session.use(signal, async (client) => {
      const { rows } = await client.query<{ "QUERY PLAN": string }>(
        `EXPLAIN (FORMAT JSON) SELECT * FROM ${fromModel(model)}`,
      );
      const [explained] = JSON.parse(rows[0]!["QUERY PLAN"]) as { readonly Plan: { readonly "Plan Rows": number } }[];
      return explained!.Plan["Plan Rows"];
    });
  }
}

function alteredAgain(model: QueryModel): TailraceError {
  return new TailraceError("source.blocked", `model ${model.name}: what it reads is being altered again and again`);
}

function selectList({ relation }: DescribedQuery): string {
  return relation.columns.map(({ name }) => `m.${quoteIdentifier(name)}`).join(", ");
}

function scanQuery(model: QueryModel, described: DescribedQuery, after: Cursor | null) {
  const { key } = described;
  const where = after === null ? "" : ` WHERE ${afterSql(key)}`;
  const order = key.map(({ sql }) => sql).join(", ");
  return {
    text: `SELECT ${selectList(described)} FROM ${fromModel(model)}${where} ORDER BY ${order}`,
    values: after ?? [],
  };
}
