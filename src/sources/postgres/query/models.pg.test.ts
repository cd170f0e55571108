// Models as people write them, followed over random transactions.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Choices } from "../../../../test/support/choices.ts";
import { QueryLab, follow } from "../../../../test/support/followed-query.ts";
import type { World } from "../../../../test/support/live-tables.ts";
import { queryModel } from "../../../../test/support/models.ts";

const IDS = ["1", "2", "3", "4"];
const SOME_IDS = [...IDS, ...IDS, null];
const TIMES = ["2026-01-05 10:00:00+00", "2026-01-31 23:59:59+00", "2026-02-01 00:00:00+00", "2026-02-14 08:30:00+00"];
const AMOUNTS = ["5.00", "7.50", "0.00", "100.25"];

const column = (name: string, type: string, values: readonly (string | null)[]) => ({ name, type, values });
const id = column("id", "bigint PRIMARY KEY", IDS);

const WORLD: World = {
  schema: "shop",
  tables: [
    {
      name: "customers",
      columns: [id, column("email", "text", ["a@x", "b@x", null]), column("plan", "text NOT NULL", ["free", "pro"])],
    },
    {
      name: "orders",
      columns: [
        id,
        column("customer_id", "bigint", SOME_IDS),
        column("total", "numeric(12, 2) NOT NULL", AMOUNTS),
        column("at", "timestamptz NOT NULL", TIMES),
        column("status", "text NOT NULL", ["paid", "open", "void"]),
      ],
    },
    {
      name: "tickets",
      columns: [id, column("customer_id", "bigint NOT NULL", IDS), column("state", "text", ["open", "closed", null])],
    },
    {
      name: "products",
      columns: [id, column("name", "text", ["tea", "jam"]), column("replaced_by", "bigint", SOME_IDS)],
    },
    { name: "warehouses", columns: [id, column("country", "text NOT NULL", ["NL", "DE"])] },
    {
      name: "stock",
      columns: [
        id,
        column("product_id", "bigint NOT NULL", IDS),
        column("warehouse_id", "bigint NOT NULL", IDS),
        column("pieces", "int NOT NULL", ["0", "3", "10"]),
      ],
    },
    {
      name: "order_lines",
      columns: [
        id,
        column("order_id", "bigint NOT NULL", IDS),
        column("product_id", "bigint", SOME_IDS),
        column("pieces", "int", ["1", "2"]),
      ],
    },
    {
      name: "usage",
      columns: [
        id,
        column("customer_id", "bigint NOT NULL", IDS),
        column("at", "timestamptz NOT NULL", TIMES),
        column("units", "int NOT NULL", ["1", "5", "8"]),
      ],
    },
  ],
  views: `
    CREATE VIEW paid AS SELECT * FROM orders WHERE status = 'paid';
    CREATE VIEW spending AS SELECT customer_id, sum(total) AS spent, max(at) AS last_at, count(*) AS orders FROM paid GROUP BY customer_id;`,
};

