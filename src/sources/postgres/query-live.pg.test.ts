// A query that is followed: changes from the log, the keys that they affect, the rows of those keys.
import { describe, expect, inject, test, vi } from "vitest";
import type { LiveQuery } from "../../contracts/capture.ts";
import type { Change } from "../../contracts/change.ts";
import type { QueryModel } from "../../contracts/model.ts";
import type { Source } from "../../contracts/source.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { queryModel } from "../../../test/support/models.ts";
import postgres from "./index.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const never = new AbortController().signal;

const servers = [
  ["18", inject("postgresUrl")],
  ["15", inject("postgres15Url")],
] as const;

const SHOP = `
  CREATE TABLE users (id bigint PRIMARY KEY, email text, plan text);
  CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric(12, 2));
  CREATE INDEX ON orders (user_id);
  ALTER TABLE orders REPLICA IDENTITY FULL;
  CREATE VIEW totals AS SELECT user_id, count(*) AS n, sum(total) AS ltv FROM orders GROUP BY user_id;
  INSERT INTO users VALUES (1, 'a', 'free'), (2, 'b', 'paid');
  INSERT INTO orders VALUES (10, 1, 5), (20, 2, 7)`;
const GOLDEN = queryModel("SELECT u.id, u.email, t.n, t.ltv FROM users u LEFT JOIN totals t ON t.user_id = u.id", {
  name: "golden",
  key: ["id"],
});

/** The changes of a source, as they are asked for. */
class Following implements AsyncDisposable {
  readonly #source: Source;
  readonly #changes: AsyncIterator<{ readonly changes: readonly Change[] }>;
  readonly query: LiveQuery;

  private constructor(source: Source, query: LiveQuery, after: string) {
    this.#source = source;
    this.query = query;
    this.#changes = source.read(after, AbortSignal.timeout(40_000))[Symbol.asyncIterator]();
  }

  static async begin(source: Source, model: QueryModel): Promise<Following> {
    // Another test of this server may have a transaction open, which a new slot waits for.
    const start = await vi.waitFor(() => source.open([model], [], never), { timeout: 30_000 });
    return Following.from(source, model, start.position);
  }

  static async from(source: Source, model: QueryModel, after: string): Promise<Following> {
    const captured = await source.capture(model, never);
    if (captured.kind !== "live") throw new Error(`not live: ${JSON.stringify(captured)}`);
    return new Following(source, captured.query, after);
  }

