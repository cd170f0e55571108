import { describe, expect, inject, test } from "vitest";
import { type Cli, runCli, startCli } from "../support/cli.ts";
import { orderOf, overlaps, rowsOf } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { status } from "../support/receiver-script.ts";

const SERVERS = [
  { server: "18", url: inject("postgresUrl") },
  { server: "15", url: inject("postgres15Url") },
].filter(({ url }) => url !== "");

const webhookTo = (database: TestDatabase, receiver: Receiver, sync: string): string => `
sources: { db: { type: postgres, url: "${database.url}" } }
models:
  load: { source: db, table: public.load }
  users: { source: db, table: public.users }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  ${sync}
`;

/** Until a question to the database is answered as wanted. Asks again and again, for twenty seconds at the most. */
async function until(database: TestDatabase, question: string): Promise<void> {
  for (const deadlineMs = Date.now() + 20_000; ;) {
    const [row] = await database.rows(question);
    if (Object.values(row ?? {})[0] === "t") return;
    if (Date.now() > deadlineMs) throw new Error(`never true: ${question}`);
  }
}

/** Ends the command as an operator would, and expects it to end well. */
async function stop(engine: Cli): Promise<void> {
  engine.kill("SIGTERM");
  expect(await engine.exit).toEqual({ code: 0, signal: null });
}

describe.each(SERVERS)("PostgreSQL $server", ({ url }) => {
  test("rows that exist, then live changes, one request a row", async () => {
    await using database = await testDatabase(url);
    await database.sql(
      "CREATE TABLE users (id int PRIMARY KEY, name text, big bigint); INSERT INTO users VALUES (1, 'Ann', 9223372036854775807)",
    );
    await using receiver = await startReceiver();
    await using at = await testProject(
      webhookTo(database, receiver, "users: { model: users, destination: receiver, mode: mirror }"),
    );
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 1);
    await database.sql(
      "INSERT INTO users VALUES (2, 'Bob', -1); UPDATE users SET name = 'Ann ☃' WHERE id = 1; DELETE FROM users WHERE id = 2",
    );
    // What waited together may have been merged: how many requests there are is not told, how they end is.
    await receiver.until(({ ledger }) => {
      const rows = [...rowsOf(ledger.entries)].filter(({ acknowledged }) => acknowledged);
      return rows.some(({ op }) => op === "delete") && rows.some(({ record }) => record?.["name"] === "Ann ☃");
    });
    const difference = await compare(receiver.ledger.entries, database, { table: "public.users", key: ["id"] });
    expect(difference).toMatchObject({ rows: 1, equal: true });
    await stop(engine);
  });

  test("a clean stop under load sends nothing twice, ever", { timeout: 120_000 }, async () => {
    await using database = await testDatabase(url);
    await database.sql(loadTable("public.load"));
    await using receiver = await startReceiver();
    await using at = await testProject(
      webhookTo(database, receiver, "load: { model: load, destination: receiver, mode: event }"),
    );
    await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
    await using load = forkLoad({ url: database.url, changes: 4_000, keys: 500, seed: 7, ratePerSecond: 3000 });
    for (let stops = 0; stops < 3; stops += 1) {
      const before = receiver.counts.requests;
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await receiver.until(({ counts }) => counts.requests > before + 50, 30_000);
      await stop(engine);
      await receiver.restart();
    }
    const committed = await load.done;
    expect((await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).code).toBe(0);
    const ids = [...rowsOf(receiver.ledger.entries)].map(({ id }) => id);
    expect(ids.length).toBe(new Set(ids).size);
    // Each change is an event, also of a row that was gone before a column of it could be read.
    expect(ids.length).toBe(committed.changes);
    expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
    expect(overlaps(receiver.ledger.entries)).toEqual([]);
  });
});

