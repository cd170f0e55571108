import { existsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe as suite, expect, inject, test } from "vitest";
import type { QueryModel } from "../../contracts/model.ts";
import type { Differences, SentRow, SourceRowIndex } from "../../contracts/row-index.ts";
import type { ChunkLimit } from "../../contracts/source.ts";
import type { StateStore } from "../../contracts/state.ts";
import type { Values } from "../../contracts/values.ts";
import { rowHash } from "../../kit/row-hash.ts";
import { openSqliteState } from "../../state/sqlite/index.ts";
import { rowIndexSuite } from "../../../test/conformance/row-index.ts";
import { queryModel, tableModel } from "../../../test/support/models.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import postgres from "./index.ts";
import type { PostgresSource } from "./postgres-source.ts";

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
const signal = AbortSignal.timeout(300_000);
const WIDE: ChunkLimit = { rows: 1000, bytes: 1e8 };
const NOTHING = queryModel("SELECT 1 AS id", { name: "nothing", key: ["id"] });

function sourceOn(url: string, project = "tailrace"): PostgresSource {
  const context = { name: "db", project, log };
  return postgres.create(postgres.settings.parse({ url }), context) as PostgresSource;
}

suite("conformance", () => {
  rowIndexSuite(async () => {
    const stack = new AsyncDisposableStack();
    const database = stack.use(await testDatabase());
    const folder = async () => {
      const path = await mkdtemp(join(tmpdir(), "tailrace-source-index-"));
      stack.defer(() => rm(path, { recursive: true, force: true }));
      return path;
    };
    let home = await folder();
    let opened: AsyncDisposable[] = [];
    const end = async () => {
      for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
    };
    stack.defer(end);
    const outdate = (where: string) => {
      const state = new DatabaseSync(join(home, "state.db"), { timeout: 5_000 });
      state.exec(`UPDATE lease SET pid = 4194304 + 1 ${where}`);
      state.close();
    };
    return {
      open: async () => {
        const store = await openSqliteState({
          path: join(home, "state.db"),
          log,
          timing: { heartbeatMs: 50, pollMs: 10 },
        });
        const source = sourceOn(database.url);
        opened.push(store, source);
        return keptIn(source, store, database);
      },
      outdate: (sync) => {
        outdate(`WHERE sync = '${sync}'`);
        return Promise.resolve();
      },
      crash: async () => {
        await database.sql(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`);
        const next = await folder();
        for (const file of ["state.db", "state.db-wal"])
          if (existsSync(join(home, file))) await cp(join(home, file), join(next, file));
        await end();
        home = next;
        outdate("");
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });
});

/** A store whose indexes of rows are kept in the source. Who gets a lease opens the index next: that ends those before. */
function keptIn(source: PostgresSource, store: StateStore, database: TestDatabase): StateStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === "forget")
        return async (sync: string) => {
          await target.forget(sync);
          await source.rowIndexes.forget(sync, signal);
        };
      if (name === "knownRows") return (sync: string) => source.rowIndexes.known(sync, signal);
      if (name === "acquire")
        return async (sync: string, until: AbortSignal) => {
          const lease = await target.acquire(sync, until);
          if ((await source.rowIndexes.known(sync, signal)) !== null)
            await database.rows("UPDATE tailrace_rows.sync SET epoch = epoch + 1 WHERE sync = $1", [sync]);
          return new Proxy(lease, {
            get(of, property) {
              if (property === "knownRows") return () => source.rowIndexes.known(sync, signal);
              if (property !== "openRowIndex") return bound(of, property);
              return async (options: { identity: string; content: string; parts: readonly (readonly number[])[] }) => {
                const more = { sync, model: NOTHING, columns: ["id"], where: null };
                const index = (await source.rowIndexes.open({ ...options, ...more }, signal))!;
                await index.complete();
                return index;
              };
            },
          });
        };
      return bound(target, name);
    },
  });
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === "function" ? (value.bind(target) as unknown) : value;
}

const SERVERS = [
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
].filter(({ url }) => url !== "");

suite.each(SERVERS)("what differs, on $server", ({ url }) => {
  interface Place extends AsyncDisposable {
    readonly database: TestDatabase;
    readonly source: PostgresSource;
  }

  async function place(sql: string): Promise<Place> {
    const stack = new AsyncDisposableStack();
    const database = stack.use(await testDatabase(url));
    await database.sql(sql);
    const source = stack.use(sourceOn(database.url));
    return { database, source, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  async function open(
    { source }: Place,
    model: QueryModel,
    columns: readonly string[],
    where: string | null = null,
  ): Promise<SourceRowIndex> {
    const options = { identity: "of", content: "map", parts: [], sync: "s", model, columns, where };
    const index = (await source.rowIndexes.open(options, signal))!;
    await index.complete();
    return index;
  }

  interface Told {
    readonly changed: number;
    readonly rows: readonly Values[];
    readonly gone: readonly string[];
  }

  async function told(index: SourceRowIndex, limit = WIDE): Promise<Told> {
    await using differences: Differences = await index.compare(signal);
    const rows: Values[] = [];
    for await (const chunk of differences.rows(limit, signal)) rows.push(...chunk.rows);
    const gone: string[] = [];
    for await (const keys of differences.goneKeys(signal)) gone.push(...keys);
    expect(differences).toMatchObject({ changed: rows.length, gone: gone.length });
    await differences.settled();
    return { changed: differences.changed, rows, gone };
  }

  async function sent(index: SourceRowIndex, rows: readonly SentRow[], confirms = true): Promise<void> {
    const versions = await index.announce(rows);
    if (confirms) await index.confirm(rows.map(({ key }, at) => ({ key, version: versions[at]! })));
  }

  const USERS = `CREATE TABLE users (id bigint PRIMARY KEY, name text, plan text);
    INSERT INTO users SELECT i, 'n' || i, 'free' FROM generate_series(1, 2000) i`;
  const model = queryModel("SELECT id, name, plan FROM users", { name: "users", key: ["id"] });
  const COLUMNS = ["id", "name"];
  const hashed = ([id, name]: Values): string => rowHash(["map", id!, name!]);
  const rowOf = (values: Values): SentRow => {
    return { key: values[0] as string, recordKey: null, identity: null, hash: hashed(values) };
  };

  test("everything at first, nothing when it was sent, and then what was altered, added and removed; only that", async () => {
    await using here = await place(USERS);
    const index = await open(here, model, COLUMNS);
    const first = await told(index);
    expect(first.changed).toBe(2000);
    await sent(index, first.rows.map(rowOf));
    expect(await told(index)).toEqual({ changed: 0, rows: [], gone: [] });
    await here.database.sql(`UPDATE users SET name = 'é' WHERE id = 7; UPDATE users SET plan = 'paid' WHERE id = 8;
      DELETE FROM users WHERE id IN (5, 40); INSERT INTO users VALUES (3000, NULL, 'free')`);
    expect(await told(index)).toEqual({
      changed: 2,
      rows: [
        ["3000", null, "free"],
        ["7", "é", "free"],
      ],
      gone: ["40", "5"],
    });
    // What was announced and not accepted is offered again; what is being removed, too.
    await sent(index, [rowOf(["7", "é", "free"]), { ...rowOf(["5", "", ""]), hash: null }], false);
    expect(await told(index)).toMatchObject({ changed: 2, gone: ["40", "5"] });
    await sent(index, [rowOf(["7", "é", "free"]), rowOf(["3000", null, "free"])]);
    expect(await told(index)).toMatchObject({ changed: 0, gone: ["40", "5"] });
  });

  test("chunks are bounded in rows and in bytes", async () => {
    await using here = await place(USERS);
    await here.database.sql("UPDATE users SET name = repeat('x', 1000) WHERE id <= 10");
    const index = await open(here, model, COLUMNS);
    await using differences = await index.compare(signal);
    const sizes: number[] = [];
    for await (const { rows } of differences.rows({ rows: 500, bytes: 2_100 }, signal)) {
      const bytes = rows.reduce((sum, values) => sum + values.join("").length, 0);
      if (rows.length > 1) expect(bytes).toBeLessThanOrEqual(2_100);
      sizes.push(rows.length);
    }
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(2000);
    expect(sizes.length).toBeGreaterThan(5);
  });

  test("the database hashes what we hash, of every kind of value", async () => {
    await using here = await place(
      `CREATE TYPE mood AS ENUM ('ok', 'sad');
      CREATE TABLE kinds (a text, b char(5), c boolean, d numeric, e timestamptz, f jsonb, g inet, h float8, i text[], j bytea, k mood, l json, m interval, n int);
      INSERT INTO kinds VALUES
        ('a', 'x', true, 1.50, '2026-01-02 03:04:05.678901+02', '{"a": [1, null]}', '10.0.0.1', 0.1, '{a,NULL,"b c"}', '\\xdeadbeef', 'ok', '{"z":1}', '1 day 2 hours', 1),
        ('é😀', '', false, 'NaN', 'infinity', 'null', '::1/64', '-Infinity', '{}', '', 'sad', '[]', '-3 months', -1),
        ('', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
    );
    const columns = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];
    const kinds = queryModel("SELECT * FROM kinds", { name: "kinds", key: ["a"] });
    const index = await open(here, kinds, columns);
    const scanned: Values[] = [];
    for await (const { rows } of here.source.scan(kinds, null, WIDE, signal)) scanned.push(...rows);
    expect(scanned).toHaveLength(3);
    const byKey = (rows: readonly Values[]) => new Map(rows.map((row) => [row[0], row]));
    expect(byKey((await told(index)).rows)).toEqual(byKey(scanned));
    await sent(
      index,
      scanned.map((values) => ({
        key: values[0] as string,
        recordKey: null,
        identity: null,
        hash: rowHash(["map", ...(values as string[])]),
      })),
    );
    expect(await told(index)).toMatchObject({ changed: 0, gone: [] });
  });

  test("keys of several columns are those of the engine, beyond 16 bits too", async () => {
    await using here = await place(
      `CREATE TABLE pairs (a text, b int); INSERT INTO pairs VALUES ('a,b', 1), ('😀é', 2), ('', 3)`,
    );
    const pairs = queryModel("SELECT b, a FROM pairs", { name: "pairs", key: ["a", "b"] });
    const index = await open(here, pairs, ["a", "b"]);
    const keyOf = (a: string, b: string) => `${a.length}:${a},${b.length}:${b}`;
    await sent(
      index,
      [
        ["a,b", "1"],
        ["😀é", "2"],
        ["", "3"],
      ].map(([a, b]) => {
        return { key: keyOf(a!, b!), recordKey: null, identity: null, hash: rowHash(["map", a!, b!]) };
      }),
    );
    expect(await told(index)).toMatchObject({ changed: 0, gone: [] });
  });

  test("rows without a key are counted; of several with one key all are told, as long as one of them differs", async () => {
    await using here = await place(`CREATE TABLE visits (who text, page text);
      INSERT INTO visits VALUES ('ann', 'a'), ('bob', 'a'), ('bob', 'b'), ('cid', 'c')`);
    const visits = queryModel("SELECT who, page FROM visits", { name: "visits", key: ["who"] });
    const index = await open(here, visits, ["who", "page"]);
    await sent(
      index,
      (
        [
          ["ann", "a"],
          ["bob", "a"],
          ["cid", "c"],
        ] as Values[]
      ).map(rowOf),
    );
    const several = {
      changed: 2,
      rows: expect.arrayContaining([
        ["bob", "a"],
        ["bob", "b"],
      ]) as unknown,
      gone: [],
    };
    expect(await told(index)).toEqual(several);
    await sent(index, [rowOf(["bob", "b"])]);
    expect(await told(index)).toEqual(several);
    await here.database.sql("INSERT INTO visits VALUES (NULL, 'x'), (NULL, 'y')");
    await expect(index.compare(signal)).rejects.toMatchObject({
      code: "source.model",
      message: expect.stringContaining("2 rows of model `visits` have no value in the key (who)") as unknown,
    });
  });

  test("rows that are kept out are not offered again until they change, or the where does", async () => {
    await using here = await place(USERS);
    const index = await open(here, model, COLUMNS, "plan = 'paid'");
    await sent(index, [rowOf(["1", "n1", "free"])]);
    const { rows } = await told(index);
    await index.keepOut(rows.map((values) => ({ key: values[0] as string, hash: hashed(values) })));
    await index.keepOut([{ key: "1", hash: rowHash(["none"]) }]);
    expect(await told(index)).toMatchObject({ changed: 0, gone: [] });
    await here.database.sql("UPDATE users SET name = 'other' WHERE id = 9; DELETE FROM users WHERE id = 10");
    expect(await told(index)).toMatchObject({ rows: [["9", "other", "free"]], gone: [] });
    const kept = await here.database.rows("SELECT count(*)::text AS n FROM tailrace_rows.kept_out");
    expect(kept).toEqual([{ n: "1998" }]);
    await sent(index, [rowOf(["9", "other", "free"])]);
    expect(await told(index)).toMatchObject({ changed: 0, gone: [] });
    const again = await open(here, model, COLUMNS, "plan = 'free'");
    expect((await told(again)).changed).toBe(1999);
    const last = await open(here, model, COLUMNS, "plan = 'free'");
    // Those that were not noted this time.
    expect((await told(last)).changed).toBe(1997);
  });

  test("what it is told waits for the disk, also where the database would not", async () => {
    await using here = await place(USERS);
    const { database } = here;
    await open(here, model, COLUMNS);
    await database.sql(`
      ALTER DATABASE ${new URL(database.url).pathname.slice(1)} SET synchronous_commit = off;
      CREATE TABLE waited (setting text);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.waited VALUES (current_setting(''synchronous_commit'')); RETURN NEW; END';
      CREATE TRIGGER note BEFORE INSERT OR UPDATE ON tailrace_rows.indexed FOR EACH ROW EXECUTE FUNCTION note()`);
    await using later = sourceOn(database.url);
    const reopened = await open({ ...here, source: later }, model, COLUMNS);
    await sent(reopened, [rowOf(["1", "n1", ""])]);
    expect(await database.rows("SELECT setting, count(*)::text AS n FROM waited GROUP BY 1")).toEqual([
      { setting: "on", n: "2" },
    ]);
  });

  test("an opening that was not completed begins anew, and does not count", async () => {
    await using here = await place(USERS);
    const options = { identity: "of", content: "map", parts: [], sync: "s", model, columns: COLUMNS, where: null };
    const begun = (await here.source.rowIndexes.open(options, signal))!;
    await begun.announce([rowOf(["1", "n1", ""])]);
    expect(await here.source.rowIndexes.known("s", signal)).toBeNull();
    const anew = (await here.source.rowIndexes.open(options, signal))!;
    expect(anew).toMatchObject({ isNew: true, rows: 0 });
    await anew.announce([rowOf(["2", "n2", ""])]);
    await anew.complete();
    expect(await here.source.rowIndexes.known("s", signal)).toEqual({ identity: "of", content: "map", rows: 1 });
    expect(await here.source.rowIndexes.open(options, signal)).toMatchObject({ isNew: false, rows: 1 });
  });

  test("a second instance ends the first; projects of one database do not meet; what is left over is listed and removed", async () => {
    await using here = await place(USERS);
    await using second = sourceOn(here.database.url);
    await using stranger = sourceOn(here.database.url, "other");
    const options = { identity: "of", content: "map", parts: [], sync: "s", model, columns: COLUMNS, where: null };
    const first = await open(here, model, COLUMNS);
    await sent(first, [rowOf(["1", "n1", ""])]);
    expect(await stranger.rowIndexes.known("s", signal)).toBeNull();
    expect(await stranger.rowIndexes.open(options, signal)).toMatchObject({ isNew: true });
    const next = (await second.rowIndexes.open(options, signal))!;
    for (const late of [
      first.announce([rowOf(["1", "late", ""])]),
      first.keepOut([{ key: "2", hash: rowHash(["x"]) }]),
      first.complete(),
    ])
      await expect(late).rejects.toMatchObject({ code: "state.lease_lost" });
    expect(await next.find(["1"])).toMatchObject([{ hash: rowHash(["map", "1", "n1"]), confirmed: true }]);
    expect(await second.rowIndexes.holdings([], signal)).toMatchObject([
      { name: "rows of s", used: false, active: false },
    ]);
    expect(await second.rowIndexes.holdings(["s"], signal)).toMatchObject([{ used: true }]);
    await second.release("rows of s", signal);
    expect(await second.rowIndexes.holdings([], signal)).toEqual([]);
    await expect(next.announce([rowOf(["1", "n1", ""])])).rejects.toMatchObject({ code: "state.lease_lost" });
    expect(await stranger.rowIndexes.holdings([], signal)).toHaveLength(1);
    await expect(second.release("rows of s", signal)).rejects.toMatchObject({ code: "source.config" });
  });

  test("a model of what we keep there is refused", async () => {
    await using here = await place(USERS);
    await open(here, model, COLUMNS);
    const ours = queryModel("SELECT key FROM tailrace_rows.indexed", { name: "ours", key: ["key"] });
    const table = tableModel("indexed", { namespace: "tailrace_rows" });
    for (const one of [ours, table])
      await expect(here.source.describe(one, signal)).rejects.toMatchObject({
        code: "source.model",
        message: expect.stringContaining("keeps what was sent") as unknown,
      });
  });

  test("where we may not write there is none, and a schema that is ready is enough", async () => {
    await using here = await place(USERS);
    const { database } = here;
    const role = `reader_${database.name}`;
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT SELECT ON users TO ${role}`);
    const their = new URL(database.url);
    their.username = role;
    their.password = "x";
    await using reader = sourceOn(their.href);
    const options = { identity: "of", content: "map", parts: [], sync: "s", model, columns: COLUMNS, where: null };
    expect(await reader.rowIndexes.known("s", signal)).toBeNull();
    expect(await reader.rowIndexes.open(options, signal)).toBeNull();
    // What another role has made is not ours, whatever it holds.
    await open(here, model, COLUMNS);
    expect(await reader.rowIndexes.known("s", signal)).toBeNull();
    expect(await reader.rowIndexes.open(options, signal)).toBeNull();
    await database.sql(
      `DROP SCHEMA tailrace_rows CASCADE; CREATE SCHEMA tailrace_rows; GRANT USAGE, CREATE ON SCHEMA tailrace_rows TO ${role}`,
    );
    const index = (await reader.rowIndexes.open(options, signal))!;
    await index.complete();
    expect((await told(index)).changed).toBe(2000);
    await reader[Symbol.asyncDispose]();
    await database.sql(`DROP SCHEMA tailrace_rows CASCADE; DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});
