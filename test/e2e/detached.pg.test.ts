import { describe, expect, test, vi } from "vitest";
import { startCli, runCli } from "../support/cli.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

interface Slot {
  readonly name: string;
  readonly shared: boolean;
  readonly behind: number;
}

/** The slots of this test's database, with how many bytes of log each is behind. */
async function slotsOf(database: TestDatabase): Promise<readonly Slot[]> {
  const rows = await database.rows(
    `SELECT slot_name::text AS name, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::text AS behind
       FROM pg_replication_slots WHERE database = current_database() ORDER BY slot_name`,
  );
  return rows.map(({ name, behind }) => ({ name: name!, shared: !name!.includes("__"), behind: Number(behind) }));
}

/** Syncs `good` and `bad` of one source, each with a table and a receiver of its own. `sync`: more settings of `bad`. */
async function twoSyncs({ source = "", sync = "" }: { readonly source?: string; readonly sync?: string }) {
  await using made = new AsyncDisposableStack();
  const database = made.use(await testDatabase());
  await database.sql("CREATE TABLE good (id int PRIMARY KEY, t text); CREATE TABLE bad (id int PRIMARY KEY, t text)");
  const well = made.use(await startReceiver());
  const ill = made.use(await startReceiver());
  const { folder } = made.use(
    await testProject(`
sources: { db: { type: postgres, url: "${database.url}", ${source} } }
models:
  good: { source: db, table: public.good }
  bad: { source: db, table: public.bad }
destinations:
  well: { type: webhook, url: "${well.url}", allow_private: true, batch: { format: array, rows: 500 } }
  ill: { type: webhook, url: "${ill.url}", allow_private: true, batch: { format: array, rows: 500 } }
syncs:
  good: { model: good, destination: well, mode: mirror }
  bad: { model: bad, destination: ill, mode: mirror, ${sync} }
`),
  );
  const difference = (receiver: Receiver, table: string) =>
    compare(receiver.ledger.entries, database, { table: `public.${table}`, key: ["id"] });
  const kept = made.move();
  return {
    database,
    well,
    ill,
    folder,
    difference,
    tailrace: (...args: string[]) => runCli([...args, "-c", folder], { cwd: folder }),
    /** Rows of 1 kB into both tables. */
    insert: async (from: number, to: number) => {
      for (const table of ["good", "bad"])
        await database.sql(
          `INSERT INTO ${table} SELECT i, repeat(md5(i::text), 32) FROM generate_series(${from}, ${to}) i`,
        );
    },
    own: async () => (await slotsOf(database)).find(({ shared }) => !shared),
    shared: async () => (await slotsOf(database)).find(({ shared }) => shared)!,
    bothHave: (rows: number) =>
      vi.waitFor(
        async () => {
          expect(await difference(ill, "bad")).toMatchObject({ rows, equal: true });
          expect(await difference(well, "good")).toMatchObject({ rows, equal: true });
        },
        { timeout: 60_000, interval: 200 },
      ),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

test(
  "a sync whose destination is down is detached, holds back nobody, survives a kill, catches up and comes back",
  { timeout: 180_000 },
  async () => {
    await using stage = await twoSyncs({});
    const { well, ill, folder } = stage;
    {
      await using first = startCli(["run", "-c", folder], { cwd: folder });
      await first.waitFor(/"started"/);
      await stage.insert(1, 10);
      await stage.bothHave(10);
      await ill.down();
      for (let i = 0; i < 10; i += 1) await stage.insert(100 + i * 2000, 2099 + i * 2000);
      await well.until(({ counts }) => counts.acknowledgedRows >= 20_010, 60_000);
      await vi.waitFor(async () => expect((await stage.own())?.behind).toBeGreaterThan(10_000_000), {
        timeout: 30_000,
        interval: 200,
      });
      await vi.waitFor(async () => expect((await stage.shared()).behind).toBeLessThan(1_000_000), {
        timeout: 30_000,
        interval: 200,
      });
      expect((await stage.tailrace("status", "--json")).stdout).toMatch(/"sync":"bad".*"detached":\{/);
      // This configuration uses it: pruning leaves it.
      await stage.tailrace("slots", "prune", "--orphans", "--yes");
      expect(await stage.own()).toBeDefined();
      first.kill("SIGKILL");
      await first.exit;
    }
    await using second = startCli(["run", "-c", folder], { cwd: folder });
    await second.waitFor(/"started"/);
    await stage.insert(50_000, 50_010);
    await well.until(({ counts }) => counts.acknowledgedRows >= 20_021, 30_000);
    expect(await stage.own()).toBeDefined();
    await ill.up();
    await stage.bothHave(20_021);
    await vi.waitFor(async () => expect(await stage.own()).toBeUndefined(), { timeout: 30_000, interval: 200 });
    await stage.insert(60_000, 60_010);
    await stage.bothHave(20_032);
    second.kill("SIGTERM");
    expect(await second.exit).toEqual({ code: 0, signal: null });
  },
);

describe("a sync that does not run", () => {
  test(
    "is detached, so that its pause keeps no log for the others; resumed, it catches up and comes back",
    { timeout: 120_000 },
    async () => {
      await using stage = await twoSyncs({});
      await using engine = startCli(["run", "-c", stage.folder], { cwd: stage.folder });
      await engine.waitFor(/"started"/);
      await stage.insert(1, 10);
      await stage.bothHave(10);
      expect((await stage.tailrace("pause", "bad")).code).toBe(0);
      await stage.insert(11, 1000);
      await vi.waitFor(async () => expect(await stage.own()).toBeDefined(), { timeout: 40_000, interval: 200 });
      await stage.insert(1001, 3000);
      await stage.well.until(({ counts }) => counts.acknowledgedRows >= 3000, 30_000);
      await vi.waitFor(async () => expect((await stage.shared()).behind).toBeLessThan(500_000), {
        timeout: 30_000,
        interval: 200,
      });
      expect(stage.ill.counts.acknowledgedRows).toBe(10);
      expect((await stage.tailrace("resume", "bad")).code).toBe(0);
      await stage.bothHave(3000);
      await vi.waitFor(async () => expect(await stage.own()).toBeUndefined(), { timeout: 40_000, interval: 200 });
      await stage.insert(3001, 3010);
      await stage.bothHave(3010);
    },
  );

  test("loses its place alone when the source would have to keep too much for it", { timeout: 120_000 }, async () => {
    await using stage = await twoSyncs({ source: "wal_budget: 32 MB" });
    await using engine = startCli(["run", "-c", stage.folder], { cwd: stage.folder });
    await engine.waitFor(/"started"/);
    await stage.insert(1, 10);
    await stage.bothHave(10);
    await stage.ill.down();
    // Step by step: what the others need must stay under the budget.
    for (let i = 0; i < 12; i += 1) {
      await stage.insert(1000 + i * 2000, 2999 + i * 2000);
      await stage.well.until(({ counts }) => counts.acknowledgedRows >= 2010 + i * 2000, 30_000);
    }
    await engine.waitFor(/source\.gap\.over_budget/, 60_000);
    await vi.waitFor(async () => expect(await stage.own()).toBeUndefined(), { timeout: 30_000, interval: 200 });
    await stage.insert(50_000, 50_010);
    await stage.well.until(({ counts }) => counts.acknowledgedRows >= 24_021, 30_000);
    await stage.ill.up();
    expect((await stage.tailrace("resync", "bad")).code).toBe(0);
    await stage.bothHave(24_021);
  });
});

test(
  "`on_gap: resync` sends every row again where the log cannot be read on, and not for ever",
  { timeout: 120_000 },
  async () => {
    await using stage = await twoSyncs({ sync: "on_gap: resync" });
    const once = () => stage.tailrace("run", "--once");
    expect((await once()).code).toBe(0);
    await stage.insert(1, 10);
    await stage.database.sql(
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
    );
    const { code, stdout } = await once();
    expect(code).toBe(1);
    expect(stdout).toMatch(/"sync":"good","code":"source.gap.slot_missing".*the sync stopped/);
    expect(stdout).toMatch(/"sync":"bad","code":"source.gap.slot_missing".*resyncing/);
    expect(await stage.difference(stage.ill, "bad")).toMatchObject({ rows: 10, equal: true });
    expect(stage.well.counts.acknowledgedRows).toBe(0);
  },
);