  async changes(count: number): Promise<Change[]> {
    const changes: Change[] = [];
    while (changes.length < count) changes.push(...(await this.#changes.next()).value!.changes);
    return changes;
  }

  /** What a round does: the keys, then their rows, both from snapshots that see the changes. */
  async round(model: QueryModel, count: number): Promise<Record<string, string>> {
    const changes = await this.changes(count);
    const seen = <T extends { sees(transaction: string): boolean }>(ask: () => Promise<T>): Promise<T> =>
      vi.waitFor(async () => {
        const answer = await ask();
        for (const { transaction } of changes) expect(answer.sees(transaction.id)).toBe(true);
        return answer;
      });
    const affected = await seen(() => this.query.affected(changes, never));
    if (affected.all) return { all: "rows" };
    const { rows, relation } = await seen(() => this.#source.lookup(model, affected.keys, never));
    const keyOf = (row: readonly unknown[]) => relation.key.map((place) => row[place]).join();
    return Object.fromEntries([
      ...affected.keys.map((key) => [key.join(), "gone"]),
      ...rows.map((row) => [keyOf(row), row.join(" ")]),
    ]) as Record<string, string>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#changes.return?.();
  }
}

function sourceOn(database: TestDatabase): Source {
  const settings = postgres.settings.parse({ url: database.url, heartbeat_ms: 0 });
  return postgres.create(settings, { name: database.name, project: "tailrace", log });
}

// Version 15 is skipped where Debian's package is not installed; the global set-up says so.
describe.each(servers.filter(([, url]) => url !== ""))("a live query on PostgreSQL %s", (_version, url) => {
  const fresh = async (sql: string): Promise<TestDatabase> => {
    const database = await testDatabase(url);
    await database.sql(sql);
    return database;
  };

  test("gives the rows of the keys that a transaction affects, and only those", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    await using following = await Following.begin(source, GOLDEN);
    await database.sql("INSERT INTO orders VALUES (11, 1, 2.5)");
    expect(await following.round(GOLDEN, 1)).toEqual({ 1: "1 a 2 7.50" });
    await database.sql("UPDATE orders SET user_id = 2 WHERE id = 11; DELETE FROM users WHERE id = 1");
    expect(await following.round(GOLDEN, 2)).toEqual({ 1: "gone", 2: "2 b 2 9.50" });
    await database.sql(
      "BEGIN; INSERT INTO users VALUES (3, 'c', 'free'); UPDATE users SET email = 'C' WHERE id = 3; COMMIT",
    );
    expect(await following.round(GOLDEN, 2)).toEqual({ 3: "3 C  " });
    await database.sql("TRUNCATE orders");
    expect(await following.round(GOLDEN, 1)).toEqual({ all: "rows" });
  });

  test("goes on over a new column, a renamed one that it does not name, and a view that means something else", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    await using following = await Following.begin(source, GOLDEN);
    await database.sql("ALTER TABLE users ADD note text; INSERT INTO users VALUES (4, 'd', 'free', 'x')");
    // All rows may be other ones now.
    expect(await following.round(GOLDEN, 1)).toEqual({ all: "rows" });
    await database.sql("UPDATE users SET email = 'D' WHERE id = 4");
    expect(await following.round(GOLDEN, 1)).toEqual({ 4: "4 D  " });
    await database.sql("ALTER TABLE users RENAME plan TO tier; UPDATE users SET email = 'e' WHERE id = 4");
    expect(await following.round(GOLDEN, 1)).toEqual({ all: "rows" });
    await database.sql(`CREATE OR REPLACE VIEW totals AS SELECT user_id, count(*) AS n, -sum(total) AS ltv FROM orders GROUP BY user_id;
      UPDATE orders SET total = 6 WHERE id = 10`);
    expect(await following.round(GOLDEN, 1)).toEqual({ all: "rows" });
    await database.sql("UPDATE orders SET total = 8 WHERE id = 10");
    expect(await following.round(GOLDEN, 1)).toEqual({ 1: "1 a 1 -8.00" });
  });

  test("goes on when a column that its statements name is renamed beneath a view", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    const joined = queryModel("SELECT o.id, u.email FROM shown o JOIN users u ON u.id = o.owner", { key: ["id"] });
    await database.sql("CREATE VIEW shown AS SELECT id, user_id AS owner FROM orders");
    await using following = await Following.begin(source, joined);
    await database.sql("UPDATE users SET email = 'z' WHERE id = 1");
    expect(await following.round(joined, 1)).toEqual({ 10: "10 z" });
    await database.sql("ALTER TABLE orders RENAME user_id TO customer; UPDATE users SET email = 'y' WHERE id = 1");
    expect(await following.round(joined, 1)).toEqual({ all: "rows" });
    await database.sql("UPDATE users SET email = 'x' WHERE id = 1; UPDATE orders SET customer = 2 WHERE id = 10");
    expect(await following.round(joined, 2)).toEqual({ 10: "10 b" });
  });

  test("does not take the old values of changes for known that were logged before the log held them", async () => {
    await using database = await fresh(`${SHOP}; ALTER TABLE orders REPLICA IDENTITY DEFAULT`);
    await using source = sourceOn(database);
    const start = await vi.waitFor(() => source.open([GOLDEN], [], never), { timeout: 30_000 });
    expect(await source.capture(GOLDEN, never)).toMatchObject({ kind: "diff" });
    await database.sql("UPDATE orders SET user_id = 2 WHERE id = 10; ALTER TABLE orders REPLICA IDENTITY FULL");
    await source.open([GOLDEN], [start], never);
    await using following = await Following.from(source, GOLDEN, start.position);
    // The order was user 1's, which that change does not say.
    expect(await following.round(GOLDEN, 1)).toEqual({ all: "rows" });
    await database.sql("UPDATE orders SET user_id = 1 WHERE id = 10");
    expect(await following.round(GOLDEN, 1)).toEqual({ 1: "1 a 1 5.00", 2: "2 b 1 7.00" });
  });

  test("stops by name when it cannot be followed as before", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    await using following = await Following.begin(source, GOLDEN);
    await database.sql("ALTER TABLE orders REPLICA IDENTITY DEFAULT; UPDATE orders SET total = 1 WHERE id = 10");
    const changes = await following.changes(1);
    await expect(following.query.affected(changes, never)).rejects.toMatchObject({
      code: "source.model",
      message: expect.stringMatching(/cannot be followed as before: .*user_id.*REPLICA IDENTITY FULL/),
    });
    await database.sql("DROP VIEW totals; INSERT INTO users VALUES (5, 'e', 'free')");
    const later = await following.changes(1);
    await expect(following.query.affected(later, never)).rejects.toMatchObject({
      code: "source.model",
      message: expect.stringContaining('relation "totals" does not exist'),
    });
  });
});
