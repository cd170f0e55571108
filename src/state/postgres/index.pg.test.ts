import { Client } from "pg";
import { describe, expect, inject, test, vi } from "vitest";
import type { Log } from "../../contracts/log.ts";
import type { StateStore } from "../../contracts/state.ts";
import { aborted, never, type StateHarness } from "../../../test/conformance/state-harness.ts";
import { stateStoreSuite } from "../../../test/conformance/state-store.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { checkpointAt, letterOf } from "../../../test/support/state-values.ts";
import { openPostgresState } from "./index.ts";

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

async function harness(server: string): Promise<StateHarness> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase(server));
  let open: StateStore[] = [];
  stack.defer(async () => {
    for (const store of open) await store[Symbol.asyncDispose]();
  });
  return {
    open: async () => {
      const timing = { heartbeatMs: 50, pollMs: 10 };
      const store = await openPostgresState({ url: database.url, log: quiet, timing });
      open.push(store);
      return store;
    },
    outdate: async (sync) => {
      await database.rows("UPDATE tailrace.lease SET expires_at = now() - interval '1 s' WHERE sync = $1", [sync]);
    },
    crash: async () => {
      // Their leases are those of processes that ended long ago, and nothing of theirs is said any more.
      await database.sql("UPDATE tailrace.lease SET owner = 'gone', expires_at = now() - interval '1 h'");
      await database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
      );
      for (const store of open) await store[Symbol.asyncDispose]();
      open = [];
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("conformance, PostgreSQL 18", () => stateStoreSuite(() => harness(inject("postgresUrl"))));

describe.skipIf(inject("postgres15Url") === "")("conformance, PostgreSQL 15 (skipped where it is not installed)", () =>
  stateStoreSuite(() => harness(inject("postgres15Url"))),
);

/** The role `name` in a URL. */
function as(database: TestDatabase, name: string, password: string): string {
  const url = new URL(database.url);
  url.username = name;
  url.password = password;
  return url.href;
}

describe("opening", () => {
  test("two that start at once on nothing share what is made", async () => {
    await using database = await testDatabase();
    await using stack = new AsyncDisposableStack();
    const stores = await Promise.all([1, 2, 3, 4].map(() => openPostgresState({ url: database.url, log: quiet })));
    for (const store of stores) stack.use(store);
    for (const [index, store] of stores.entries())
      await (await store.acquire(`s${index}`, never)).commit({ deadLetters: [letterOf("a")] });
    expect((await stores[0]?.statuses())?.map(({ sync }) => sync)).toEqual(["s0", "s1", "s2", "s3"]);
  });

  test("read-only: an empty database is an empty state, in which nothing is made; a later one is found", async () => {
    await using database = await testDatabase();
    await using reader = await openPostgresState({ url: database.url, readOnly: true, log: quiet });
    expect(await reader.statuses()).toEqual([]);
    expect(await reader.load("s")).toBeNull();
    expect(await database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'tailrace'")).toEqual([]);
    await using writer = await openPostgresState({ url: database.url, log: quiet });
    await (await writer.acquire("s", never)).commit({ checkpoint: checkpointAt(4) });
    expect(await reader.load("s")).toMatchObject({ checkpoint: checkpointAt(4) });
    expect(await reader.statuses()).toMatchObject([{ sync: "s", running: true }]);
    await expect(reader.request("s", { kind: "pause" })).rejects.toMatchObject({ code: "internal.defect" });
    await expect(reader.acquire("s", never)).rejects.toMatchObject({ code: "internal.defect" });
  });

  test("a newer version is refused, and so is what was damaged; nothing is changed", async () => {
    await using database = await testDatabase();
    await (await openPostgresState({ url: database.url, schema: 'of "us"', log: quiet }))[Symbol.asyncDispose]();
    const open = () => openPostgresState({ url: database.url, schema: 'of "us"', log: quiet });
    const schema = '"of ""us"""';
    {
      await using store = await open();
      await (await store.acquire("s", never)).commit({ checkpoint: checkpointAt(1), deadLetters: [letterOf("a")] });
      await database.sql(`UPDATE ${schema}.failure SET letter = replace(letter, '"no"', '"yes"')`);
      await expect(store.failures("s")).rejects.toMatchObject({ code: "state.corrupt" });
    }
    await database.sql(`UPDATE ${schema}.sync SET position = '0000000000000002'`);
    await expect(open()).rejects.toMatchObject({ code: "state.corrupt" });
    await database.sql(`UPDATE ${schema}.sync SET position = '0000000000000001'`);
    await database.sql(`ALTER TABLE ${schema}.lease RENAME COLUMN server TO servant`);
    await expect(open()).rejects.toMatchObject({
      code: "state.corrupt",
      message: expect.stringContaining("lease") as string,
    });
    await database.sql(`ALTER TABLE ${schema}.lease RENAME COLUMN servant TO server`);
    await database.sql(`UPDATE ${schema}.meta SET value = '99'`);
    await expect(open()).rejects.toMatchObject({ code: "state.corrupt" });
    const { checksum } = await import("../checksum.ts");
    await database.sql(`UPDATE ${schema}.meta SET checksum = '${checksum("meta", ["schema", "99"])}'`);
    await expect(open()).rejects.toMatchObject({ code: "state.version" });
    expect(await database.rows(`SELECT value FROM ${schema}.meta`)).toEqual([{ value: "99" }]);
  });

  test("a schema with tables of others is not taken for ours", async () => {
    await using database = await testDatabase();
    await database.sql("CREATE SCHEMA tailrace; CREATE TABLE tailrace.report (id int)");
    await expect(openPostgresState({ url: database.url, log: quiet })).rejects.toMatchObject({ code: "state.corrupt" });
    expect(await database.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'tailrace'")).toEqual([
      { count: "1" },
    ]);
  });

  test("the rights that docs/state.md names are enough; without them, and with a wrong password, it says so", async () => {
    await using database = await testDatabase();
    const role = `r_${database.name}`;
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'p/w'`);
    try {
      const open = (readOnly = false) =>
        openPostgresState({ url: as(database, role, "p/w"), schema: "own", readOnly, log: quiet });
      await expect(open()).rejects.toMatchObject({ code: "state.refused" });
      await database.sql(`CREATE SCHEMA own AUTHORIZATION ${role}`);
      {
        await using store = await open();
        await (await store.acquire("s", never)).commit({ checkpoint: checkpointAt(1) });
      }
      await database.sql(`ALTER ROLE ${role} SET default_transaction_read_only = on`);
      await using reader = await open(true);
      expect(await reader.load("s")).toMatchObject({ checkpoint: checkpointAt(1) });
      await database.sql(`CREATE ROLE ${role}_looks LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA own TO ${role}_looks`);
      await database.sql(`GRANT SELECT ON ALL TABLES IN SCHEMA own TO ${role}_looks`);
      const looking = { url: as(database, `${role}_looks`, "p"), schema: "own", readOnly: true, log: quiet };
      await using looker = await openPostgresState(looking);
      expect(await looker.statuses()).toMatchObject([{ sync: "s", running: false }]);
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await database.sql(`DROP OWNED BY ${role}_looks; DROP ROLE ${role}_looks`);
    }
  });

  test("what is not there, and what is wrong in the settings, is named without its secrets", async () => {
    const unreachable = openPostgresState({ url: "postgres://u:canary@127.0.0.1:1/d", log: quiet });
    await expect(unreachable).rejects.toMatchObject({
      code: "state.unavailable",
      message: expect.stringMatching(/^(?!.*canary).*127\.0\.0\.1:1\/d/) as string,
    });
    await expect(openPostgresState({ url: "mysql://u:canary@h/d", log: quiet })).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.not.stringContaining("canary") as string,
    });
  });
});

describe("leases", () => {
  test("last by the server's clock, whatever this machine's says", async () => {
    await using database = await testDatabase();
    await using store = await openPostgresState({ url: database.url, log: quiet, timing: { heartbeatMs: 100 } });
    await using beside = await openPostgresState({ url: database.url, log: quiet, timing: { pollMs: 20 } });
    for (const skewMs of [-86_400_000, 86_400_000]) {
      const clock = vi.spyOn(Date, "now").mockImplementation(() => performance.timeOrigin + performance.now() + skewMs);
      try {
        const lease = await store.acquire("s", never);
        await lease.report({ ...REPORT });
        const left =
          "SELECT extract(epoch FROM expires_at - clock_timestamp()) BETWEEN 8 AND 10 AS ok FROM tailrace.lease";
        const [before] = await database.rows(left);
        expect(before).toEqual({ ok: "t" });
        await expect(beside.acquire("s", AbortSignal.timeout(300))).rejects.toThrow();
        expect(await database.rows(left)).toEqual([{ ok: "t" }]);
        const [status] = await store.statuses();
        expect(Math.abs((status?.reportedAtMs ?? 0) - (performance.timeOrigin + performance.now()))).toBeLessThan(
          60_000,
        );
        await lease[Symbol.asyncDispose]();
      } finally {
        clock.mockRestore();
      }
    }
  });

  test("after a failover nobody trusts what the other server wrote: the holder goes on, a dead one gets a whole term", async () => {
    await using database = await testDatabase();
    const timing = { heartbeatMs: 100, leaseMs: 1_500, giveUpMs: 1_200, pollMs: 20 };
    await using store = await openPostgresState({ url: database.url, log: quiet, timing });
    await using beside = await openPostgresState({ url: database.url, log: quiet, timing });
    const lease = await store.acquire("s", never);
    const failover = "UPDATE tailrace.lease SET server = server - interval '1 h', expires_at = now() - interval '1 h'";
    await database.sql(failover);
    await expect(beside.acquire("s", AbortSignal.timeout(500))).rejects.toThrow();
    await lease.commit({ checkpoint: checkpointAt(1) });
    expect(lease.lost.aborted).toBe(false);
    await lease[Symbol.asyncDispose]();
    await database.sql(`UPDATE tailrace.lease SET owner = 'dead'; ${failover}`);
    const before = performance.now();
    await beside.acquire("s", never);
    expect(performance.now() - before).toBeGreaterThan(1_400);
  });

  test("a server that goes away and comes back costs nothing but time", async () => {
    await using database = await testDatabase();
    const timing = { heartbeatMs: 50, pollMs: 20 };
    await using store = await openPostgresState({ url: database.url, log: quiet, timing });
    const lease = await store.acquire("s", never);
    const killer = new Client({ connectionString: database.url });
    await killer.connect();
    try {
      for (let at = 1; at <= 20; at += 1) {
        await killer.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tailrace'",
        );
        for (let stored = false; !stored;) {
          try {
            await lease.commit({ checkpoint: checkpointAt(at), counts: { delivered: 1, rejected: 0 } });
            stored = true;
          } catch (error) {
            expect(error).toMatchObject({ code: "state.unavailable" });
          }
        }
      }
    } finally {
      await killer.end();
    }
    expect(await store.load("s")).toMatchObject({ checkpoint: checkpointAt(20), counts: { delivered: 20 } });
    expect(lease.lost.aborted).toBe(false);
  });

  test("a holder whose lease ran out has lost it, also when nobody else wanted it; then it can have it again at once", async () => {
    await using database = await testDatabase();
    await using store = await openPostgresState({ url: database.url, log: quiet, timing: { heartbeatMs: 50 } });
    const lease = await store.acquire("s", never);
    await lease.commit({ checkpoint: checkpointAt(1) });
    await database.sql("UPDATE tailrace.lease SET expires_at = now() - interval '1 s'");
    await aborted(lease.lost);
    await expect(lease.commit({ checkpoint: checkpointAt(2) })).rejects.toMatchObject({ code: "state.lease_lost" });
    await lease[Symbol.asyncDispose]();
    const again = await store.acquire("s", AbortSignal.timeout(2_000));
    expect(await again.load()).toMatchObject({ checkpoint: checkpointAt(1) });
  });

  test("what is asked of a closed store is refused", async () => {
    await using database = await testDatabase();
    const store = await openPostgresState({ url: database.url, log: quiet });
    const lease = await store.acquire("s", never);
    await store[Symbol.asyncDispose]();
    await expect(store.statuses()).rejects.toMatchObject({ code: "internal.defect" });
    await expect(lease.commit({})).rejects.toMatchObject({ code: "state.lease_lost" });
    await lease[Symbol.asyncDispose]();
    const rows = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tailrace'";
    await vi.waitFor(async () => expect(await database.rows(rows)).toEqual([]));
  });
});

const REPORT = {
  phase: "streaming",
  reason: null,
  position: null,
  lagMs: 0,
  queuedRows: 0,
  queuedBytes: 0,
  perSecond: 0,
  latency: null,
  backfill: null,
  sourceSilentMs: null,
  detached: null,
} as const;
