import { describe, expect, inject, test, vi } from "vitest";
import type { Change } from "../../contracts/change.ts";
import type { Model, QueryModel } from "../../contracts/model.ts";
import type { Source } from "../../contracts/source.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";
import postgres from "./index.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const never = new AbortController().signal;

const servers = [
  ["18", inject("postgresUrl")],
  ["15", inject("postgres15Url")],
] as const;

function sourceOn(database: TestDatabase): Source {
  const settings = postgres.settings.parse({ url: database.url, heartbeat_ms: 0 });
  return postgres.create(settings, { name: database.name, project: "tailrace", log });
}

/** Another test of this server may have a transaction open, which a new slot waits for. */
function opened(source: Source, models: readonly Model[], stored: Parameters<Source["open"]>[1] = []) {
  return vi.waitFor(
    async () => {
      try {
        return { start: await source.open(models, stored, never), error: null };
      } catch (error) {
        if ((error as { code: string }).code === "source.blocked") throw error;
        return { start: null, error: error as { code: string; message: string } };
      }
    },
    { timeout: 30_000 },
  );
}

async function read(source: Source, after: string, count: number): Promise<Change[]> {
  const changes: Change[] = [];
  for await (const batch of source.read(after, AbortSignal.timeout(20_000))) {
    changes.push(...batch.changes);
    if (changes.length >= count) break;
  }
  return changes;
}

