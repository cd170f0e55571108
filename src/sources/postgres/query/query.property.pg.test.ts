import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Server, startServer } from "../../../cli/demo/embedded-postgres.ts";
import type { Change } from "../../../contracts/change.ts";
import type { QueryModel } from "../../../contracts/model.ts";
import type { Relation } from "../../../contracts/relation.ts";
import type { KeyValues } from "../../../contracts/source.ts";
import { queryModel } from "../../../../test/support/models.ts";
import { Choices, WORLDS, type World, randomQuery } from "../../../../test/support/random-query.ts";
import { connect } from "../connection.ts";
import { type DescribedQuery, describeQuery } from "../describe-query.ts";
import { takeRow } from "../read-rows.ts";
import { SqlSession } from "../sql-session.ts";
import { analyse } from "./analyse.ts";
import { DatabaseCatalog } from "./catalog.ts";
import { PostgresLiveQuery } from "./live-query.ts";

// TEST_CASES=10000 npm test -- query.property    more cases; TEST_SEED repeats a run.
const CASES = Number(process.env["TEST_CASES"] ?? 150);
const SEED = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000_000);
const signal = AbortSignal.timeout(24 * 3600 * 1000);
const COLUMNS = ["id", "a", "b", "s", "n"] as const;
/** Prepared statements of that many cases are kept in a session. */
const CASES_A_SESSION = 100;

let server: Server;
let writer: pg.Client;
const session = new Map<World, { session: SqlSession; cases: number }>();
/** A lost connection takes its own with it. */
const catalogs = new WeakMap<pg.Client, DatabaseCatalog>();
const seen = { live: 0, diff: 0, refused: 0, changed: 0 };
const reasons = new Map<string, number>();

beforeAll(async () => {
  server = await startServer();
  writer = await connect({ url: server.url() }, { replication: false, signal });
  for (const world of WORLDS) await writer.query(world.ddl);
  await writer.query("SET search_path = pg_catalog");
});

afterAll(async () => {
  for (const open of session.values()) await open.session[Symbol.asyncDispose]();
  await writer?.end();
  await server?.[Symbol.asyncDispose]();
});

async function sessionOf(world: World) {
  const open = session.get(world);
  if (open && open.cases < CASES_A_SESSION) {
    open.cases += 1;
    return open;
  }
  await open?.session[Symbol.asyncDispose]();
  const sql = new SqlSession((inner) =>
    connect({ url: server.url() }, { replication: false, signal: inner, schemas: [world.schema] }),
  );
  const made = { session: sql, cases: 0 };
  session.set(world, made);
  return made;
}

function catalogOf(client: pg.Client): DatabaseCatalog {
  const catalog = catalogs.get(client) ?? new DatabaseCatalog(client, true);
  catalogs.set(client, catalog);
  return catalog;
}

type Row = readonly (string | null)[];

/** The tables' rows as the log would have them, and what was done to them. */
class Tables {
  readonly #world: World;
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #relations = new Map<string, Relation>();
  #transactions = 0;

  private constructor(world: World) {
    this.#world = world;
  }

