// Queries through the source: how they are captured, what the log brings for them, what is said of them.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  MARIADB_INSTALLED,
  type Mariadb,
  type MariadbDatabase,
  mariadbDatabase,
} from "../../../test/support/mariadb.ts";
import { queryModel } from "../../../test/support/models.ts";
import { count, mysqlSource, readUntil, startBinlogServer } from "../../../test/support/mysql-source.ts";
import type { LiveQuery } from "../../contracts/capture.ts";
import type { QueryModel } from "../../contracts/model.ts";
import type { Source } from "../../contracts/source.ts";

const { signal } = new AbortController();
const TABLES =
  "CREATE TABLE users (id int PRIMARY KEY, name varchar(20), boss int); CREATE TABLE orders (id int PRIMARY KEY, user_id int, total int)";
const BY_USER =
  "SELECT u.id, u.name, SUM(o.total) AS spent FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id";
const OF_BOSS = "SELECT u.id, b.name AS boss FROM users u LEFT JOIN users b ON b.id = u.boss";

const model = (sql: string, more: Partial<QueryModel> = {}) => queryModel(sql, { key: ["id"], ...more });

async function liveOf(source: Source, of: QueryModel): Promise<LiveQuery> {
  const capture = await source.capture(of, signal);
  if (capture.kind !== "live") throw new Error(JSON.stringify(capture));
  return capture.query;
}