// Version 15 is skipped where Debian's package is not installed; the global set-up says so.
describe.each(servers.filter(([, url]) => url !== ""))("tables of queries on PostgreSQL %s", (_version, url) => {
  const fresh = async (sql: string): Promise<TestDatabase> => {
    const database = await testDatabase(url);
    await database.sql(sql);
    return database;
  };
  const members = async (database: TestDatabase) =>
    (await database.rows("SELECT tablename FROM pg_publication_tables ORDER BY 1")).map(({ tablename }) => tablename);

  const SHOP = `
    CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE);
    CREATE TABLE orders (id int, user_id int, total int);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id`;
  const GOLDEN = queryModel("SELECT u.id, t.total FROM users u LEFT JOIN totals t ON t.user_id = u.id", {
    key: ["id"],
  });

  test("are published, through views; a table that is a model too has one change, under the model's key", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    const models = [{ ...tableModel("users"), key: ["email"] }, GOLDEN];
    await database.sql("ALTER TABLE users REPLICA IDENTITY USING INDEX users_email_key");
    const { start } = await opened(source, models);
    expect(await members(database)).toEqual(["orders", "users"]);
    await database.sql(
      "INSERT INTO users VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1, 5); UPDATE orders SET total = 6",
    );
    const changes = await read(source, start!.position, 3);
    expect(
      changes.map(({ op, relation, before, after }) => ({ op, name: relation.name, key: relation.key, before, after })),
    ).toEqual([
      { op: "insert", name: "users", key: [1], before: null, after: ["1", "a"] },
      { op: "insert", name: "orders", key: [], before: null, after: ["1", "1", "5"] },
      { op: "update", name: "orders", key: [], before: ["1", "1", "5"], after: ["1", "1", "6"] },
    ]);
    const [{ oid }] = (await database.rows("SELECT 'orders'::regclass::oid::text AS oid")) as [{ oid: string }];
    expect(changes[1]!.relation.id).toBe(oid);
  });

  test("leave the publication with the query, and a table that left it for a while is a gap", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    const { start } = await opened(source, [tableModel("users"), GOLDEN]);
    const publication = (await database.rows("SELECT pubname FROM pg_publication"))[0]!.pubname!;
    await database.sql(
      `ALTER PUBLICATION ${publication} DROP TABLE orders; ALTER PUBLICATION ${publication} ADD TABLE orders`,
    );
    expect((await opened(source, [GOLDEN], [start!])).error).toMatchObject({
      code: "source.gap.publication",
      message: expect.stringContaining('table "public"."orders" was taken out of the publication'),
    });
    const without = await opened(source, [tableModel("users")], [start!]);
    expect(without.error).toBeNull();
    expect(await members(database)).toEqual(["users"]);
    expect(await source.plan([tableModel("users"), GOLDEN], [without.start!], never)).toEqual([
      `ALTER PUBLICATION "${publication}" ADD TABLE "public"."orders"`,
    ]);
  });

  test("a query that was written otherwise, or whose view was, is not the model of the checkpoint any more", async () => {
    await using database = await fresh(SHOP);
    await using before = sourceOn(database);
    const { start } = await opened(before, [tableModel("users"), GOLDEN]);
    expect(before.sameModel!(GOLDEN, start!)).toBe(true);
    const since = async (model: QueryModel) => {
      await using source = sourceOn(database);
      await opened(source, [tableModel("users"), model], [start!]);
      return [source.sameModel!(model, start!), source.sameModel!(tableModel("users"), start!)];
    };
    await database.sql("ALTER TABLE orders ADD note text; TRUNCATE orders; INSERT INTO users VALUES (1, 'a')");
    expect(await since(GOLDEN)).toEqual([true, true]);
    expect(await since({ ...GOLDEN, sql: `${GOLDEN.sql} WHERE u.id > 1` })).toEqual([false, true]);
    expect(await since({ ...GOLDEN, name: "another" })).toEqual([false, true]);
    await database.sql(
      "CREATE OR REPLACE VIEW totals AS SELECT user_id, count(total) AS total FROM orders GROUP BY user_id",
    );
    expect(await since(GOLDEN)).toEqual([false, true]);
    // Nor when nothing was heard of its tables in between, or nothing of one of them.
    await database.sql(
      "CREATE OR REPLACE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id",
    );
    expect(await since(GOLDEN)).toEqual([true, true]);
    const unheard = { schedule: null, whenChanged: false, state: "auto" } as const;
    expect(await since({ ...GOLDEN, capture: "diff", diff: unheard })).toEqual([false, true]);
    await database.sql("ALTER TABLE orders REPLICA IDENTITY DEFAULT");
    expect(await since(GOLDEN)).toEqual([false, true]);
  });

  test("whose updates would fail once published are left out, and said", async () => {
    await using database = await fresh(`${SHOP}; ALTER TABLE orders REPLICA IDENTITY DEFAULT`);
    await using source = sourceOn(database);
    const { start } = await opened(source, [GOLDEN]);
    expect(await members(database)).toEqual(["users"]);
    await database.sql(
      "INSERT INTO orders VALUES (1, 1, 5); UPDATE orders SET total = 6; INSERT INTO users VALUES (1, 'a')",
    );
    expect((await read(source, start!.position, 1)).map(({ relation }) => relation.name)).toEqual(["users"]);
    const users = (await database.rows("SELECT 'users'::regclass::oid::text AS oid"))[0]!.oid!;
    expect(await source.capture(GOLDEN, never)).toMatchObject({
      kind: "diff",
      because: [
        expect.stringContaining(
          'does not hold the old values of user_id of "public"."orders", which tell the keys that a change affects. With FULL, every update and delete writes the whole old row to the log. Run: ALTER TABLE "public"."orders" REPLICA IDENTITY FULL',
        ),
        expect.stringContaining("publishing it would make its own updates and deletes fail"),
      ],
      triggers: new Set([users]),
    });
  });

  test("of a query that is compared on a schedule alone are not published", async () => {
    await using database = await fresh(SHOP);
    await using source = sourceOn(database);
    const every = { schedule: { kind: "every", ms: 60_000 }, whenChanged: false, state: "auto" } as const;
    const scheduled = { ...GOLDEN, capture: "diff", diff: every } as const;
    expect((await opened(source, [scheduled])).error).toBeNull();
    expect(await members(database)).toEqual([]);
    expect(await source.capture(scheduled, never)).toEqual({
      kind: "diff",
      because: ["`capture: diff` is set"],
      triggers: null,
      timeDependent: false,
    });
    const triggered = { ...GOLDEN, capture: "diff" } as const;
    const oids = (await database.rows("SELECT oid::text FROM pg_class WHERE relname IN ('users', 'orders')")).map(
      ({ oid }) => oid,
    );
    expect(await source.capture(triggered, never)).toMatchObject({ kind: "diff", triggers: new Set(oids) });
  });

  test("that are partitions are published as what they are a part of; what the log does not hold is said", async () => {
    await using database = await fresh(`
      CREATE TABLE events (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
      CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);
      CREATE TABLE plain (id int PRIMARY KEY);
      CREATE MATERIALIZED VIEW kept AS SELECT id FROM plain;
      CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)`);
    await using source = sourceOn(database);
    const whole = queryModel("SELECT id, day FROM events", { name: "whole", key: ["id", "day"] });
    const part = queryModel("SELECT e.id, day FROM events_1 e JOIN kept USING (id) JOIN fast USING (id)", {
      name: "part",
      key: ["id"],
    });
    const { start } = await opened(source, [whole, part]);
    expect(await members(database)).toEqual(["events"]);
    await database.sql("INSERT INTO events VALUES (1, 1), (2, 12); UPDATE events SET day = 2 WHERE id = 1");
    const changes = await read(source, start!.position, 3);
    expect(changes.map(({ op, relation }) => `${op} ${relation.name}`)).toEqual([
      "insert events",
      "insert events",
      "update events",
    ]);
    const events = (await database.rows("SELECT 'events'::regclass::oid::text AS oid"))[0]!.oid!;
    const captured = await source.capture(part, never);
    expect(captured).toMatchObject({ kind: "diff", triggers: new Set([events]) });
    const because = captured.kind === "diff" ? captured.because.join("\n") : "";
    expect(because).toContain('it reads "public"."kept", a materialised view: the log does not hold its changes');
    expect(because).toContain('it reads "public"."fast", an unlogged table');
    expect(await source.capture(tableModel("events"), never)).toEqual({ kind: "log" });
  });
});
