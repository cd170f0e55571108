// Into a PostgreSQL destination each change is written once, also when a process that was succeeded commits late.
import { expect, test } from "vitest";
import { type Cli, startCli } from "../support/cli.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";

const project = (source: TestDatabase, sink: TestDatabase, state: TestDatabase): string => `
state: { type: postgres, url: "${state.url}" }
sources: { db: { type: postgres, url: "${source.url}" } }
models: { t: { source: db, table: public.t } }
destinations: { sink: { type: postgres, url: "${sink.url}" } }
syncs: { t: { model: t, destination: sink, object: events, mode: event, backfill: true } }
`;

const EVENTS = "CREATE TABLE events (id int, v text)";
/** Holds whoever inserts until the test lets go of the lock. */
const HOLD = `
  CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
  CREATE TRIGGER hold AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION hold()`;

const count = (database: TestDatabase, from: string) => async (): Promise<number> =>
  Number((await database.rows(`SELECT count(*) FROM ${from}`))[0]?.["count"]);

const waitingFor = (database: TestDatabase, event: string) =>
  count(database, `pg_stat_activity WHERE wait_event = '${event}' AND datname = current_database()`);

async function stop(engine: Cli): Promise<void> {
  engine.kill("SIGTERM");
  expect(await engine.exit).toEqual({ code: 0, signal: null });
}

test("a process is frozen inside its transaction, which commits while the next one takes over", async () => {
  await using source = await testDatabase();
  await using sink = await testDatabase();
  await using state = await testDatabase();
  await source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
  await sink.sql(EVENTS + ";" + HOLD);
  await using at = await testProject(project(source, sink, state));
  const start = (): Cli => startCli(["run", "-c", at.folder], { cwd: at.folder });
  await using first = start();
  await expect.poll(count(sink, "events"), { timeout: 20_000 }).toBe(1);
  await using second = start();
  await second.waitFor(/standing by/);

  await sink.sql("SELECT pg_advisory_lock(1)");
  await source.sql("INSERT INTO t SELECT g, 'b' FROM generate_series(2, 50) g");
  await expect.poll(waitingFor(sink, "advisory"), { timeout: 10_000 }).toBe(1);
  first.kill("SIGSTOP");
  await source.sql("INSERT INTO t VALUES (51, 'c')");
  // The second has the lease and the slot, and asks for the place.
  await expect.poll(waitingFor(sink, "transactionid"), { timeout: 30_000 }).toBe(1);
  expect(await count(sink, "events")()).toBe(1);
  await sink.sql("SELECT pg_advisory_unlock(1)");
  await expect.poll(count(sink, "events"), { timeout: 10_000 }).toBe(51);

  first.kill("SIGCONT");
  await first.waitFor(/another process (has taken|may take) over/, 10_000);
  await source.sql("UPDATE t SET v = 'd' WHERE id = 51");
  await expect.poll(count(sink, "events WHERE v = 'd'"), { timeout: 10_000 }).toBe(1);
  await stop(first);
  await stop(second);
  expect(await count(sink, "events")()).toBe(52);
}, 90_000);

test("what another process has committed after the place was loaded is found out, and the sync goes on", async () => {
  await using source = await testDatabase();
  await using sink = await testDatabase();
  await using state = await testDatabase();
  await source.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')");
  await sink.sql(EVENTS);
  await using at = await testProject(project(source, sink, state));
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await expect.poll(count(sink, "events"), { timeout: 20_000 }).toBe(1);
  await source.sql("INSERT INTO t VALUES (2, 'b')");
  await expect.poll(count(sink, "events"), { timeout: 10_000 }).toBe(2);
  // As a batch that came to the same place would leave it.
  await sink.sql("UPDATE tailrace.progress SET batch = 'of another'");
  await source.sql("INSERT INTO t VALUES (3, 'c')");
  await engine.waitFor(/going on from there/, 10_000);
  await expect.poll(count(sink, "events"), { timeout: 20_000 }).toBe(3);
  await source.sql("INSERT INTO t VALUES (4, 'd')");
  await expect.poll(count(sink, "events"), { timeout: 10_000 }).toBe(4);
  await stop(engine);
}, 60_000);
