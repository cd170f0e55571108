import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

// Another mapping of a query's rows, over the real command line: what it would send again is said, and asked about.

/** Compared inside the source, compared here, and followed live: a sync each, of the same rows. */
const WAYS: Readonly<Record<string, string>> = {
  there: "capture: diff, diff_state: source",
  here: "capture: diff, diff_state: local",
  live: "window: 5ms",
};

async function place(ways: Readonly<Record<string, string>>, sql = "SELECT id, name, plan FROM users") {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  await database.sql(`
    CREATE TABLE users (id int PRIMARY KEY, name text, plan text);
    INSERT INTO users SELECT i, 'user ' || i, 'free' FROM generate_series(1, 40) i`);
  const names = Object.keys(ways);
  const receivers = new Map<string, Receiver>();
  for (const name of names) receivers.set(name, stack.use(await startReceiver()));
  const yaml = (sync: string): string => `
sources: { db: { type: postgres, url: "${database.url}" } }
models:
${names.map((name) => `  ${name}: { source: db, key: id, ${ways[name]}, sql: "${sql}" }`).join("\n")}
destinations:
${names.map((name) => `  ${name}: { type: webhook, url: "${receivers.get(name)!.url}", allow_private: true }`).join("\n")}
syncs:
${names.map((name) => `  ${name}: { model: ${name}, destination: ${name}, mode: mirror, max_deletes: 100%, ${sync} }`).join("\n")}
`;
  const at = stack.use(await testProject(yaml("map: { id: id, name: name }")));
  const disposables = stack.move();
  const cli = (...words: string[]) => runCli([...words, "-c", at.folder], { cwd: at.folder });
  const taken = (): number[] => names.map((name) => receivers.get(name)!.counts.acknowledgedRows);
  const all = <T>(value: T): T[] => names.map(() => value);
  return {
    database,
    receivers,
    cli,
    at,
    use: (sync: string) => at.configure(yaml(sync)),
    /** A run of all syncs ends so, and each receiver has taken so many rows. */
    runs: async (rows: number, code = 0): Promise<void> => {
      const before = taken();
      const ended = await cli("run", "--once");
      expect(ended, ended.stdout + ended.stderr).toMatchObject({ code });
      expect(taken().map((now, place) => now - before[place]!)).toEqual(all(rows));
    },
    plans: async (resend: object | null): Promise<void> => {
      const { stdout } = await cli("plan", "--json");
      const { syncs } = JSON.parse(stdout) as { syncs: { resend: unknown }[] };
      expect(syncs.map((sync) => sync.resend)).toEqual(all(resend === null ? null : expect.objectContaining(resend)));
    },
    resume: async (...approvals: string[]): Promise<void> => {
      for (const name of names) expect(await cli("resume", name, ...approvals)).toMatchObject({ code: 0 });
    },
    equal: async (table: string, mapping: Readonly<Record<string, string>>): Promise<void> => {
      for (const { ledger } of receivers.values())
        expect(await compare(ledger.entries, database, { table, key: ["id"], mapping })).toMatchObject({ equal: true });
    },
    [Symbol.asyncDispose]: () => disposables.disposeAsync(),
  };
}

test("another mapping of a query asks before it sends the rows again", { timeout: 180_000 }, async () => {
  await using here = await place(WAYS);
  const marked = 'map: { id: id, name: name, plan: { template: "{{ plan }}!" } }';
  await here.plans(null);
  await here.runs(40);

  await here.use(marked);
  await here.plans({ rows: 40, asks: true });
  expect((await here.cli("plan")).stdout).toContain("all 40 rows that were sent");
  await here.runs(0, 1);
  expect((await here.cli("status")).stdout).toContain("delivery.mapping_changed");
  // A resume that approves of nothing stops again.
  await here.resume();
  await here.runs(0, 1);

  // Put back, in another order: nothing is sent again, and what changed meanwhile is.
  await here.use("map: { name: name, id: id }");
  await here.plans(null);
  await here.database.sql("UPDATE users SET name = 'other' WHERE id = 1; DELETE FROM users WHERE id = 2");
  await here.resume();
  await here.runs(2);

  await here.use(marked);
  await here.database.sql("DELETE FROM users WHERE id = 3");
  await here.runs(0, 1);
  await here.resume("--approve-resend");
  // A row that is gone since is removed, though it was sent by another mapping.
  await here.runs(39);
  await here.runs(0);
  await here.equal("(SELECT id, name, plan || '!' AS plan FROM users) AS u", { id: "id", name: "name", plan: "plan" });

  // One approval is for one mapping.
  await here.use("map: { id: id }");
  await here.runs(0, 1);
  await here.resume("--approve-resend");
  await here.runs(38);
  expect(await here.cli("resume", "live", "--approve-resend")).toMatchObject({ code: 2 });
});

