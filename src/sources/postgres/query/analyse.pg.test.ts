import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { QueryLab } from "../../../../test/support/followed-query.ts";
import type { World } from "../../../../test/support/live-tables.ts";
import { queryModel } from "../../../../test/support/models.ts";

const WORLD: World = {
  schema: "shop",
  tables: [],
  views: `
    CREATE EXTENSION citext SCHEMA shop;
    CREATE TABLE users (id bigint PRIMARY KEY, email citext, plan text, referrer bigint, tags text[]);
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL, total numeric(12, 2), ratio numeric, at timestamptz, product_id int);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE TABLE tickets (id int PRIMARY KEY, user_id bigint NOT NULL, state text, UNIQUE (user_id, id));
    CREATE TABLE loose (user_id bigint, note text);
    ALTER TABLE loose REPLICA IDENTITY FULL;
    CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent);
    CREATE TABLE parts (id int PRIMARY KEY, user_id bigint) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE UNLOGGED TABLE quick (id int PRIMARY KEY);
    CREATE TABLE made (id int PRIMARY KEY, user_id bigint, twice bigint GENERATED ALWAYS AS (user_id * 2) VIRTUAL);
    ALTER TABLE made REPLICA IDENTITY FULL;
    CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE names (id int PRIMARY KEY, name text COLLATE folded, price numeric(10, 2), rough numeric(10, 1));
    ALTER TABLE names REPLICA IDENTITY FULL;
    CREATE MATERIALIZED VIEW stale AS SELECT id FROM users;
    CREATE VIEW paying AS SELECT * FROM users WHERE plan <> 'free';
    CREATE VIEW spending AS SELECT p.id, sum(o.total) AS spent FROM paying p LEFT JOIN orders o ON o.user_id = p.id GROUP BY p.id;
    CREATE FUNCTION plain(x bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
    CREATE FUNCTION reads(x bigint) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM shop.orders WHERE user_id = $1';`,
};

