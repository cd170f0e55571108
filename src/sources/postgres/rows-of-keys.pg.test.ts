import type pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { queryModel } from "../../../test/support/models.ts";
import { close, connect } from "./connection.ts";
import { knowQuery } from "./known-query.ts";
import { planText } from "./query-plan.ts";

describe.each([
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
])("reading rows by their keys on $server", ({ url }) => {
  const missing = url === "";
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(url);
    await database.sql(`
      CREATE TABLE users (id int PRIMARY KEY, email text);
      CREATE TABLE orders (id int PRIMARY KEY, user_id int, total int);
      CREATE INDEX ON orders (user_id);
      CREATE TABLE tickets (id int PRIMARY KEY, "The User" int, state text);
      CREATE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id`);
    const signal = AbortSignal.timeout(10_000);
    client = await connect({ url: database.url }, { replication: false, signal, schemas: ["public"] });
  });
  afterAll(async () => {
    if (missing) return;
    await close(client);
    await database[Symbol.asyncDispose]();
  });

  const GROUPED = "SELECT u.id, t.total FROM users u LEFT JOIN totals t ON t.user_id = u.id";
  const PAIRS =
    "SELECT u.id, o.id AS order_id, t.total FROM users u JOIN orders o ON o.user_id = u.id JOIN totals t ON t.user_id = u.id";

  test.skipIf(missing)(
    "keys reach through a grouping view, also where it was decided while the tables were empty",
    async () => {
      for (const [sql, key] of [
        [GROUPED, ["id"]],
        [PAIRS, ["id", "order_id"]],
      ] as const) {
        await database.sql("TRUNCATE users, orders");
        const { rowsOfKeys } = await knowQuery(client, queryModel(sql, { key }), "none");
        expect(rowsOfKeys.fullReads).toEqual([]);
        await database.sql(`
        INSERT INTO users SELECT i, 'u' FROM generate_series(1, 20000) i;
        INSERT INTO orders SELECT i, i % 20000, 1 FROM generate_series(1, 100000) i; ANALYZE`);
        const plan = await planText(client, rowsOfKeys.sql, key.length);
        expect(plan).not.toContain("Seq Scan");
        expect(plan).toContain("orders_user_id_idx");
      }
    },
  );

  test.skipIf(missing)("a table without an index that would do is named with the columns", async () => {
    const sql = `SELECT u.id, t.open FROM users u LEFT JOIN (
        SELECT "The User", count(*) AS open FROM tickets WHERE state = 'open' GROUP BY "The User") t ON t."The User" = u.id`;
    const { rowsOfKeys } = await knowQuery(client, queryModel(sql, { key: ["id"] }), "none");
    expect(rowsOfKeys.fullReads).toEqual([{ namespace: "public", name: "tickets", columns: ["The User"] }]);
    const direct =
      'SELECT u.id, count(t.id) AS n FROM users u LEFT JOIN tickets t ON t."The User" = u.id GROUP BY u.id';
    expect((await knowQuery(client, queryModel(direct, { key: ["id"] }), "none")).rowsOfKeys.fullReads).toEqual([
      { namespace: "public", name: "tickets", columns: ["The User"] },
    ]);
  });

  test.skipIf(missing)("what is evaluated as a whole anyhow is evaluated once for all keys", async () => {
    const sql = "SELECT u.id, rank() OVER (ORDER BY t.total) AS place FROM users u JOIN totals t ON t.user_id = u.id";
    const { rowsOfKeys } = await knowQuery(client, queryModel(sql, { key: ["id"] }), "none");
    expect(rowsOfKeys.sql).not.toContain("LATERAL");
  });
});