describe.skipIf(!MARIADB_INSTALLED)("queries of MariaDB", () => {
  let server: Mariadb;
  let database: MariadbDatabase;
  let source: Source;
  beforeAll(async () => {
    server = await startBinlogServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    database = await mariadbDatabase(server);
    await database.sql(TABLES);
    source = mysqlSource(database.url);
  });
  afterEach(async () => {
    await source[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  test("changes of its tables lead to its keys, from a snapshot that sees them", async () => {
    await database.sql("INSERT INTO users VALUES (1, 'Ann', NULL), (2, 'Bob', 1), (3, 'Cas', 1)");
    const query = await liveOf(source, model(OF_BOSS));
    const start = await source.open([model(OF_BOSS)], [], signal);
    await database.sql("UPDATE users SET name = 'Anna' WHERE id = 1");
    const { changes } = await readUntil(source, start.position, count(1));
    const affected = await query.affected(changes, signal);
    expect(affected.keys.map(([id]) => id!).toSorted()).toEqual(["1", "2", "3"]);
    const [, epoch, rest] = /^(.*@\d+):(.*)$/.exec(changes[0]!.transaction.id)!;
    expect(affected.sees(changes[0]!.transaction.id)).toBe(true);
    expect(affected.sees(`${epoch}:${Number(rest!.split(":")[0]) + 1}:4`)).toBe(false);
  });

  test("parts of keys are looked for in a snapshot that sees the changes", async () => {
    const pairs = queryModel("SELECT u.id AS u, o.id AS o FROM users u JOIN orders o ON o.total > u.boss", {
      key: ["u", "o"],
    });
    const query = await liveOf(source, pairs);
    expect(query.partialPlaces).toEqual([[0], [1]]);
    const start = await source.open([pairs], [], signal);
    await database.sql("INSERT INTO orders VALUES (7, 1, 9); INSERT INTO users VALUES (1, 'Ann', 3)");
    const { changes } = await readUntil(source, start.position, count(2));
    const affected = await query.affected(changes.slice(1), signal);
    expect(affected).toMatchObject({ keys: [["1", "7"]], partial: [{ places: [0], values: [["1"]] }] });
    const [, epoch, file] = /^(.*@\d+):(\d+):/.exec(changes[1]!.transaction.id)!;
    expect(affected.sees(`${epoch}:${Number(file) + 1}:4`)).toBe(false);
  });

  test("a query that was written otherwise, or whose view was, is another model", async () => {
    await database.sql("CREATE VIEW v AS SELECT id, name FROM users");
    const before = model("SELECT id, name FROM v");
    const stored = await source.open([before], [], signal);
    const means = async (of: QueryModel): Promise<boolean> => {
      await source.open([of], [stored], signal);
      return source.sameModel!(of, stored);
    };
    expect(await means(before)).toBe(true);
    expect(await means(model("SELECT id, UPPER(name) AS name FROM v"))).toBe(false);
    await database.sql("CREATE OR REPLACE VIEW v AS SELECT id, LOWER(name) AS name FROM users");
    expect(await means(before)).toBe(false);
  });

  test("a statement that alters what it reads is told, and looked at again", async () => {
    await database.sql("CREATE VIEW v AS SELECT id, name FROM users");
    const of = model("SELECT id, name FROM v");
    const query = await liveOf(source, of);
    const start = await source.open([of], [], signal);
    await database.sql("CREATE OR REPLACE VIEW v AS SELECT boss AS id, name FROM users WHERE boss IS NOT NULL");
    await database.sql("INSERT INTO users VALUES (1, 'Ann', 5)");
    const { changes } = await readUntil(source, start.position, (all) => all.some(({ op }) => op === "insert"));
    expect(new Set(changes.map(({ op, relation }) => `${op} ${query.relations.has(relation.id)}`))).toEqual(
      new Set(["touched true", "insert true"]),
    );
    const inserted = changes.find(({ op }) => op === "insert");
    expect((await query.affected([inserted!], signal)).all).toBe(true);
    expect((await query.affected([inserted!], signal)).keys).toEqual([["5"]]);
    await database.sql("CREATE OR REPLACE VIEW v AS SELECT id, NOW() AS name FROM users");
    await readUntil(
      source,
      start.position,
      (all) => all.at(-1)?.op === "touched" && all.some(({ op }) => op === "insert"),
    );
    await expect(query.affected([inserted!], signal)).rejects.toMatchObject({
      code: "source.model",
      message: expect.stringContaining("cannot be followed as before: current_timestamp()") as string,
    });
  });

  test("what cannot be followed is compared when a table that it names changed, also one that cascades into it", async () => {
    await database.sql(
      "CREATE TABLE kids (id int PRIMARY KEY, user_id int, FOREIGN KEY of_user (user_id) REFERENCES users (id) ON DELETE CASCADE)",
    );
    const capture = await source.capture(model("SELECT id, user_id FROM kids"), signal);
    expect(capture).toMatchObject({
      kind: "diff",
      timeDependent: false,
      because: [expect.stringContaining("which foreign keys change (of_user)") as string],
    });
    const { triggers } = capture as { triggers: ReadonlySet<string> };
    const start = await source.open([model("SELECT id, user_id FROM kids")], [], signal);
    await database.sql(
      "INSERT INTO users VALUES (1, 'Ann', NULL); INSERT INTO orders VALUES (1, 1, 1); INSERT INTO kids VALUES (1, 1)",
    );
    const { changes } = await readUntil(source, start.position, count(2));
    expect(changes.map(({ op, relation }) => [op, relation.name, triggers.has(relation.id)])).toEqual([
      ["touched", "users", true],
      ["touched", "kids", true],
    ]);
    expect([...triggers].filter((id) => !id.includes(" ")).toSorted()).toEqual([
      `${database.name}.kids`,
      `${database.name}.users`,
    ]);
    const clock = await source.capture(model("SELECT id FROM orders WHERE total < UNIX_TIMESTAMP()"), signal);
    expect(clock).toMatchObject({ kind: "diff", timeDependent: true });
  });

  test("several rows by their keys, of a query whose semi-join loses some when MariaDB is left to it", async () => {
    await database.sql("INSERT INTO users VALUES (0, 'a', NULL), (1, 'b', NULL)");
    const of = model(
      `SELECT g.id, g.name FROM (SELECT u.id, MIN(BINARY u.name) AS name FROM users u WHERE u.id IS NOT NULL GROUP BY u.id) g
        WHERE EXISTS (SELECT 1 FROM users x RIGHT JOIN users y ON x.id = y.id LEFT JOIN users z ON y.id = z.id AND x.id = z.id WHERE g.id = x.id)
          AND g.id IS NOT NULL UNION ALL SELECT id + 10, name FROM users`,
    );
    const { rows } = await source.lookup(of, [["0"], ["1"]], signal);
    expect(rows.map(([id]) => id as string).toSorted()).toEqual(["0", "1"]);
  });

  test("check names the index that is missing, explain what is asked", async () => {
    await database.sql("INSERT INTO users SELECT seq, 'x', seq DIV 10 FROM seq_1_to_30000; ANALYZE TABLE users");
    const needs = [{ model: model(OF_BOSS), oldColumns: [], deletes: true }];
    const full = (await source.check(needs, signal)).filter(({ code }) => code === "mysql.full_read");
    expect(full).toMatchObject([{ fix: `CREATE INDEX … ON \`${database.name}\`.\`users\` (\`boss\`);`, subject: "m" }]);
    await database.sql("CREATE INDEX by_boss ON users (boss)");
    expect((await source.check(needs, signal)).filter(({ code }) => code === "mysql.full_read")).toEqual([]);
    const explained = await source.explain(model(OF_BOSS), signal);
    expect(explained.kind).toBe("live query");
    expect(explained.statements.join("\n")).toContain("FROM changed");
    const compared = await source.explain(model("SELECT id FROM orders LIMIT 3"), signal);
    expect(compared.why).toContain("LIMIT or OFFSET");
    expect(compared.latency).toContain("a change of");
  });
});

describe.skipIf(!MARIADB_INSTALLED)("queries of MariaDB with minimal row images", () => {
  test("what needs old values of more than the primary key is compared, and check says what would help; other queries are followed", async () => {
    await using server = await startBinlogServer({ settings: { "binlog-row-image": "MINIMAL" } });
    await using database = await mariadbDatabase(server);
    await database.sql(TABLES);
    await using source = mysqlSource(database.url);
    expect(await source.capture(model(BY_USER), signal)).toMatchObject({
      kind: "diff",
      because: [expect.stringContaining("old values of user_id") as string],
    });
    const findings = await source.check([{ model: model(BY_USER), oldColumns: [], deletes: true }], signal);
    expect(findings.find(({ code }) => code === "mysql.row_image_old")?.fix).toContain("binlog_row_image");

    const named = model("SELECT id, name FROM users WHERE boss IS NULL");
    const query = await liveOf(source, named);
    const start = await source.open([named], [], signal);
    await database.sql(
      "INSERT INTO users VALUES (1, 'Ann', NULL); UPDATE users SET name = 'Anna'; UPDATE users SET id = 2; DELETE FROM users",
    );
    const { changes } = await readUntil(source, start.position, count(4));
    const keys = await Promise.all(changes.map(async (change) => (await query.affected([change], signal)).keys.flat()));
    expect(keys.map((list) => list.toSorted())).toEqual([["1"], ["1"], ["1", "2"], ["2"]]);
  });
});
