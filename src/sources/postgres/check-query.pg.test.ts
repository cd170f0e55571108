import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Finding } from "../../contracts/finding.ts";
import type { QueryModel } from "../../contracts/model.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";
import { check } from "./check.ts";
import postgres from "./index.ts";
import { settings } from "./settings.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const signal = AbortSignal.timeout(55_000);

function model(sql: string, options: Partial<QueryModel> = {}): QueryModel {
  return queryModel(sql, { name: "golden", key: ["id"], ...options });
}

describe.each([
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
])("checking and explaining queries on $server", ({ url: serverUrl }) => {
  const missing = serverUrl === "";
  let database: TestDatabase;
  let role: string;
  let asRole: string;

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(serverUrl);
    role = `role_${database.name}`;
    await database.sql(`
      CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret';
      CREATE TABLE users (id int PRIMARY KEY, email text);
      CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, total int);
      CREATE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
      INSERT INTO orders SELECT i, i, 30001 - i FROM generate_series(1, 30000) i;
      INSERT INTO users SELECT i, 'u' FROM generate_series(1, 20000) i;
      CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);
      ANALYZE`);
    const url = new URL(database.url);
    url.username = role;
    url.password = "secret";
    asRole = url.href;
  });
  afterAll(async () => {
    if (missing) return;
    await database.sql(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    await database[Symbol.asyncDispose]();
  });

  /** Without what concerns the shared server itself. */
  async function run(url: string, ...models: readonly QueryModel[]): Promise<readonly Finding[]> {
    const needs = models.map((of) => ({ model: of, deletes: true, oldColumns: [] }));
    const findings = await check(settings.parse({ url }), needs, {
      slot: "tailrace_check",
      publication: "pub",
      signal,
    });
    return findings.filter(({ code }) => code !== "postgres.max_slot_wal_keep_size");
  }
  const codes = (findings: readonly Finding[]) => findings.map(({ code }) => code);

  /** The finding is there; its fix, run by an administrator, removes it. */
  async function mends(code: string, url: string, of: QueryModel): Promise<Finding> {
    const before = await run(url, of);
    expect(codes(before)).toContain(code);
    const finding = before.find((candidate) => candidate.code === code)!;
    for (const statement of finding.fix!.split("; ")) await database.sql(statement);
    expect(codes(await run(url, of))).not.toContain(code);
    return finding;
  }

  const GOLDEN = model("SELECT u.id, u.email, t.total FROM users u LEFT JOIN totals t ON t.user_id = u.id");

  test.skipIf(missing)("old values and indexes that following takes, until there is nothing to say", async () => {
    const old = await mends("postgres.replica_identity_old", database.url, GOLDEN);
    expect(old).toMatchObject({ level: "warning", subject: "golden" });
    expect(old.message).toBe(
      "Model golden is compared as a whole, not followed: the log does not hold the old values of user_id of " +
        '"public"."orders", which tell the keys that a change affects. With FULL, every update and delete writes the whole old row to the log.',
    );
    expect(old.fix).toBe('ALTER TABLE "public"."orders" REPLICA IDENTITY FULL;');
    const read = await mends("postgres.full_read", database.url, GOLDEN);
    expect(read.message).toBe(
      'To read one row of model golden again, all of "public"."orders" (about 30000 rows) is read: no index leads to the rows that are needed.',
    );
    expect(read.fix).toBe('CREATE INDEX CONCURRENTLY ON "public"."orders" ("user_id");');
    expect(await run(database.url, GOLDEN)).toEqual([]);
  });

  test.skipIf(missing)("a query that finds keys through a large table names the index that this takes", async () => {
    const lines = model("SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.total");
    await database.sql("ALTER TABLE orders REPLICA IDENTITY FULL");
    const read = await mends("postgres.full_read", database.url, lines);
    expect(read.message).toContain(
      'To find the rows of model golden that a change of "public"."users" affects, all of "public"."orders"',
    );
    expect(read.fix).toBe('CREATE INDEX CONCURRENTLY ON "public"."orders" ("total");');
  });

  test.skipIf(missing)("what is compared instead, and why", async () => {
    const limited = model("SELECT id, email FROM users ORDER BY id LIMIT 10");
    const [finding, ...others] = await run(database.url, limited);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ level: "warning", code: "postgres.not_live" });
    expect(finding!.message).toMatch(/not followed: LIMIT or OFFSET.* at line 1, column \d+: /);
    expect(await run(database.url, { ...limited, capture: "diff" })).toEqual([]);
    const timely = model("SELECT id, email FROM users WHERE now() > '2020-01-01'");
    expect((await run(database.url, timely))[0]!.message).toContain("now() at line 1, column 35");
    const unheard = model("SELECT id FROM fast");
    expect(codes(await run(database.url, unheard))).toEqual(["postgres.not_live", "postgres.not_in_log"]);
    const every = { schedule: { kind: "every", ms: 60_000 }, whenChanged: false, state: "auto" } as const;
    expect(await run(database.url, { ...unheard, capture: "diff", diff: every })).toEqual([]);
  });

  test.skipIf(missing)("SQL that is wrong, and what the role may not read or publish", async () => {
    expect(await run(database.url, model("SELECT id FORM users"))).toMatchObject([
      { level: "error", code: "postgres.model", message: expect.stringContaining("line 1, column"), subject: "golden" },
    ]);
    await database.sql(`GRANT USAGE ON SCHEMA public TO ${role}`);
    const users = model("SELECT id, email FROM users");
    expect((await mends("postgres.select", asRole, users)).level).toBe("error");
    // A view shows what the role may not read itself: enough to compare, not to follow.
    await database.sql(`GRANT SELECT ON totals TO ${role}`);
    const select = await mends("postgres.select", asRole, GOLDEN);
    expect(select).toMatchObject({ level: "warning", message: expect.stringContaining("is compared as a whole") });
    const publication = (await run(asRole, GOLDEN)).find(({ code }) => code === "postgres.publication_privilege");
    expect(publication!.fix).toMatch(
      /FOR TABLE "public"."users", "public"."orders" WITH|FOR TABLE "public"."orders", "public"."users" WITH/,
    );
  });

  test.skipIf(missing)("a live query is explained with its statements and their plans", async () => {
    const of = { name: database.name, project: "tailrace", log };
    await using source = postgres.create(settings.parse({ url: database.url }), of);
    const lines = model("SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.user_id");
    const live = await source.explain(lines, signal);
    expect(live.kind).toBe("live query");
    expect(live.why).toContain('"public"."orders", "public"."users"');
    expect(live.latency).toContain("20 ms");
    expect(live.cost).toMatch(
      /the planner reckons with \d+ for the rows\. Updates and deletes of "public"."orders" write the whole old row/,
    );
    const [direct, keys, rows, ...more] = live.statements;
    expect(more).toEqual([]);
    expect(direct).toBe('-- a changed row of "public"."orders" (o) tells the key itself: id');
    expect(keys).toMatch(
      /^-- the keys that a changed row of "public"."users" \(u\) affects, from its old and new id\nSELECT DISTINCT/,
    );
    expect(keys).toMatch(/\n-- {3}.*cost=/);
    expect(rows).toMatch(/^-- the rows of those keys\nSELECT /);
    expect(rows).toContain("Index Cond: ");
    for (const sql of [keys!, rows!]) await database.sql(`PREPARE p AS ${sql}\n; DEALLOCATE p`);
    const diff = await source.explain(model("SELECT id, email FROM users LIMIT 3"), signal);
    expect(diff.kind).toBe("diff");
    expect(diff.why).toMatch(/^All rows are read and compared with what was last sent, because: LIMIT or OFFSET/);
    expect(diff.latency).toBe(
      'As long as the whole query takes, from when a change of "public"."users" is in the log.',
    );
    expect(diff.statements).toHaveLength(1);
    expect(await source.explain(tableModel("users"), signal)).toMatchObject({ kind: "log" });
  });
});