  static async empty(world: World): Promise<Tables> {
    const tables = new Tables(world);
    for (const name of world.tables) {
      await writer.query(`DELETE FROM ${world.schema}.${name}`);
      tables.#rows.set(name, new Map());
      const { rows } = await writer.query<{ oid: string }>(
        `SELECT '${world.schema}.${name}'::regclass::oid::text AS oid`,
      );
      const columns = COLUMNS.map(
        (column) => ({ name: column, type: "", json: "string", comparison: "text", nullable: true }) as const,
      );
      tables.#relations.set(name, {
        id: rows[0]!.oid,
        namespace: world.schema,
        name,
        version: 1,
        columns,
        key: [0],
        oldRows: "full",
      });
    }
    return tables;
  }

  /** Some inserts, updates and deletes in one transaction. */
  async transact(choices: Choices, operations: number): Promise<readonly Change[]> {
    const changes: Change[] = [];
    this.#transactions += 1;
    await writer.query("BEGIN");
    for (let i = 0; i < operations; i += 1) {
      const change = await this.#operate(choices);
      if (change) changes.push(change);
    }
    await writer.query("COMMIT");
    return changes;
  }

  async #operate(choices: Choices): Promise<Change | null> {
    const name = choices.of(this.#world.tables);
    const rows = this.#rows.get(name)!;
    const sql = `${this.#world.schema}.${name}`;
    const id = String(choices.upTo(5));
    const before = rows.get(id) ?? null;
    const values = [
      choices.of(["0", "1", "2", "3"]),
      choices.of(["1", "0", "2", "3"]),
      choices.of(["x", "y"]),
      choices.of(["1.0", "1.00", "2", null]),
    ];
    const nulls = choices.upTo(8);
    if (!NOT_NULL[WORLDS.indexOf(this.#world)]!.has("a") && nulls === 5) values[0] = null;
    if (!NOT_NULL[WORLDS.indexOf(this.#world)]!.has("b") && nulls === 6) values[1] = null;
    if (!NOT_NULL[WORLDS.indexOf(this.#world)]!.has("s") && nulls === 7) values[2] = null;
    let after: Row | null = null;
    if (!before) {
      after = await this.#returned(`INSERT INTO ${sql} VALUES ($1, $2, $3, $4, $5) RETURNING *`, [id, ...values]);
    } else {
      switch (choices.of(["update one", "delete", "update all", "rename"] as const)) {
        case "delete":
          await writer.query(`DELETE FROM ${sql} WHERE id = $1`, [id]);
          break;
        case "update one": {
          const place = choices.upTo(4);
          after = await this.#returned(`UPDATE ${sql} SET ${COLUMNS[place + 1]!} = $2 WHERE id = $1 RETURNING *`, [
            id,
            values[place],
          ]);
          break;
        }
        case "update all":
          after = await this.#returned(`UPDATE ${sql} SET a = $2, b = $3, s = $4, n = $5 WHERE id = $1 RETURNING *`, [
            id,
            ...values,
          ]);
          break;
        case "rename": {
          const other = String(choices.upTo(5));
          if (rows.has(other)) return null;
          after = await this.#returned(`UPDATE ${sql} SET id = $2 WHERE id = $1 RETURNING *`, [id, other]);
        }
      }
    }
    if (before) rows.delete(id);
    if (after) rows.set(after[0]!, after);
    return {
      op: before && after ? "update" : after ? "insert" : "delete",
      relation: this.#relations.get(name)!,
      before,
      after,
      position: "0",
      transaction: { id: String(this.#transactions), committedAt: 0n },
    };
  }

  async #returned(text: string, values: readonly unknown[]): Promise<Row> {
    const { rows } = await writer.query({ text, values: [...values], rowMode: "array" });
    return rows[0] as Row;
  }
}

const NOT_NULL = [new Set<string>(), new Set(["a"]), new Set(["b", "s"])];

type Delivered = Map<string, readonly string[]>;

/** Rows by key; a key that is not unique has several. Without those whose key is null. */
function byKey(rows: readonly Row[], { relation }: DescribedQuery): Delivered {
  const found = new Map<string, string[]>();
  for (const row of rows) {
    const key = relation.key.map((place) => row[place]!);
    if (key.some((text) => text === null)) continue;
    const text = JSON.stringify(key);
    found.set(text, [...(found.get(text) ?? []), JSON.stringify(row)].sort());
  }
  return found;
}

function inOrder(rows: Delivered): string {
  return [...rows]
    .map(([key, list]) => `${key} ${list.join(" ")}`)
    .sort()
    .join("\n");
}

async function rowsOf(
  sql: SqlSession,
  model: QueryModel,
  described: DescribedQuery,
  keys: readonly KeyValues[],
): Promise<Delivered> {
  const lists = described.key.map((_, i) => `unnest($${i + 1}::text[])`).join(", ");
  const match = described.key.map(({ sql: column, sqlType }, i) => `${column} = k.k${i}::${sqlType}`).join(" AND ");
  const text = `SELECT o.* FROM ROWS FROM (${lists}) AS k (${described.key.map((_, i) => `k${i}`).join(", ")})
    CROSS JOIN LATERAL (SELECT * FROM (${model.sql}) AS m WHERE ${match} OFFSET 0) AS o`;
  const values = described.key.map((_, i) => keys.map((key) => key[i]));
  const { rows } = await sql.use(signal, (client) => client.query({ text, values, rowMode: "array" }));
  for (const row of rows) takeRow(row as (string | null)[], described.normalise);
  return byKey(rows as Row[], described);
}

async function allRows(sql: SqlSession, model: QueryModel, described: DescribedQuery): Promise<Delivered> {
  const { rows } = await sql.use(signal, (client) =>
    client.query({ text: `SELECT * FROM (${model.sql}) AS m`, rowMode: "array" }),
  );
  for (const row of rows) takeRow(row as (string | null)[], described.normalise);
  return byKey(rows as Row[], described);
}

async function run(
  world: World,
  query: readonly number[],
  data: readonly number[],
  steps: readonly number[],
): Promise<void> {
  const open = await sessionOf(world);
  const { sql, key } = randomQuery(new Choices(query));
  const model = queryModel(sql, { key });
  let described: DescribedQuery;
  try {
    described = await open.session.use(signal, (client) => describeQuery(client, model));
  } catch (error) {
    if ((error as { code?: string }).code !== "source.model") throw error;
    seen.refused += 1;
    return;
  }
  const analysis = await open.session.use(signal, (client) => analyse(model, described, catalogOf(client)));
  if (analysis.kind === "diff") {
    seen.diff += 1;
    for (const { construct } of analysis.reasons) reasons.set(construct, (reasons.get(construct) ?? 0) + 1);
    return;
  }
  seen.live += 1;
  expect(analysis.missingOldRows).toEqual([]);
  const live = new PostgresLiveQuery(open.session, model, { described, analysis }, true);
  const choices = new Choices(data);
  const tables = await Tables.empty(world);
  await tables.transact(choices, 20);
  let delivered = await allRows(open.session, model, described);
  const atFirst = inOrder(delivered);
  let pending: (readonly Change[])[] = [];

  const evaluate = async (transactions: number): Promise<void> => {
    const changes = pending
      .slice(0, transactions)
      .flat()
      .filter(({ relation }) => live.relations.has(relation.id));
    pending = pending.slice(transactions);
    const affected = await live.affected(changes, signal);
    expect(affected.all).toBe(false);
    const asked = new Map(affected.keys.map((one) => [JSON.stringify(one), one]));
    for (const { places, values } of affected.partial) {
      const wanted = new Set(values.map((one) => JSON.stringify(one)));
      for (const text of delivered.keys()) {
        const sent = JSON.parse(text) as KeyValues;
        if (wanted.has(JSON.stringify(places.map((place) => sent[place]!)))) asked.set(text, sent);
      }
    }
    if (asked.size === 0) return;
    const now = await rowsOf(open.session, model, described, [...asked.values()]);
    delivered = new Map([...delivered].filter(([text]) => !asked.has(text)));
    for (const [text, rows] of now) delivered.set(text, rows);
  };

  for (const step of steps) {
    if (step % 3 === 2) await evaluate(1 + ((step >> 2) % 3));
    else pending.push(await tables.transact(choices, 1 + ((step >> 2) % 4)));
  }
  await evaluate(pending.length);
  const expected = await allRows(open.session, model, described);
  if (inOrder(expected) !== atFirst) seen.changed += 1;
  expect(inOrder(delivered), sql).toBe(inOrder(expected));
}

test("what is delivered is the model, whenever changes are looked at", { timeout: 24 * 3600 * 1000 }, async () => {
  const numbers = (minLength: number, maxLength: number) =>
    fc.array(fc.nat({ max: 839 }), { minLength, maxLength, size: "max" });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...WORLDS), numbers(30, 120), numbers(60, 300), numbers(4, 16), run),
    {
      numRuns: CASES,
      seed: SEED,
      reporter: (details) => {
        const most = [...reasons].sort(([, a], [, b]) => b - a).slice(0, Number(process.env["TEST_REASONS"] ?? 0));
        console.log(
          `${details.numRuns} cases (seed ${SEED}): ${JSON.stringify(seen)}${most.map(([what, n]) => `\n  ${n} ${what}`).join("")}`,
        );
        if (!details.failed) return;
        const [world, query] = details.counterexample!;
        const { sql } = randomQuery(new Choices(query));
        throw new Error(
          `failed with seed ${SEED}, in ${world.schema}: ${sql}\n${JSON.stringify(details.counterexample!.slice(1))}`,
          {
            cause: details.errorInstance,
          },
        );
      },
    },
  );
});