const LIVE = { live: WAYS["live"]! };

test(
  "with `on_mapping_change: resend` nobody is asked, and a resend that is killed is done to its end",
  { timeout: 180_000 },
  async () => {
    await using here = await place(LIVE);
    await here.runs(40);
    await here.use("on_mapping_change: resend, map: { id: id, plan: plan }, batch: { rows: 1 }");
    await here.plans({ rows: 40, asks: false });
    await using killed = startCli(["run", "--once", "-c", here.at.folder], {
      cwd: here.at.folder,
      env: { TAILRACE_FAILPOINT: "answer-read:10" },
    });
    expect(await killed.exit).toMatchObject({ signal: "SIGKILL" });
    expect(await here.cli("run", "--once")).toMatchObject({ code: 0 });
    await here.equal("users", { id: "id", plan: "plan" });
  },
);

test.each([
  { answer: "ask", more: "" },
  { answer: "resend", more: "on_mapping_change: resend, " },
])(
  "a column that is added while a query runs is another mapping: $answer",
  { timeout: 180_000 },
  async ({ answer, more }) => {
    await using here = await place(LIVE, "SELECT * FROM users");
    await here.use(`${more}attempts: 12`);
    await here.runs(40);
    const receiver = here.receivers.get("live")!;
    await using running = startCli(["run", "-c", here.at.folder], { cwd: here.at.folder });
    await here.database.sql("UPDATE users SET name = 'before' WHERE id = 1");
    await receiver.until(({ counts }) => counts.acknowledgedRows === 41);
    await here.database.sql("ALTER TABLE users ADD COLUMN seats int DEFAULT 3");
    await here.database.sql("UPDATE users SET name = 'after' WHERE id = 2");
    if (answer === "ask") {
      await running.waitFor(/delivery\.mapping_changed/);
      expect(receiver.counts.acknowledgedRows).toBe(41);
      await here.resume("--approve-resend");
    }
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 81);
    running.kill("SIGTERM");
    await running.exit;
    await here.equal("users", { id: "id", name: "name", plan: "plan", seats: "seats" });
    await here.runs(0);
  },
);

test("an approval holds where the destination keeps the progress itself", { timeout: 180_000 }, async () => {
  await using database = await testDatabase();
  await using target = await testDatabase();
  await database.sql(`
    CREATE TABLE users (id int PRIMARY KEY, name text, plan text);
    INSERT INTO users SELECT i, 'user ' || i, 'free' FROM generate_series(1, 40) i`);
  await target.sql("CREATE TABLE users (id int PRIMARY KEY, name text)");
  const yaml = (name: string): string => `
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, key: id, sql: "SELECT id, name, plan FROM users", window: 5ms } }
destinations: { target: { type: postgres, url: "${target.url}" } }
syncs: { users: { model: users, destination: target, object: users, mode: mirror, map: { id: id, name: ${name} } } }
`;
  await using at = await testProject(yaml("name"));
  const cli = (...words: string[]) => runCli([...words, "-c", at.folder], { cwd: at.folder });
  const run = async (code: number): Promise<void> => {
    const ended = await cli("run", "--once");
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code });
  };
  const plans = () => target.rows("SELECT count(*)::text AS n FROM users WHERE name = 'free'");
  await run(0);
  await at.configure(yaml("plan"));
  await run(1);
  expect(await plans()).toEqual([{ n: "0" }]);
  expect(await cli("resume", "users", "--approve-resend")).toMatchObject({ code: 0 });
  await run(0);
  expect(await plans()).toEqual([{ n: "40" }]);
});