const MODELS: readonly { readonly name: string; readonly key: readonly string[]; readonly sql: string }[] = [
  {
    name: "customer with lifetime value, last order and open tickets",
    key: ["id"],
    sql: `WITH last AS (SELECT DISTINCT ON (customer_id) customer_id, id, status FROM orders ORDER BY customer_id, at DESC, id)
      SELECT c.id, c.email, coalesce(s.spent, 0) AS lifetime_value, s.orders, last.id AS last_order, last.status AS last_status,
             (SELECT count(*) FROM tickets t WHERE t.customer_id = c.id AND t.state = 'open') AS open_tickets
        FROM customers c
        LEFT JOIN spending s ON s.customer_id = c.id
        LEFT JOIN last ON last.customer_id = c.id`,
  },
  {
    name: "customer with the order of the most lines, as JSON",
    key: ["id"],
    sql: `SELECT c.id, best.*, c.plan = 'pro' AND EXISTS (SELECT FROM tickets t WHERE t.customer_id = c.id) AS vip
      FROM customers c CROSS JOIN LATERAL (
        SELECT o.id AS order_id, count(l.id) AS lines, jsonb_agg(p.name ORDER BY p.id, l.id) AS products
          FROM orders o JOIN order_lines l ON l.order_id = o.id LEFT JOIN products p ON p.id = l.product_id
         WHERE o.customer_id = c.id GROUP BY o.id ORDER BY count(l.id) DESC, o.id LIMIT 1) AS best`,
  },
  {
    name: "the newest order of each customer, by its own id",
    key: ["id"],
    sql: `SELECT l.id, c.email, l.total, p.name FROM customers c
       CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id ORDER BY at DESC, id LIMIT 1) AS l
        LEFT JOIN products p ON p.id = l.id`,
  },
  {
    name: "product with stock over warehouses, and what replaces it",
    key: ["id"],
    sql: `SELECT p.id, p.name, coalesce(sum(s.pieces), 0) AS pieces,
             string_agg(DISTINCT w.country, ',' ORDER BY w.country) FILTER (WHERE s.pieces > 0) AS countries,
             CASE WHEN sum(s.pieces) > 0 THEN NULL ELSE r.name END AS instead
        FROM products p
        LEFT JOIN (stock s JOIN warehouses w ON w.id = s.warehouse_id) ON s.product_id = p.id
        LEFT JOIN products r ON r.id = p.replaced_by AND r.id IN (SELECT product_id FROM stock WHERE pieces > 0)
       GROUP BY p.id, p.name, r.name`,
  },
  {
    name: "stock by product and country",
    key: ["product", "country"],
    sql: `SELECT p.id AS product, w.country, sum(s.pieces) AS pieces
        FROM products p JOIN stock s ON s.product_id = p.id JOIN warehouses w ON w.id = s.warehouse_id
       GROUP BY p.id, w.country HAVING sum(s.pieces) > 3`,
  },
  {
    name: "what a country lacks: a key of two tables that no third one has",
    key: ["product", "country"],
    sql: `SELECT p.id AS product, w.country, count(*) AS warehouses
        FROM products p JOIN orders o ON o.id = p.id JOIN warehouses w ON w.id <> o.id
       WHERE NOT EXISTS (SELECT FROM stock s WHERE s.product_id = p.id AND s.warehouse_id = w.id AND s.pieces > 0)
       GROUP BY p.id, w.country`,
  },
  {
    name: "account with plan, seats and usage by month",
    key: ["account", "month"],
    sql: `SELECT c.id AS account, date_trunc('month', u.at) AS month, c.plan, sum(u.units) AS units,
             (SELECT count(*) FROM tickets seats WHERE seats.customer_id = c.id) AS seats,
             sum(u.units) > CASE c.plan WHEN 'pro' THEN 100 ELSE 5 END AS over
        FROM customers c JOIN usage u ON u.customer_id = c.id
       GROUP BY c.id, c.plan, date_trunc('month', u.at)`,
  },
  {
    name: "orders by their rank for the customer",
    key: ["id"],
    sql: `SELECT * FROM (
        SELECT o.id, o.customer_id, o.total, rank() OVER (PARTITION BY o.customer_id ORDER BY o.total DESC) AS rank,
               sum(o.total) OVER (PARTITION BY date_trunc('month', o.at)) AS of_the_month
          FROM orders o WHERE NOT EXISTS (SELECT FROM tickets t WHERE t.customer_id = o.customer_id AND t.state = 'open')) AS ranked
       WHERE rank <= 2`,
  },
  {
    name: "everything that happened to a customer",
    key: ["kind", "id"],
    sql: `SELECT 'order' AS kind, o.id, c.email, o.total::text AS detail FROM orders o JOIN customers c ON c.id = o.customer_id
      UNION ALL SELECT 'ticket', t.id, c.email, t.state FROM tickets t JOIN customers c ON c.id = t.customer_id
      UNION SELECT 'usage', u.customer_id, NULL, sum(u.units)::text FROM usage u GROUP BY u.customer_id`,
  },
  {
    name: "three sources of one customer, merged",
    key: ["id"],
    sql: `SELECT id, c.email, o.total, t.n FROM customers c
        FULL JOIN (SELECT customer_id AS id, sum(total) AS total FROM orders GROUP BY customer_id) AS o USING (id)
        FULL JOIN (SELECT customer_id AS id, count(*) AS n FROM tickets GROUP BY customer_id) AS t USING (id)`,
  },
  {
    name: "products and their replacements, by what they have in common",
    key: ["id", "line"],
    sql: `SELECT p.id, l.id AS line, b.name, coalesce(l.pieces, 0) + coalesce(s.pieces, 0) AS pieces
        FROM (SELECT id, name FROM products) AS b NATURAL JOIN products p
        LEFT JOIN products r ON r.id = p.replaced_by
       RIGHT JOIN order_lines l ON l.product_id IN (p.id, r.id)
        LEFT JOIN stock s ON s.product_id = coalesce(r.id, p.id) AND s.warehouse_id = l.order_id`,
  },
  {
    name: "customers without any order of a product that is out of stock",
    key: ["id"],
    sql: `SELECT c.id, c.plan FROM customers c WHERE c.id NOT IN (
        SELECT o.customer_id FROM orders o JOIN order_lines l ON l.order_id = o.id
         WHERE o.customer_id IS NOT NULL AND l.product_id <> ALL (SELECT s.product_id FROM stock s WHERE s.pieces > 0))`,
  },
];

let lab: QueryLab;
beforeAll(async () => {
  lab = await QueryLab.start([WORLD]);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

describe("what is delivered is", () => {
  test.each(MODELS)("$name", async ({ key, sql }) => {
    const numbers = (minLength: number, maxLength: number) =>
      fc.array(fc.nat({ max: 839 }), { minLength, maxLength, size: "max" });
    let changed = 0;
    await fc.assert(
      fc.asyncProperty(numbers(150, 300), numbers(6, 16), async (data, steps) => {
        const outcome = await follow(lab, WORLD, queryModel(sql, { key }), new Choices(data), steps);
        if ("analysis" in outcome) throw new Error(JSON.stringify(outcome.analysis.reasons));
        expect(outcome.delivered).toBe(outcome.expected);
        changed += Number(outcome.changed);
      }),
      { numRuns: 30 },
    );
    expect(changed).toBeGreaterThan(0);
  });
});