test("into another PostgreSQL, every event exactly once, whatever is killed", { timeout: 120_000 }, async () => {
  await using database = await testDatabase();
  await database.sql(loadTable("public.load"));
  await using target = await testDatabase();
  // A table of the user's own, with nothing that would keep a repeated event out.
  await target.sql("CREATE TABLE events (id bigint, version bigint, at timestamptz DEFAULT now())");
  await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { load: { source: db, table: public.load } }
destinations: { other: { type: postgres, url: "${target.url}", create_tables: true } }
syncs:
  mirror: { model: load, destination: other, object: load, mode: mirror, max_deletes: 100% }
  events: { model: load, destination: other, object: events, mode: event, map: { id: id, version: version } }
`);
  await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
  const load = forkLoad({ url: database.url, changes: 12_000, keys: 2000, seed: 11, ratePerSecond: 6000 });
  await using _ = load;
  for (let kill = 0; kill < 4; kill += 1) {
    const [before] = await target.rows("SELECT count(*) AS n FROM events");
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await until(target, `SELECT count(*) > ${before!["n"]} + ${100 + kill * 37} FROM events`);
    engine.kill("SIGKILL");
    await engine.exit;
  }
  const committed = await load.done;
  const last = await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
  expect(last.code).toBe(0);
  const [counted] = await target.rows("SELECT count(*) AS events FROM events");
  expect(Number(counted!["events"])).toBe(committed.changes);
  const rows = "SELECT md5(string_agg(t::text, E'\\n' ORDER BY id)) AS hash, count(*) AS n FROM load t";
  expect(await target.rows(rows)).toEqual(await database.rows(rows));
});

describe("operating", () => {
  test(
    "pause stops one sync; resume goes on without a gap; resync sends every row again",
    { timeout: 90_000 },
    async () => {
      await using database = await testDatabase();
      await database.sql(
        "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT i, 'n' FROM generate_series(1, 20) i",
      );
      await using receiver = await startReceiver();
      await using at = await testProject(
        webhookTo(
          database,
          receiver,
          "users: { model: users, destination: receiver, mode: mirror }\n  others: { model: users, destination: receiver, mode: event }",
        ),
      );
      const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await receiver.until(({ counts }) => counts.acknowledgedRows === 20);
      expect((await tailrace("pause", "users")).code).toBe(0);
      await database.sql("INSERT INTO users VALUES (21, 'while paused')");
      await receiver.until(({ counts }) => counts.acknowledgedRows === 21);
      expect((await tailrace("resume", "users")).code).toBe(0);
      await receiver.until(({ counts }) => counts.acknowledgedRows === 22);
      expect((await tailrace("resync", "users")).code).toBe(0);
      await receiver.until(({ counts }) => counts.acknowledgedRows === 43);
      const difference = await compare(receiver.ledger.entries, database, { table: "public.users", key: ["id"] });
      expect(difference.equal).toBe(true);
      await stop(engine);
    },
  );

  test("a lost slot stops the sync by name, and resync begins anew", { timeout: 90_000 }, async () => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a')");
    await using receiver = await startReceiver();
    await using at = await testProject(
      webhookTo(database, receiver, "users: { model: users, destination: receiver, mode: mirror }"),
    );
    const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
    expect((await tailrace("run", "--once")).code).toBe(0);
    await database.sql(
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
    );
    await database.sql("INSERT INTO users VALUES (2, 'in the gap')");
    const stopped = await tailrace("run", "--once");
    expect(stopped.code).toBe(1);
    expect(stopped.stdout).toContain("source.gap.slot_missing");
    expect(receiver.counts.acknowledgedRows).toBe(1);
    expect((await tailrace("resync", "users")).code).toBe(0);
    expect((await tailrace("run", "--once")).code).toBe(0);
    const difference = await compare(receiver.ledger.entries, database, { table: "public.users", key: ["id"] });
    expect(difference).toMatchObject({ rows: 2, equal: true });
  });

  test("a run that is to catch up ends when the source refuses the password", { timeout: 60_000 }, async () => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE users (id int PRIMARY KEY)");
    await using receiver = await startReceiver();
    const url = new URL(database.url);
    url.username = "nobody_of_that_name";
    const users = "users: { model: users, destination: receiver }";
    await using at = await testProject(webhookTo({ ...database, url: url.href }, receiver, users));
    const { code, stdout, stderr } = await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("source.auth");
  });

  test("a dropped table stops its sync by name; the other syncs of the source go on", { timeout: 90_000 }, async () => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE load (id int PRIMARY KEY)");
    await using receiver = await startReceiver();
    await using at = await testProject(
      webhookTo(
        database,
        receiver,
        "users: { model: users, destination: receiver, mode: mirror }\n  load: { model: load, destination: receiver, mode: mirror }",
      ),
    );
    const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
    expect((await tailrace("run", "--once")).code).toBe(0);
    await database.sql("DROP TABLE load; INSERT INTO users VALUES (1, 'goes on')");
    const result = await tailrace("run", "--once");
    expect(result.code).toBe(1);
    expect(result.stdout).toContain("source.model");
    expect(receiver.counts.acknowledgedRows).toBe(1);
  });

  test(
    "a poison row becomes a dead letter; when it is mended, a retry sends what it is now",
    { timeout: 90_000 },
    async () => {
      await using database = await testDatabase();
      await database.sql(
        "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 50) i",
      );
      await using receiver = await startReceiver({ script: ({ body }) => status(body.includes('"n13"') ? 422 : 200) });
      await using at = await testProject(
        webhookTo(database, receiver, "users: { model: users, destination: receiver, mode: mirror }"),
      );
      const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
      expect((await tailrace("run", "--once")).code).toBe(0);
      expect(receiver.counts.acknowledgedRows).toBe(49);
      const listed = await tailrace("failures", "list", "users", "--json");
      expect(listed.stdout).toContain("destination.refused");
      // The row is mended at the source, and the change that did it has gone its own way. The retry must not bring back what it was.
      await database.sql("UPDATE users SET name = 'mended' WHERE id = 13");
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      expect((await tailrace("failures", "retry", "users", "--all", "--yes")).code).toBe(0);
      await receiver.until(({ counts }) => counts.acknowledgedRows >= 50);
      await stop(engine);
      const difference = await compare(receiver.ledger.entries, database, { table: "public.users", key: ["id"] });
      expect(difference).toMatchObject({ rows: 50, equal: true });
    },
  );
});
