import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { orderOf, overlaps, rowsOf } from "../support/ledger-order.ts";
import { compare, type TextDatabase } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type Prng, prng } from "../support/prng.ts";
import { testProject, type TestProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

// "Golden users" of three tables, over the real command line, into an HTTP receiver.

const TABLES = `
CREATE TABLE users (id int PRIMARY KEY, name text, country text);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL, total numeric NOT NULL);
CREATE TABLE tickets (id int PRIMARY KEY, user_id int NOT NULL, open boolean NOT NULL);
CREATE INDEX ON orders (user_id); CREATE INDEX ON tickets (user_id);
ALTER TABLE users REPLICA IDENTITY FULL; ALTER TABLE orders REPLICA IDENTITY FULL; ALTER TABLE tickets REPLICA IDENTITY FULL;
INSERT INTO users SELECT n, 'user ' || n, CASE WHEN n % 7 = 0 THEN 'xx' ELSE 'de' END FROM generate_series(1, 300) n;
INSERT INTO orders SELECT n, 1 + n % 300, n % 50 FROM generate_series(1, 1000) n;`;

const GOLDEN = `SELECT u.id, u.name, count(o.id) AS orders, sum(o.total) AS spent,
  (SELECT count(*) FROM tickets t WHERE t.user_id = u.id AND t.open) AS open_tickets
  FROM users u JOIN orders o ON o.user_id = u.id WHERE u.country <> 'xx' GROUP BY u.id, u.name`;

const project = (database: TestDatabase, receiver: Receiver, model: string, mode = "mirror"): Promise<TestProject> =>
  testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models:
  golden: { source: db, key: id, ${model}, sql: ${JSON.stringify(GOLDEN)} }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  golden: { model: golden, destination: receiver, mode: ${mode}, max_deletes: 100% }
`);

const expected = (database: TextDatabase, receiver: Receiver) =>
  compare(receiver.ledger.entries, database, { table: `(${GOLDEN}) AS golden`, key: ["id"], mapping: COLUMNS });
const COLUMNS = { id: "id", name: "name", orders: "orders", spent: "spent", open_tickets: "open_tickets" };

/** One transaction of a shop. */
function randomChange(random: Prng): string {
  const user = 1 + random.int(310);
  const order = 1 + random.int(1200);
  switch (random.int(7)) {
    case 0:
      return `INSERT INTO orders VALUES (${order}, ${user}, ${random.int(90)}) ON CONFLICT (id) DO UPDATE SET user_id = ${user}`;
    case 1:
      return `DELETE FROM orders WHERE id = ${order}`;
    case 2:
      return `UPDATE orders SET total = total + 1 WHERE user_id = ${user}`;
    case 3:
      return `INSERT INTO tickets VALUES (${order}, ${user}, true) ON CONFLICT (id) DO UPDATE SET open = NOT tickets.open`;
    case 4:
      return `UPDATE users SET country = CASE country WHEN 'xx' THEN 'de' ELSE 'xx' END WHERE id = ${user}`;
    case 5:
      return `DELETE FROM orders WHERE user_id = ${user}; DELETE FROM users WHERE id = ${user}`;
    default:
      return `INSERT INTO users VALUES (${user}, 'new ${user}', 'de') ON CONFLICT (id) DO UPDATE SET name = users.name || '!'`;
  }
}

test(
  "a query of three tables streams: rows that exist, live changes, kills; nothing is sent that changes nothing",
  {
    timeout: 180_000,
  },
  async () => {
    await using database = await testDatabase();
    await database.sql(TABLES);
    await using receiver = await startReceiver();
    await using at = await project(database, receiver, "window: 20ms");
    const random = prng(5);
    for (let kill = 0; kill < 4; kill += 1) {
      const before = receiver.counts.requests;
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await receiver.until(({ counts }) => counts.requests > before, 40_000);
      for (let change = 0; change < 60; change += 1) await database.sql(randomChange(random));
      engine.kill("SIGKILL");
      await engine.exit;
      await receiver.restart();
      await database.sql(randomChange(random));
    }
    expect(await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).toMatchObject({ code: 0 });
    expect(await expected(database, receiver)).toMatchObject({ equal: true, lost: [], extra: [], different: [] });
    expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
    expect(overlaps(receiver.ledger.entries)).toEqual([]);
    const requests = receiver.counts.requests;
    // What changes no row of the model sends nothing; nor does a run after a clean stop.
    await database.sql("UPDATE users SET country = 'fr' WHERE country = 'de'; UPDATE orders SET total = total");
    expect(await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).toMatchObject({ code: 0 });
    expect(receiver.counts.requests).toBe(requests);
    await database.sql(
      "TRUNCATE tickets; UPDATE users SET name = 'the last' WHERE id = (SELECT min(user_id) FROM orders)",
    );
    expect(await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).toMatchObject({ code: 0 });
    expect(await expected(database, receiver)).toMatchObject({ equal: true });
    // Every content of a row has an id of its own, and keeps it. A delete's content is that the key is gone: merged into a waiting upsert it
    // tells that row's fields as well, and after a kill the key alone.
    const contents = new Map<string, string>();
    for (const { id, op, record } of rowsOf(receiver.ledger.entries)) {
      const content = op === "delete" ? `delete ${record?.["id"]}` : `${op} ${JSON.stringify(record)}`;
      expect(contents.get(id) ?? content).toBe(content);
      contents.set(id, content);
    }
  },
);

test(
  "the same query, compared: each run sends what differs from what was sent, and removes what is gone",
  {
    timeout: 120_000,
  },
  async () => {
    await using database = await testDatabase();
    await database.sql(TABLES);
    await using receiver = await startReceiver();
    await using at = await project(database, receiver, "capture: diff");
    const run = async (): Promise<number> => {
      const before = receiver.counts.acknowledgedRows;
      expect(await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).toMatchObject({ code: 0 });
      return receiver.counts.acknowledgedRows - before;
    };
    const rows = await database.rows(`SELECT count(*) AS n FROM (${GOLDEN}) g`);
    expect(await run()).toBe(Number(rows[0]!["n"]));
    expect(await run()).toBe(0);
    await database.sql("UPDATE orders SET total = total + 1 WHERE user_id IN (2, 3); DELETE FROM users WHERE id = 4");
    expect(await run()).toBe(3);
    expect(await expected(database, receiver)).toMatchObject({ equal: true });
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await database.sql("UPDATE users SET name = 'by the log' WHERE id = 5");
    await receiver.until(({ ledger }) =>
      [...rowsOf(ledger.entries)].some(({ record, acknowledged }) => acknowledged && record?.["name"] === "by the log"),
    );
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
    expect(await expected(database, receiver)).toMatchObject({ equal: true });
  },
);
