import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

// Another mapping of a query's rows, over the real command line: what it would send again is said, and asked about.

const WAYS = [
  { way: "compared inside the source", model: "capture: diff, diff_state: source" },
  { way: "compared here", model: "capture: diff, diff_state: local" },
  { way: "followed live", model: "window: 5ms" },
];

async function place(model: string) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  await database.sql(`
    CREATE TABLE users (id int PRIMARY KEY, name text, plan text);
    INSERT INTO users SELECT i, 'user ' || i, 'free' FROM generate_series(1, 40) i`);
  const receiver = stack.use(await startReceiver());
  const yaml = (sync: string) => `
sources: { db: { type: postgres, url: "${database.url}" } }
models:
  users: { source: db, key: id, ${model}, sql: "SELECT id, name, plan FROM users" }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  users: { model: users, destination: receiver, mode: mirror, max_deletes: 100%, ${sync} }
`;
  const at = stack.use(await testProject(yaml("map: { id: id, name: name }")));
  const disposables = stack.move();
  const cli = (...words: string[]) => runCli([...words, "-c", at.folder], { cwd: at.folder });
  return {
    database,
    receiver,
    cli,
    at,
    use: (sync: string) => at.configure(yaml(sync)),
    /** Rows that the receiver took in this run, which ended so. */
    run: async (code = 0): Promise<number> => {
      const before = receiver.counts.acknowledgedRows;
      const ended = await cli("run", "--once");
      expect(ended, ended.stdout + ended.stderr).toMatchObject({ code });
      return receiver.counts.acknowledgedRows - before;
    },
    resend: async (): Promise<unknown> => {
      const { stdout } = await cli("plan", "--json");
      return (JSON.parse(stdout) as { syncs: { resend: unknown }[] }).syncs[0]!.resend;
    },
    [Symbol.asyncDispose]: () => disposables.disposeAsync(),
  };
}

test.each(WAYS)(
  "a query $way asks before another mapping sends its rows again",
  { timeout: 180_000 },
  async ({ model }) => {
    await using here = await place(model);
    expect(await here.resend()).toBeNull();
    expect(await here.run()).toBe(40);
    await here.use("map: { name: name, id: id }");
    expect(await here.resend()).toBeNull();
    expect(await here.run()).toBe(0);

    await here.use('map: { id: id, name: name, plan: { template: "{{ plan }}!" } }');
    expect(await here.resend()).toMatchObject({ rows: 40, asks: true });
    expect((await here.cli("plan")).stdout).toContain("all 40 rows that were sent");
    expect(await here.run(1)).toBe(0);
    expect((await here.cli("status")).stdout).toContain("delivery.mapping_changed");
    // A resume that approves of nothing stops again.
    expect(await here.cli("resume", "users")).toMatchObject({ code: 0 });
    expect(await here.run(1)).toBe(0);

    // Put back: nothing is sent again, and what changed meanwhile is.
    await here.use("map: { id: id, name: name }");
    await here.database.sql("UPDATE users SET name = 'other' WHERE id = 1; DELETE FROM users WHERE id = 2");
    expect(await here.cli("resume", "users")).toMatchObject({ code: 0 });
    expect(await here.run()).toBe(2);

    await here.use('map: { id: id, name: name, plan: { template: "{{ plan }}!" } }');
    await here.database.sql("DELETE FROM users WHERE id = 3");
    expect(await here.run(1)).toBe(0);
    expect(await here.cli("resume", "users", "--approve-resend")).toMatchObject({ code: 0 });
    // A row that is gone since is removed, though it was sent by another mapping.
    expect(await here.run()).toBe(39);
    expect(await here.run()).toBe(0);
    expect(await here.resend()).toBeNull();
    const columns = {
      table: "(SELECT id, name, plan || '!' AS plan FROM users) AS u",
      key: ["id"],
      mapping: { id: "id", name: "name", plan: "plan" },
    };
    expect(await compare(here.receiver.ledger.entries, here.database, columns)).toMatchObject({ equal: true });
    // One approval is for one mapping.
    await here.use("map: { id: id }");
    expect(await here.run(1)).toBe(0);
    expect(await here.cli("resume", "users", "--approve-resend")).toMatchObject({ code: 0 });
    expect(await here.run()).toBe(38);
    expect(await here.cli("resume", "users", "--approve-resend")).toMatchObject({ code: 2 });
  },
);

test(
  "with `on_mapping_change: resend` nobody is asked, and a resend that is killed is done to its end",
  { timeout: 180_000 },
  async () => {
    await using here = await place("window: 5ms");
    expect(await here.run()).toBe(40);
    const sync = "on_mapping_change: resend, map: { id: id, plan: plan }, batch: { rows: 1 }";
    await here.use(sync);
    expect(await here.resend()).toMatchObject({ rows: 40, asks: false });
    await using killed = startCli(["run", "--once", "-c", here.at.folder], {
      cwd: here.at.folder,
      env: { TAILRACE_FAILPOINT: "answer-read:10" },
    });
    expect(await killed.exit).toMatchObject({ signal: "SIGKILL" });
    await here.run();
    const columns = { table: "users", key: ["id"], mapping: { id: "id", plan: "plan" } };
    expect(await compare(here.receiver.ledger.entries, here.database, columns)).toMatchObject({ equal: true });
  },
);
