// A model on PostgreSQL that is followed by changes, evaluated late and in pieces.
import type pg from "pg";
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
import { type ByKey, type FollowedOutcome, byKey, followSteps } from "./follow.ts";
import { LiveTables, type Row, type TableWriter, type World, ddl } from "./live-tables.ts";

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

/** The model over steps, see {@link followSteps}; or why it cannot be followed. */
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
  const tables = await LiveTables.empty(writerOf(lab.writer), world);
  const followed = { live, tables, all: () => rows.all(), of: (keys: readonly KeyValues[]) => rows.of(keys) };
  return followSteps(followed, choices, steps);
}

function writerOf(client: pg.Client): TableWriter {
  const run = async (text: string, values: Row = []) => {
    const { rows } = await client.query<(string | null)[]>({ text, values: [...values], rowMode: "array" });
    return rows;
  };
  return {
    run,
    idOf: async (schema, table) => (await run("SELECT $1::regclass::oid::text", [`${schema}.${table}`]))[0]![0]!,
  };
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
    for (const row of rows) takeRow(row, normalise);
    return byKey(rows, relation.key);
  }
}
