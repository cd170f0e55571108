// A model that is followed by changes, evaluated late and in pieces, beside what the database says of all of it.
import type pg from "pg";
import type { Change } from "../../src/contracts/change.ts";
import type { QueryModel } from "../../src/contracts/model.ts";
import type { KeyValues } from "../../src/contracts/source.ts";
import { type Server, startServer } from "../../src/cli/demo/embedded-postgres.ts";
import { connect } from "../../src/sources/postgres/connection.ts";
import { type DescribedQuery, describeQuery } from "../../src/sources/postgres/describe-query.ts";
import { type QueryAnalysis, analyse } from "../../src/sources/postgres/query/analyse.ts";
import { DatabaseCatalog } from "../../src/sources/postgres/query/catalog.ts";
import { PostgresLiveQuery } from "../../src/sources/postgres/query/live-query.ts";
import { takeRow } from "../../src/sources/postgres/read-rows.ts";
import { SqlSession } from "../../src/sources/postgres/sql-session.ts";
import type { Choices } from "./choices.ts";
import { LiveTables, type World, ddl } from "./live-tables.ts";

const never = new AbortController().signal;
/** A session keeps the prepared statements of so many models. */
const MODELS_A_SESSION = 100;

/** A server of its own, with some worlds on it. */
export class QueryLab implements AsyncDisposable {
  readonly #server: Server;
  readonly writer: pg.Client;
  readonly #sessions = new Map<World, { readonly session: SqlSession; models: number }>();
  /** A connection that was lost takes its own with it. */
  readonly #catalogs = new WeakMap<pg.Client, DatabaseCatalog>();

  private constructor(server: Server, writer: pg.Client) {
    this.#server = server;
    this.writer = writer;
  }

  static async start(worlds: readonly World[]): Promise<QueryLab> {
    const server = await startServer();
    const writer = await connect({ url: server.url() }, { replication: false, signal: never });
    for (const world of worlds) await writer.query(ddl(world));
    return new QueryLab(server, writer);
  }

  /** Throws what the database says of a query that is wrong. */
  async analyse(
    world: World,
    model: QueryModel,
  ): Promise<{ session: SqlSession; described: DescribedQuery; analysis: QueryAnalysis }> {
    const session = await this.#sessionOf(world);
    return session.use(never, async (client) => {
      const described = await describeQuery(client, model);
      const catalog = this.#catalogs.get(client) ?? new DatabaseCatalog(client, true);
      this.#catalogs.set(client, catalog);
      return { session, described, analysis: await analyse(model, described, catalog) };
    });
  }

  async #sessionOf(world: World): Promise<SqlSession> {
    const open = this.#sessions.get(world);
    if (open && open.models < MODELS_A_SESSION) {
      open.models += 1;
      return open.session;
    }
    await open?.session[Symbol.asyncDispose]();
    const session = new SqlSession((signal) =>
      connect({ url: this.#server.url() }, { replication: false, signal, schemas: [world.schema] }),
    );
    this.#sessions.set(world, { session, models: 0 });
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of this.#sessions.values()) await session[Symbol.asyncDispose]();
    await this.writer.end();
    await this.#server[Symbol.asyncDispose]();
  }
}

export interface FollowedOutcome {
  /** What was delivered in the end, and what the database says, as texts that can be compared. */
  readonly delivered: string;
  readonly expected: string;
  /** The result is another one than at the beginning. */
  readonly changed: boolean;
}

/**
 * Each of `steps` is a transaction, or an evaluation of some of those that are pending: later ones have committed by then. null: the
 * model cannot be followed.
 */
export async function follow(
  lab: QueryLab,
  world: World,
  model: QueryModel,
  choices: Choices,
  steps: readonly number[],
): Promise<FollowedOutcome | { readonly analysis: Extract<QueryAnalysis, { kind: "diff" }> }> {
  const { session, described, analysis } = await lab.analyse(world, model);
  if (analysis.kind === "diff") return { analysis };
  const live = new PostgresLiveQuery(session, model, { described, analysis }, true);
  const rows = new Rows(session, model, described);
  const tables = await LiveTables.empty(lab.writer, world);
  tables.writeTo(live.relations);
  await tables.transact(choices, 5 * live.relations.size);
  let delivered = await rows.all();
  const atFirst = inOrder(delivered);
  let pending: (readonly Change[])[] = [];

  const evaluate = async (transactions: number): Promise<void> => {
    const changes = pending.slice(0, transactions).flat();
    pending = pending.slice(transactions);
    const affected = await live.affected(
      changes.filter(({ relation }) => live.relations.has(relation.id)),
      never,
    );
    if (affected.all) throw new Error("everything is affected");
    const asked = new Map(affected.keys.map((key) => [JSON.stringify(key), key]));
    for (const { places, values } of affected.partial) {
      const wanted = new Set(values.map((one) => JSON.stringify(one)));
      for (const text of delivered.keys()) {
        const sent = JSON.parse(text) as KeyValues;
        if (wanted.has(JSON.stringify(places.map((place) => sent[place]!)))) asked.set(text, sent);
      }
    }
    if (asked.size === 0) return;
    const now = await rows.of([...asked.values()]);
    delivered = new Map([...[...delivered].filter(([text]) => !asked.has(text)), ...now]);
  };

  for (const step of steps) {
    if (step % 3 === 2) await evaluate(1 + ((step >> 2) % 3));
    else pending.push(await tables.transact(choices, 1 + ((step >> 2) % 4)));
  }
  await evaluate(pending.length);
  const expected = inOrder(await rows.all());
  return { delivered: inOrder(delivered), expected, changed: expected !== atFirst };
}

/** By key, all rows that have it; without those whose key is null. */
type ByKey = ReadonlyMap<string, readonly string[]>;

function inOrder(rows: ByKey): string {
  return [...rows]
    .map(([key, list]) => `${key} ${list.join(" ")}`)
    .sort()
    .join("\n");
}

class Rows {
  readonly #session: SqlSession;
  readonly #described: DescribedQuery;
  readonly #from: string;

  constructor(session: SqlSession, model: QueryModel, described: DescribedQuery) {
    this.#session = session;
    this.#described = described;
    this.#from = `SELECT * FROM (${model.sql}) AS m`;
  }

  all(): Promise<ByKey> {
    return this.#read(this.#from, []);
  }

  of(keys: readonly KeyValues[]): Promise<ByKey> {
    const { key } = this.#described;
    const lists = key.map((_, i) => `unnest($${i + 1}::text[])`).join(", ");
    const match = key.map(({ sql, sqlType }, i) => `${sql} = k.k${i}::${sqlType}`).join(" AND ");
    return this.#read(
      `SELECT o.* FROM ROWS FROM (${lists}) AS k (${key.map((_, i) => `k${i}`).join(", ")})
        CROSS JOIN LATERAL (${this.#from} WHERE ${match} OFFSET 0) AS o`,
      key.map((_, i) => keys.map((one) => one[i])),
    );
  }

  async #read(text: string, values: readonly unknown[]): Promise<ByKey> {
    const { relation, normalise } = this.#described;
    const { rows } = await this.#session.use(never, (client) =>
      client.query<(string | null)[]>({ text, values: [...values], rowMode: "array" }),
    );
    const found = new Map<string, string[]>();
    for (const row of rows) {
      takeRow(row, normalise);
      const key = relation.key.map((place) => row[place]!);
      if (key.some((part) => part === null)) continue;
      const name = JSON.stringify(key);
      found.set(name, [...(found.get(name) ?? []), JSON.stringify(row)].sort());
    }
    return found;
  }
}
