import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MariadbLab } from "../../../../test/support/followed-mariadb-query.ts";
import type { World } from "../../../../test/support/live-tables.ts";
import { MARIADB_INSTALLED } from "../../../../test/support/mariadb.ts";
import { queryModel } from "../../../../test/support/models.ts";

const WORLD: World = {
  schema: "shop",
  tables: [],
  views: `
    CREATE TABLE users (Id bigint PRIMARY KEY, email varchar(50), plan varchar(9), referrer bigint, prefs json);
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL, total decimal(12, 2), ratio double, at datetime(3), product_id int);
    CREATE TABLE tickets (id int PRIMARY KEY, user_id bigint NOT NULL, state varchar(9), UNIQUE (user_id, id));
    CREATE TABLE names (id int PRIMARY KEY, name varchar(20), exact varchar(20) COLLATE utf8mb4_nopad_bin, price decimal(10, 2), rough decimal(10, 1));
    CREATE TABLE keyless (user_id bigint);
    CREATE TABLE plain (id int PRIMARY KEY) ENGINE = MyISAM;
    CREATE TABLE made (id int PRIMARY KEY, user_id bigint, twice bigint AS (user_id * 2) VIRTUAL);
    CREATE TABLE versioned (id int PRIMARY KEY) WITH SYSTEM VERSIONING;
    CREATE TABLE größe (id int PRIMARY KEY, höhe int);
    CREATE TABLE children (id int PRIMARY KEY, user_id bigint, CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES users (Id) ON DELETE CASCADE);
    CREATE VIEW paying AS SELECT * FROM users WHERE plan <> 'free';
    CREATE VIEW spending AS SELECT p.Id AS id, sum(o.total) AS spent FROM paying p LEFT JOIN orders o ON o.user_id = p.Id GROUP BY p.Id;
    CREATE FUNCTION reads_tables(x bigint) RETURNS bigint READS SQL DATA RETURN (SELECT count(*) FROM orders WHERE user_id = x);`,
};