let lab: QueryLab;
beforeAll(async () => {
  lab = await QueryLab.start([WORLD]);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

/** `o(user_id) → 0`: from the user_id of a changed o, the first part of the key, without asking; `⋈ 0`: by a query. */
async function ways(sql: string, key: readonly string[] = ["id"]): Promise<readonly string[]> {
  const { analysis } = await lab.analyse(WORLD, queryModel(sql, { key }));
  if (analysis.kind === "diff") return analysis.reasons.map(({ construct, place }) => `${construct} at ${place}`);
  return analysis.references.map(
    ({ path, needs, keyPlaces, direct }) => `${path}(${needs.join()}) ${direct ? "→" : "⋈"} ${keyPlaces.join()}`,
  );
}

async function statementsOf(sql: string): Promise<readonly (string | null)[]> {
  const { analysis } = await lab.analyse(WORLD, queryModel(sql, { key: ["id"] }));
  if (analysis.kind === "diff") throw new Error(JSON.stringify(analysis.reasons));
  return analysis.references.map((reference) => reference.sql?.(1) ?? null);
}

describe("the way from each table to the key", () => {
  const CASES: readonly (readonly [what: string, sql: string, ...ways: string[]])[] = [
    ["a join", "SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.user_id", "o(id) → 0", "u(id) ⋈ 0"],
    [
      "a join whose other side is the key: nothing is joined",
      "SELECT u.id, o.total FROM users u LEFT JOIN orders o ON o.user_id = u.id",
      "u(id) → 0",
      "o(user_id) → 0",
    ],
    ["RIGHT JOIN", "SELECT u.id FROM orders o RIGHT JOIN users u ON o.user_id = u.id", "o(user_id) → 0", "u(id) → 0"],
    [
      "FULL JOIN, by what it merges",
      "SELECT id, u.plan, t.state FROM users u FULL JOIN tickets t USING (id)",
      "u(id) → 0",
      "t(id) → 0",
    ],
    [
      "a FULL JOIN of three",
      "SELECT id, count(*) FROM users FULL JOIN tickets USING (id) FULL JOIN orders USING (id) LEFT JOIN loose l ON l.user_id = id GROUP BY id",
      "users(id) → 0",
      "tickets(id) → 0",
      "orders(id) → 0",
      "l(user_id) → 0",
    ],
    [
      "a name in ON that an item before the join has too",
      "SELECT u.id FROM tickets t, users u JOIN loose l ON id = l.user_id WHERE t.user_id = u.id",
      "t(user_id) → 0",
      "u(id) → 0",
      "l(user_id) → 0",
    ],
    [
      "a self-join",
      "SELECT u.id, r.email AS by FROM users u LEFT JOIN users r ON r.id = u.referrer",
      "u(id) → 0",
      "r(id) ⋈ 0",
    ],
    [
      "views on views, GROUP BY",
      "SELECT id, spent FROM spending",
      "spending > p > users(id) → 0",
      "spending > o(user_id) → 0",
    ],
    [
      "a CTE that is named twice",
      "WITH s AS (SELECT user_id, sum(total) AS sum FROM orders GROUP BY 1) SELECT u.id, a.sum, b.sum AS theirs FROM users u LEFT JOIN s a ON a.user_id = u.id LEFT JOIN s b ON b.user_id = u.referrer",
      "u(id) → 0",
      "orders(user_id) → 0",
      "orders(user_id) ⋈ 0",
    ],
    [
      "EXISTS, NOT EXISTS",
      "SELECT id FROM users u WHERE EXISTS (SELECT FROM orders o WHERE o.user_id = u.id) AND NOT EXISTS (SELECT FROM tickets t WHERE t.user_id = u.id AND state = 'open')",
      "u(id) → 0",
      "o(user_id) → 0",
      "t(user_id) → 0",
    ],
    [
      "IN",
      "SELECT id FROM users WHERE id IN (SELECT user_id FROM orders WHERE total > 5)",
      "users(id) → 0",
      "orders(user_id) → 0",
    ],
    [
      "NOT IN, of columns that are never null",
      "SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM orders)",
      "users(id) → 0",
      "orders(user_id) → 0",
    ],
    [
      "NOT IN, where a null changes everything",
      "SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM loose)",
      "users(id) → 0",
      "loose(user_id) ⋈ 0",
    ],
    [
      "a scalar subquery",
      "SELECT id, (SELECT max(o.at) FROM orders o WHERE o.user_id = users.id) AS last FROM users",
      "users(id) → 0",
      "o(user_id) → 0",
    ],
    [
      "LATERAL, the newest of each",
      "SELECT u.id, l.total FROM users u LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id ORDER BY at DESC LIMIT 1) l ON true",
      "u(id) → 0",
      "l > o(user_id) → 0",
    ],
    [
      "the newest of each, by its own id",
      "SELECT l.id FROM users u CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.user_id = u.id ORDER BY at DESC LIMIT 1) l",
      "l > o(id) → 0",
      "u(id) ⋈ 0",
      "l > o(user_id) ⋈ 0",
    ],
    [
      "a window over the key",
      "SELECT user_id AS id, row_number() OVER (PARTITION BY user_id ORDER BY at) AS n FROM orders",
      "orders(user_id) → 0",
    ],
    [
      "a window over something else",
      "SELECT id, row_number() OVER w AS n FROM orders WINDOW w AS (PARTITION BY user_id ORDER BY at)",
      "orders(id) → 0",
      "orders(user_id) ⋈ 0",
    ],
    [
      "DISTINCT ON",
      "SELECT DISTINCT ON (user_id) user_id AS id, total FROM orders ORDER BY user_id, at DESC",
      "orders(user_id) → 0",
    ],
    [
      "DISTINCT ON, by another key",
      "SELECT DISTINCT ON (user_id) id, total FROM orders ORDER BY user_id, at DESC",
      "orders(id) → 0",
      "orders(user_id) ⋈ 0",
    ],
    [
      "UNION in a derived table",
      "SELECT u.id, count(s.user_id) FROM users u LEFT JOIN (SELECT user_id FROM orders UNION ALL SELECT user_id FROM tickets) s ON s.user_id = u.id GROUP BY u.id",
      "u(id) → 0",
      "s > orders(user_id) → 0",
      "s > tickets(user_id) → 0",
    ],
    ["a partitioned table", "SELECT user_id AS id, count(*) FROM parts GROUP BY user_id", "parts(user_id) → 0"],
    ["a function that reads nothing", "SELECT plain(id) AS id FROM users", "users(id) ⋈ 0"],
    [
      "JSON and arrays",
      "SELECT u.id, t.tag, jsonb_agg(o.*) AS orders FROM users u CROSS JOIN unnest(u.tags) AS t (tag) LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id, t.tag",
      "u(id) → 0",
      "o(user_id) → 0",
    ],
  ];
  test.each(CASES)("%s", async (_what, sql, ...expected) => {
    expect(await ways(sql)).toEqual(expected);
  });

  test("of keys of several columns", async () => {
    expect(
      await ways("SELECT u.id, t.id AS ticket FROM users u JOIN tickets t ON t.user_id = u.id", ["id", "ticket"]),
    ).toEqual(["t(id,user_id) → 0,1", "u(id) ⋈ 0,1"]);
    expect(
      await ways("SELECT a.id, b.id AS other FROM users a JOIN users b ON a.plan = b.plan", ["id", "other"]),
    ).toEqual(["a(id) → 0", "b(id) → 1"]);
    expect(
      await ways("SELECT 'user' AS kind, id FROM users UNION ALL SELECT 'ticket', id FROM tickets", ["kind", "id"]),
    ).toEqual(["users(id) ⋈ 0,1", "tickets(id) ⋈ 0,1"]);
    expect(await ways("SELECT u.id, t.tag FROM users u, unnest(u.tags) AS t (tag)", ["id", "tag"])).toEqual([
      "u(id) → 0",
    ]);
  });

  test("of a key that a missing row changes: the part of it that is sure", async () => {
    expect(
      await ways(
        "SELECT t.id, coalesce(o.id, 0) AS order_id FROM tickets t LEFT JOIN orders o ON o.user_id = t.user_id",
        ["id", "order_id"],
      ),
    ).toEqual(["t(id) → 0", "o(user_id) ⋈ 0"]);
  });

  test("nulls of a partition are one partition", async () => {
    expect(await statementsOf("SELECT id, count(*) OVER (PARTITION BY referrer) AS n FROM users")).toEqual([
      null,
      expect.stringContaining("((changed.referrer) IS NULL AND (t0.referrer) IS NULL)"),
    ]);
  });

  test("leaves out every filter, other join and grouping", async () => {
    expect(
      await statementsOf(`SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id AND u.plan = 'pro'
        WHERE o.total > 5 AND EXISTS (SELECT FROM tickets t WHERE t.user_id = u.id)`),
    ).toEqual([
      null,
      expect.stringContaining('"shop"."orders" AS t0 WHERE (changed.id = t0.user_id))'),
      expect.stringContaining(
        '"shop"."users" AS t0, "shop"."orders" AS t1 WHERE (changed.user_id = t0.id) AND (t0.id = t1.user_id))',
      ),
    ]);
  });
});

describe("what cannot be followed is named, with its place", () => {
  test.each([
    ["LIMIT", "SELECT id\nFROM users LIMIT 5", 'LIMIT or OFFSET over "shop"."users" (users) at line 2, column 6'],
    ["FETCH FIRST", "SELECT id FROM users ORDER BY id FETCH FIRST 5 ROWS ONLY", 'LIMIT or OFFSET over "shop"."users" (users) at line 1, column 16'],
    ["a recursive CTE", "WITH RECURSIVE t AS (SELECT id FROM users UNION SELECT u.id FROM users u JOIN t ON u.referrer = t.id) SELECT id FROM t", "the recursive query t at line 1, column 79"],
    ["a volatile function", "SELECT id, random() AS r FROM users", "the volatile function random at line 1, column 12"],
    ["a function that reads tables", "SELECT id, reads(id) AS n FROM users", "the function reads, which may read tables at line 1, column 12"],
    ["a function that reads the system", "SELECT id, pg_current_xact_id() AS x FROM users", "the function pg_current_xact_id at line 1, column 12"],
    ["a function that reads a table by name", "SELECT id, table_to_xml('orders', true, true, '') AS x FROM users", "the function table_to_xml at line 1, column 12"],
    ["TABLESAMPLE", "SELECT id FROM users TABLESAMPLE SYSTEM (10)", "TABLESAMPLE at line 1, column 34"],
    ["GROUPING SETS", "SELECT user_id AS id FROM orders GROUP BY ROLLUP (user_id)", "GROUPING SETS, ROLLUP or CUBE at line 1, column 43"],
    ["a system column", "SELECT id FROM users WHERE ctid IS NOT NULL", "the system column ctid at null"],
    ["a system table", "SELECT oid AS id FROM pg_class", '"pg_catalog"."pg_class", a system catalogue at line 1, column 23'],
    ["a materialised view", "SELECT id FROM stale", '"shop"."stale", a materialised view at line 1, column 16'],
    ["an unlogged table", "SELECT id FROM quick", '"shop"."quick", an unlogged table at line 1, column 16'],
    ["a table that others inherit from", "SELECT id FROM parent", '"shop"."parent", from which other tables inherit at line 1, column 16'],
    ["an uncorrelated subquery", "SELECT id, (SELECT max(total) FROM orders) AS m FROM users", 'an aggregate over all rows of a subquery over "shop"."orders" (orders) at line 1, column 36'],
    ["a cross join", "SELECT u.id FROM users u, orders o", '"shop"."orders" (o), which no condition links to the key at line 1, column 27'],
    ["a window over everything", "SELECT id, rank() OVER (ORDER BY total) AS r FROM orders", 'a window function over "shop"."orders" (orders) at line 1, column 51'],
    ["an aggregate as the key", "SELECT max(id) AS id FROM users GROUP BY plan", "the key (id) at null"],
    ["a key that grouping makes one of several texts", "SELECT ratio AS id, count(*) FROM orders GROUP BY ratio", "the key (id) at null"],
    ["a key that compares without case", "SELECT DISTINCT email AS id FROM users", "the key (id) at null"],
    ["a key that a collation blurs", "SELECT lower(name) AS id, count(*) FROM names GROUP BY 1", "the key (id) at null"],
    ["a collation that blurs", "SELECT DISTINCT plan COLLATE folded AS id FROM users", "COLLATE folded at line 1, column 22", "the key (id) at null"],
    ["a key of UNION branches that print it differently", "SELECT price AS id FROM names UNION SELECT rough FROM names", "the key (id) at null"],
    ["the same of UNION ALL, grouped", "SELECT id FROM (SELECT price AS id FROM names UNION ALL SELECT rough FROM names) AS n GROUP BY id", "the key (id) at null"],
    ["a key of UNION branches, one an aggregate", "SELECT id FROM users UNION SELECT max(id) FROM orders GROUP BY user_id", "the key (id) at null"],
    ["a virtual column", "SELECT twice AS id FROM made", 'the generated column twice of "shop"."made" at line 1, column 25'],
    ["a table that only a subquery links", "SELECT o.id FROM orders o, users u WHERE NOT EXISTS (SELECT FROM tickets t WHERE t.user_id = u.id AND t.id = o.id)", '"shop"."users" (u), which no condition links to the key at line 1, column 28'],
    ["a table that only the nullable side links", "SELECT o.id FROM orders o CROSS JOIN users u LEFT JOIN tickets t ON t.user_id = u.id AND t.id = o.id", '"shop"."users" (u), which no condition links to the key at line 1, column 38'],
    ["a table that the condition of a FULL JOIN does not bind", "SELECT coalesce(u.id, b.id) AS id FROM users u FULL JOIN (SELECT t.id, o.user_id FROM tickets t, orders o) AS b ON u.id = b.id AND u.referrer = b.user_id", 'an outer join over "shop"."orders" (b > o) at line 1, column 98'],
    ["a table that only a window's others link", "SELECT o.id, count(*) OVER (PARTITION BY o.user_id) AS n FROM orders o, users u WHERE u.id > 0", '"shop"."users" (u), which no condition links to the key at line 1, column 73', 'a window function over "shop"."users" (u) at line 1, column 73'],
    ["a table that is linked only by what may be missing", "SELECT u.id FROM users u LEFT JOIN tickets t ON t.user_id = u.id JOIN orders o ON coalesce(t.id, 0) = o.product_id", '"shop"."orders" (o), which no condition links to the key at line 1, column 71'],
  ])("%s", async (_what, sql, ...expected) => {
    expect(await ways(sql)).toEqual(expected);
  }); // prettier-ignore

  test("several at once", async () => {
    expect(await ways("SELECT id, random() AS r FROM users WHERE id > reads(1) LIMIT 1")).toEqual([
      "the volatile function random at line 1, column 12",
      "the function reads, which may read tables at line 1, column 48",
      'LIMIT or OFFSET over "shop"."users" (users) at line 1, column 31',
    ]);
  });

  test.each([
    ["now()", "SELECT id FROM orders WHERE at > now() - interval '1 day'", true],
    ["current_date", "SELECT id FROM orders WHERE at > current_date", true],
    ["age of one argument", "SELECT id, age(at) AS a FROM orders", true],
    ["'today'", "SELECT id FROM orders WHERE at > 'today'", true],
    ["'yesterday 12:00'", "SELECT id FROM orders WHERE at > 'yesterday 12:00'::timestamptz", true],
    ["age of two arguments", "SELECT id, age(at, '2020-01-01') AS a FROM orders", null],
    ["to_char", "SELECT id, to_char(at, 'YYYY') AS y FROM orders", null],
    ["a text that is no clock", "SELECT id FROM users WHERE plan = 'open now'", null],
    ["random()", "SELECT id, random() AS r FROM orders", false],
  ])("whether time alone changes it: %s", async (_what, sql, timeDependent) => {
    const { analysis } = await lab.analyse(WORLD, queryModel(sql, { key: ["id"] }));
    expect(analysis.kind === "diff" ? analysis.timeDependent : null).toBe(timeDependent);
  });
});

test("old values that the log does not hold are named, with what would make it hold them", async () => {
  const { analysis } = await lab.analyse(
    WORLD,
    queryModel(
      "SELECT u.id, (SELECT count(*) FROM tickets t WHERE t.user_id = u.id) AS n, (SELECT sum(total) FROM orders o WHERE o.user_id = u.id) AS s, (SELECT count(*) FROM parts p WHERE p.user_id = u.id) AS p FROM users u",
      { key: ["id"] },
    ),
  );
  expect(
    analysis.kind === "live" &&
      analysis.missingOldRows.map(({ table, columns, statements }) => [table.name, columns, statements]),
  ).toEqual([
    [
      "tickets",
      ["user_id"],
      [
        ['ALTER TABLE "shop"."tickets" REPLICA IDENTITY FULL'],
        ['ALTER TABLE "shop"."tickets" REPLICA IDENTITY USING INDEX "tickets_user_id_id_key"'],
      ],
    ],
    ["parts", ["user_id"], [['ALTER TABLE "shop"."parts_1" REPLICA IDENTITY FULL']]],
  ]);
});
