// Two processes with one state, in a PostgreSQL that a third machine would have: what happens when the one that works ends.
import { expect, test } from "vitest";
import { type Cli, startCli } from "../support/cli.ts";
import { orderOf, overlaps } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

/** From the promise in docs/state.md. */
const TAKEOVER_MS = 15_000;

const project = (source: TestDatabase, state: TestDatabase, receiver: string): string => `
state: { type: postgres, url: "${state.url}" }
sources: { db: { type: postgres, url: "${source.url}" } }
models: { load: { source: db, table: public.load } }
destinations: { receiver: { type: webhook, url: "${receiver}", allow_private: true } }
syncs: { load: { model: load, destination: receiver, mode: mirror, max_deletes: 100% } }
`;

test("the active process is killed under load: the other takes over, loses nothing and inverts nothing", async () => {
  await using source = await testDatabase();
  await using state = await testDatabase();
  await source.sql(loadTable("public.load"));
  await using receiver = await startReceiver();
  await using at = await testProject(project(source, state, receiver.url));
  const start = (): Cli => startCli(["run", "-c", at.folder], { cwd: at.folder });

  await using first = start();
  await using load = forkLoad({ url: source.url, changes: 8_000, keys: 300, seed: 5, ratePerSecond: 500 });
  await receiver.until(({ counts }) => counts.acknowledgedRows > 300);
  await using second = start();
  // It stands by when its connection is there and it does not hold the lease.
  await expect
    .poll(
      async () =>
        Number(
          (
            await state.rows(
              "SELECT count(DISTINCT client_port) FROM pg_stat_activity WHERE application_name = 'tailrace' AND datname = current_database()",
            )
          )[0]?.["count"],
        ),
      { timeout: 15_000 },
    )
    .toBeGreaterThanOrEqual(3);
  const [held] = await state.rows("SELECT owner, epoch FROM tailrace.lease");
  await receiver.until(({ counts }) => counts.acknowledgedRows > 1_000);

  const killedAtMs = performance.now();
  first.kill("SIGKILL");
  expect(await first.exit).toEqual({ code: null, signal: "SIGKILL" });
  await receiver.restart();
  const before = receiver.counts.requests;
  await receiver.until(({ counts }) => counts.requests > before, TAKEOVER_MS);
  expect(performance.now() - killedAtMs).toBeLessThan(TAKEOVER_MS);
  const [taken] = await state.rows("SELECT owner, epoch FROM tailrace.lease");
  expect(taken?.["owner"]).not.toBe(held?.["owner"]);
  expect(Number(taken?.["epoch"])).toBe(Number(held?.["epoch"]) + 1);

  load.stop();
  const committed = await load.done;
  expect(committed.changes).toBeGreaterThan(1_000);
  // The rest is sent when the difference is gone; asked with a bound.
  await expect
    .poll(async () => (await compare(receiver.ledger.entries, source, { table: "public.load", key: ["id"] })).equal, {
      timeout: 15_000,
    })
    .toBe(true);
  second.kill("SIGTERM");
  expect(await second.exit).toEqual({ code: 0, signal: null });
  expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
  expect(orderOf(receiver.ledger.entries).regressions).toEqual([]);
  expect(overlaps(receiver.ledger.entries)).toEqual([]);
});

test("a clean stop hands over at once, and a process that was frozen sends nothing after it was succeeded", async () => {
  await using source = await testDatabase();
  await using state = await testDatabase();
  await source.sql(loadTable("public.load"));
  await using receiver = await startReceiver();
  await using at = await testProject(project(source, state, receiver.url));
  const start = (): Cli => startCli(["run", "-c", at.folder], { cwd: at.folder });
  const epoch = async (): Promise<number> =>
    Number((await state.rows("SELECT epoch FROM tailrace.lease WHERE owner IS NOT NULL"))[0]?.["epoch"] ?? 0);

  await using first = start();
  await using load = forkLoad({ url: source.url, changes: 20_000, keys: 300, seed: 6, ratePerSecond: 200 });
  await receiver.until(({ counts }) => counts.acknowledgedRows > 100);
  const held = await epoch();
  await using second = start();
  first.kill("SIGTERM");
  expect(await first.exit).toEqual({ code: 0, signal: null });
  const stoppedAtMs = performance.now();
  await expect.poll(epoch, { timeout: 8_000, interval: 50 }).toBe(held + 1);
  // Most of it is the time that a process takes to start.
  expect(performance.now() - stoppedAtMs).toBeLessThan(6_000);
  const already = receiver.counts.acknowledgedRows;
  await receiver.until(({ counts }) => counts.acknowledgedRows > already + 100);

  await using third = start();
  second.kill("SIGSTOP");
  await expect.poll(epoch, { timeout: TAKEOVER_MS, interval: 50 }).toBe(held + 2);
  const atTakeover = receiver.counts.requests;
  await receiver.until(({ counts }) => counts.requests > atTakeover + 20, TAKEOVER_MS);
  load.stop();
  await load.done;
  const same = { table: "public.load", key: ["id"] };
  await expect
    .poll(async () => (await compare(receiver.ledger.entries, source, same)).equal, { timeout: 15_000 })
    .toBe(true);
  // All is sent: whatever comes from now on is from the one that wakes, with all that it had not sent yet.
  const requests = receiver.counts.requests;
  second.kill("SIGCONT");
  await second.waitFor(/another process (has taken|may take) over/, 10_000);
  for (const engine of [second, third]) {
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  }
  expect(receiver.counts.requests).toBe(requests);
});