let lab: MariadbLab;
beforeAll(async () => {
  if (MARIADB_INSTALLED) lab = await MariadbLab.start([WORLD]);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

let models = 0;

/** `o(user_id) → 0`: from the user_id of a changed o, the first part of the key, without asking; `⋈ 0`: by a query. */
async function ways(sql: string, key: readonly string[] = ["id"]): Promise<readonly string[]> {
  models += 1;
  const { analysis } = await lab.analyse(WORLD, queryModel(sql, { key, name: `m${models}` }));
  if (analysis.kind === "diff") return analysis.reasons.map(({ construct, place }) => `${construct} at ${place}`);
  return analysis.references.map(
    ({ path, needs, keyPlaces, direct }) => `${path}(${needs.join()}) ${direct ? "→" : "⋈"} ${keyPlaces.join()}`,
  );
}

describe.skipIf(!MARIADB_INSTALLED)("the way from each table to the key", () => {
  const CASES: readonly (readonly [what: string, sql: string, ...ways: string[]])[] = [
    ["a join", "SELECT o.id, u.email FROM orders o JOIN users u ON u.id = o.user_id", "o(id) → 0", "u(id) ⋈ 0"],
    [
      "a join whose other side is the key: nothing is joined",
      "SELECT u.ID AS id, o.total FROM `users` u LEFT JOIN orders AS o ON o.USER_ID = u.id",
      "u(id) → 0",
      "o(user_id) → 0",
    ],
    ["RIGHT JOIN", "SELECT u.id FROM orders o RIGHT JOIN users u ON o.user_id = u.id", "o(user_id) → 0", "u(id) → 0"],
    [
      "joins in parentheses, USING, <=>",
      "SELECT u.id FROM users u LEFT JOIN (tickets t JOIN orders USING (user_id)) ON t.user_id <=> u.id",
      "u(id) → 0",
      "t(user_id) ⋈ 0",
      "orders(user_id) ⋈ 0",
    ],
    [
      "a self-join",
      "SELECT u.id, r.email AS `by` FROM users u LEFT JOIN users r ON r.id = u.referrer",
      "u(id) → 0",
      "r(id) ⋈ 0",
    ],
    [
      "views on views, GROUP BY",
      "SELECT id, spent FROM spending",
      "spending > p > users(id) → 0",
      "spending > o(user_id) → 0",
    ],
    ["a table of a database that is named", "SELECT id FROM shop.orders", "orders(id) → 0"],
    [
      "a CTE that is named twice",
      "WITH s AS (SELECT user_id, sum(total) AS sum FROM orders GROUP BY 1) SELECT u.id, a.sum, b.sum AS theirs FROM users u LEFT JOIN s a ON a.user_id = u.id LEFT JOIN s b ON b.user_id = u.referrer",
      "u(id) → 0",
      "orders(user_id) → 0",
      "orders(user_id) ⋈ 0",
    ],
    [
      "EXISTS, NOT EXISTS, IN",
      "SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id) AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.user_id = u.id AND state = 'open') AND u.id IN (SELECT user_id FROM orders WHERE total > 5)",
      "u(id) → 0",
      "o(user_id) → 0",
      "t(user_id) → 0",
    ],
    [
      "a scalar subquery, and a condition that is none of columns",
      "SELECT u.id, (SELECT MAX(o.total) FROM orders o WHERE o.user_id = u.id) AS most FROM users u WHERE u.email LIKE '%@x' AND u.plan REGEXP 'p'",
      "u(id) → 0",
      "o(user_id) → 0",
    ],
    [
      "a window within the key",
      "SELECT id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY at) AS n FROM orders",
      "orders(id) → 0",
      "orders(user_id) ⋈ 0",
    ],
    ["UNION", "SELECT id, email FROM users UNION SELECT id, state FROM tickets", "users(id) → 0", "tickets(id) → 0"],
    [
      "what is grouped by a table's key has the table's columns",
      "SELECT u.id, u.referrer, COUNT(*) AS n FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id",
      "u(id) → 0",
      "o(user_id) → 0",
    ],
    [
      "HAVING without groups is a condition",
      "SELECT id, total * 2 AS twice FROM orders HAVING twice > 5",
      "orders(id) → 0",
    ],
  ];
  test.each(CASES)("%s", async (_what, sql, ...expected) => {
    expect((await ways(sql)).toSorted()).toEqual(expected.toSorted());
  });

  test("a key of several tables", async () => {
    expect(
      await ways("SELECT u.id AS u, t.id AS t FROM users u JOIN tickets t ON t.user_id <> u.id", ["u", "t"]),
    ).toEqual(["u(id) → 0", "t(id) → 1"]);
  });

  test("equal decimals of two scales, equal texts of two cases: not the same key", async () => {
    expect(await ways("SELECT rough AS id, COUNT(*) AS n FROM names GROUP BY rough")).toEqual(["names(rough) → 0"]);
    expect(await ways("SELECT exact AS id, COUNT(*) AS n FROM names GROUP BY exact")).toEqual(["names(exact) → 0"]);
    expect(await ways("SELECT name AS id, COUNT(*) AS n FROM names GROUP BY name")).toEqual(["the key (id) at null"]);
    expect(await ways("SELECT n.price AS id FROM names n JOIN names m ON m.rough = n.price")).toEqual([
      "n(price) → 0",
      "m(rough) ⋈ 0",
    ]);
  });
});

describe.skipIf(!MARIADB_INSTALLED)("what is not followed is named", () => {
  test.each([
    ["SELECT id FROM orders WHERE at > NOW()", "now() at line 1, column 34"],
    ["SELECT id FROM orders WHERE at > CURRENT_TIMESTAMP", "current_timestamp() at line 1, column 34"],
    ["SELECT id FROM orders WHERE UNIX_TIMESTAMP() > 5", "unix_timestamp() at line 1, column 29"],
    ["SELECT id, RAND() AS r FROM orders", "the volatile function rand at line 1, column 12"],
    [
      "SELECT id, reads_tables(id) AS r FROM orders",
      "the function reads_tables, which may read tables at line 1, column 12",
    ],
    ["SELECT id, @x AS r FROM orders", "the variable @x at line 1, column 12"],
    [
      "SELECT id FROM orders ORDER BY total LIMIT 3",
      "LIMIT or OFFSET over `shop`.`orders` (orders) at line 1, column 16",
    ],
    [
      "SELECT user_id AS id, MAX(total) AS m FROM orders GROUP BY user_id WITH ROLLUP",
      "what the parser does not know (Expected: end of statement, found: WITH) at line 1, column 68",
    ],
    [
      "WITH RECURSIVE r AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM r WHERE id < 3) SELECT id FROM r",
      "the recursive query r at line 1, column 66",
    ],
    ["SELECT id FROM orders FOR UPDATE", "locks in a query at line 1, column 1"],
    ["SELECT user_id AS id FROM keyless", "`shop`.`keyless`, a table without a primary key at line 1, column 27"],
    ["SELECT id FROM plain", "`shop`.`plain`, a table kept by MyISAM at line 1, column 16"],
    ["SELECT id FROM versioned", "`shop`.`versioned`, a system-versioned table at line 1, column 16"],
    ["SELECT id FROM größe", "the name größe, which is not ASCII at null"],
    ["SELECT id FROM children", "`shop`.`children`, which foreign keys change (of_user) at null"],
    [
      "SELECT u.id FROM made m JOIN users u ON u.referrer = m.twice",
      "the generated column twice of `shop`.`made` at line 1, column 18",
    ],
    ["SELECT id FROM orders WHERE (total > 1) = (ratio > 1) = 1", "comparisons beside each other at line 1, column 30"],
    ["SELECT id FROM orders WHERE total XOR ratio", "the operator Xor at line 1, column 29"],
    ["SELECT id FROM orders WHERE total || ratio", "the operator StringConcat at line 1, column 29"],
    ["SELECT id /*!, total */ FROM orders", "a comment that may be part of the statement (/*! … */) at null"],
    ["SELECT seq AS id FROM seq_1_to_3", "`shop`.`seq_1_to_3`, a table kept by SEQUENCE at line 1, column 23"],
    ["SELECT id, COUNT(*) AS n FROM orders GROUP BY user_id", "the key (id) at null"],
    [
      "SELECT u.id FROM users u JOIN (SELECT user_id, product_id FROM orders GROUP BY user_id) d ON d.product_id = u.id",
      "`shop`.`orders` (d > orders), which no condition links to the key at line 1, column 64",
    ],
    [
      "SELECT o.id FROM orders o JOIN users u ON u.prefs = o.id",
      "the column prefs of `shop`.`users`, which is JSON at line 1, column 32",
    ],
    ["SELECT id FROM orders UNION ALL SELECT price FROM names", "the key (id) at null"],
  ])("%s", async (sql, ...reasons) => {
    expect(await ways(sql)).toEqual(reasons);
  });
});
