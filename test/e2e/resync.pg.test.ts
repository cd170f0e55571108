import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Cli, startCli } from "../support/cli.ts";
import { overlaps, rowsOf } from "../support/ledger-order.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { gate, OK } from "../support/receiver-script.ts";
import { acknowledged, command, keysOf, loseSlot, once, resyncAfterAGap } from "../support/resync.ts";

const USERS = { table: "public.users", key: ["id"] };

async function projectOf(database: TestDatabase, receiver: Receiver, sync = ""): Promise<TestProject> {
  return testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true, batch: { format: array, rows: 50 } } }
syncs: { users: { model: users, destination: receiver, mode: mirror${sync} } }
`);
}

const start = (at: TestProject): Cli => startCli(["run", "-c", at.folder], { cwd: at.folder });

test("a record that is found by another value than the key is removed by that value", async () => {
  await using database = await testDatabase();
  await database.sql(
    "CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users SELECT n, 'u' || n || '@x' FROM generate_series(1, 20) n",
  );
  await using receiver = await startReceiver();
  await using at = await projectOf(database, receiver, ", match: email");
  await once(at);
  // 3 goes; 4 becomes another record; 5 takes over the record that was 6's.
  await resyncAfterAGap(
    database,
    at,
    "DELETE FROM users WHERE id IN (3, 6); UPDATE users SET email = 'new@x' WHERE id = 4; UPDATE users SET email = 'u6@x' WHERE id = 5",
  );
  await once(at);
  const removed = acknowledged(receiver, "delete").map(({ record }) => record?.["email"] ?? "");
  expect(removed.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(["u3@x", "u4@x", "u5@x"]);
});

test("more removals than max_deletes stop a resync, until they are approved; the approval is for that resync", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 1000)");
  await using receiver = await startReceiver();
  await using at = await projectOf(database, receiver, ", max_deletes: 20%");
  await once(at);
  await resyncAfterAGap(database, at, "DELETE FROM users WHERE id <= 400");
  const stopped = await command(at, "run", "--once");
  expect(stopped.code).not.toBe(0);
  expect(stopped.stdout).toContain("400 of 1000 records (40 %)");
  expect(stopped.stdout).toContain("delivery.too_many_deletes");
  expect(acknowledged(receiver, "delete")).toHaveLength(0);
  // To go on without a word does not help.
  expect((await command(at, "resume", "users")).code).toBe(0);
  expect((await command(at, "run", "--once")).stdout).toContain("400 of 1000 records");
  expect(acknowledged(receiver, "delete")).toHaveLength(0);
  expect((await command(at, "resume", "users", "--approve-deletes")).code).toBe(0);
  await once(at);
  expect(await compare(receiver.ledger.entries, database, USERS)).toMatchObject({ rows: 600, equal: true });
  const nothingLeft = await command(at, "resume", "users", "--approve-deletes");
  expect(nothingLeft.code).not.toBe(0);
  expect(nothingLeft.stderr).toContain("no removals to approve of");
  await resyncAfterAGap(database, at, "DELETE FROM users WHERE id <= 800");
  expect((await command(at, "run", "--once")).stdout).toContain("400 of 600 records");
  expect(await compare(receiver.ledger.entries, database, USERS)).toMatchObject({ rows: 200, equal: false });
});

test(
  "a DELETE of most rows stops a running mirror before it does much, until it is approved",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 2000)");
    await using receiver = await startReceiver();
    await using at = await projectOf(database, receiver);
    await once(at);
    {
      await using engine = start(at);
      // Rows that come and go are not a loss.
      for (let round = 1; round <= 3; round += 1) {
        await database.sql(
          `INSERT INTO users SELECT generate_series(${round}0001, ${round}0500); DELETE FROM users WHERE id > ${round}0000`,
        );
      }
      // Nor are rows that only change their keys.
      await database.sql("UPDATE users SET id = id + 100000");
      await receiver.until(() => {
        const keys = keysOf(acknowledged(receiver, "upsert"));
        return keys.filter((key) => key.length === 6).length === 2000;
      });
      await receiver.until(
        () => keysOf(acknowledged(receiver, "delete")).filter((key) => key.length <= 4).length === 2000,
      );
      const before = acknowledged(receiver, "delete").length;
      await database.sql("DELETE FROM users WHERE id <= 101500");
      await engine.waitFor(/delivery\.too_many_deletes/);
      expect(acknowledged(receiver, "delete").length - before).toBeLessThanOrEqual(600);
      // To go on without a word does not help.
      expect((await command(at, "resume", "users")).code).toBe(0);
      let stops = 0;
      await engine.waitFor((line) => line.includes("delivery.too_many_deletes") && (stops += 1) === 2);
      engine.kill("SIGTERM");
      await engine.exit;
    }
    expect((await command(at, "resume", "users", "--approve-deletes")).code).toBe(0);
    await once(at);
    expect(await compare(receiver.ledger.entries, database, USERS)).toMatchObject({ rows: 500, equal: true });
  },
);

test(
  "a resync beside live changes, with a slow receiver: nothing old on top of new, nothing removed comes back, and a second resync takes its place",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(
      "CREATE TABLE users (id int PRIMARY KEY, version int, pad text); INSERT INTO users SELECT n, 0, repeat('x', 500) FROM generate_series(1, 20000) n",
    );
    const door = gate();
    let held = false;
    await using receiver = await startReceiver({
      // Rows of the second backfill wait at the receiver, while changes of the same keys are committed.
      script: ({ rows }) =>
        held && rows.some(({ id }) => (id ?? "").includes("-read2-")) ? { ...OK, gate: door } : OK,
    });
    await using at = await projectOf(database, receiver, ", max_deletes: 100%");
    await once(at);
    await database.sql("DELETE FROM users WHERE id % 10 = 1");
    await loseSlot(database);
    held = true;
    expect((await command(at, "run", "--once")).stdout).toContain("source.gap");
    expect((await command(at, "resync", "users")).code).toBe(0);
    await using engine = start(at);
    await receiver.until(({ ledger }) => [...rowsOf(ledger.entries)].some(({ id }) => (id ?? "").includes("-read1-")));
    // C9: one more, while the first is at work.
    expect((await command(at, "resync", "users")).code).toBe(0);
    await receiver.until(({ ledger }) => [...rowsOf(ledger.entries)].some(({ id }) => (id ?? "").includes("-read2-")));
    await database.sql("UPDATE users SET version = 1 WHERE id % 10 = 2");
    await database.sql("DELETE FROM users WHERE id % 10 = 3");
    // Gone before, and not seen by the backfill perhaps: there again.
    await database.sql("INSERT INTO users SELECT n, 2, 'again' FROM generate_series(1, 20000) n WHERE n % 100 = 1");
    door.open();
    const differs = () => compare(receiver.ledger.entries, database, USERS);
    await engine.waitFor(/removing the records whose rows are gone/, 60_000);
    engine.kill();
    await engine.exit;
    await once(at);
    expect(await differs()).toMatchObject({ equal: true });
    expect(overlaps(receiver.ledger.entries)).toEqual([]);
  },
);

test("without an index of what was sent before, that is said; what is sent from then on is known", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 100)");
  await using receiver = await startReceiver();
  await using at = await projectOf(database, receiver);
  await once(at);
  const index = join(at.folder, ".tailrace", "state-sent.db");
  expect(statSync(index).mode & 0o777).toBe(0o600);
  await rm(index);
  await resyncAfterAGap(database, at, "DELETE FROM users WHERE id <= 10");
  const { stdout } = await command(at, "run", "--once");
  expect(stdout).toContain("there is no index yet");
  expect(acknowledged(receiver, "delete")).toHaveLength(0);
  await resyncAfterAGap(database, at, "DELETE FROM users WHERE id <= 20");
  await once(at);
  expect(keysOf(acknowledged(receiver, "delete"))).toEqual(Array.from({ length: 10 }, (_, n) => String(n + 11)));
});
