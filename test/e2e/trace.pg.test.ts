import { appendFile, chmod, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";
import { status } from "../support/receiver-script.ts";

interface Traced {
  readonly history: string;
  readonly since: string | null;
  readonly events: readonly (Record<string, unknown> & { readonly what: string })[];
  readonly failures: readonly Record<string, unknown>[];
}

const TABLE = 'CREATE TABLE users (id bigint PRIMARY KEY, plan text, "firstName" text)';

test(
  "a row's story: captured, sent, not taken, delivered, rejected, with old and new values",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(`${TABLE}; ALTER TABLE users REPLICA IDENTITY FULL;
    INSERT INTO users VALUES (9007199254740993, 'free', 'Ann'), (2, 'internal', 'Bob')`);
    await using receiver = await startReceiver();
    const config = (history: string): string => `
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { hook: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs:
  users:
    model: users
    destination: hook
    mode: mirror
    where: plan != 'internal'
    map: { id: id, tariff: plan, name: firstName }
${history}
`;
    await using at = await testProject(config(""));
    const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
    const trace = async (key: string): Promise<Traced> => {
      const { stdout, stderr } = await tailrace("trace", "users", key, "--json");
      if (!stdout.startsWith("{")) throw new Error(stdout + stderr);
      return JSON.parse(stdout) as Traced;
    };
    expect(await trace("2")).toMatchObject({ history: "on", since: null, events: [] });
    // The receiver has answered before the engine has read that: only then does the next step have its place in the story.
    const told = (what: string) =>
      expect.poll(async () => (await trace("9007199254740993")).events.at(-1)?.what, { timeout: 30_000 }).toBe(what);

    const engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    try {
      await receiver.until(({ counts }) => counts.acknowledgedRows >= 1);
      await told("delivered");
      // Refused for now, then taken.
      const answers = [status(503), status(200)];
      receiver.script(() => answers.shift() ?? status(200));
      await database.sql("UPDATE users SET plan = 'gold' WHERE id = 9007199254740993");
      await receiver.until(({ counts }) => counts.acknowledgedRows >= 2);
      await told("delivered");
      // Not for the sync.
      await database.sql(`UPDATE users SET "firstName" = 'Bill' WHERE id = 2`);
      // Refused for good.
      receiver.script(() => status(422, {}, '{"error":"no such tariff"}'));
      await database.sql("UPDATE users SET plan = 'lead' WHERE id = 9007199254740993");
      await told("rejected");
      // Its key changes.
      receiver.script(() => status(200));
      await database.sql("UPDATE users SET id = 7, plan = 'tin' WHERE id = 9007199254740993");
      await receiver.until(({ counts }) => counts.acknowledgedRows >= 4);
    } finally {
      engine.kill("SIGTERM");
      expect(await engine.exit).toEqual({ code: 0, signal: null });
    }

    const story = await trace("9007199254740993");
    expect(story.events.map(({ what }) => what).join(" ")).toBe(
      "read sent delivered captured sent failed sent delivered captured sent rejected captured sent delivered",
    );
    const [read, first, , captured, again, failed, second] = story.events;
    expect(read).toMatchObject({ by: "backfill", new: { id: "9007199254740993", plan: "free", firstName: "Ann" } });
    // Digits are those that were sent.
    expect(first).toMatchObject({
      op: "upsert",
      attempt: 1,
      record: '{"id":9007199254740993,"tariff":"free","name":"Ann"}',
    });
    expect(captured).toMatchObject({
      op: "update",
      old: { plan: "free" },
      new: { plan: "gold", firstName: "Ann" },
      unsent: null,
    });
    expect(failed).toMatchObject({ code: "destination.unavailable" });
    expect(again).toMatchObject({ attempt: 1 });
    expect(second).toMatchObject({ attempt: 2, id: again?.["id"] });
    expect(story.events.find(({ what }) => what === "rejected")).toMatchObject({
      code: "destination.refused",
      answer: '{"error":"no such tariff"}',
    });
    expect(story.failures).toMatchObject([{ code: "destination.refused" }]);
    const text = (await tailrace("trace", "users", "9007199254740993")).stdout;
    expect(text).toMatch(/not taken +.*destination\.unavailable/);
    expect(text).toContain("a failure waits to be retried or dropped");
    // Both keys have the change that led from one to the other.
    const renamed = await trace("7");
    expect(renamed.events.map(({ what }) => what)).toEqual(["captured", "sent", "delivered"]);
    expect(renamed.events[0]).toMatchObject({ key: ["7"], was: ["9007199254740993"] });
    expect((await trace("2")).events).toMatchObject([{ what: "captured", unsent: "where" }]);
    expect((await tailrace("trace", "users", "3")).stdout).toContain("Nothing is known of such a row since");

    // Values are in it, and nobody else may read it; a crash may leave half a line.
    const folder = join(at.folder, ".tailrace", "history");
    const [name, ...more] = await readdir(folder);
    expect(more).toEqual([]);
    expect((await stat(join(folder, name!))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    await appendFile(join(folder, name!), '{"at":17000,"sync":"users","key":["7"],"what":"capt');
    expect((await trace("7")).events).toHaveLength(3);

    // Turned off, nothing is written, and it is said.
    const before = await readFile(join(folder, name!), "utf8");
    await at.configure(config("history: off"));
    await database.sql("UPDATE users SET plan = 'iron' WHERE id = 7");
    expect((await tailrace("run", "--once")).code).toBe(0);
    expect(await trace("7")).toMatchObject({ history: "off", events: [] });
    expect(await readFile(join(folder, name!), "utf8")).toBe(before);
    expect(await readdir(folder)).toEqual([name]);

    // Where it cannot be written, that is said once, and delivery goes on.
    await at.configure(config("history: { path: tailrace.yml }"));
    await database.sql("UPDATE users SET plan = 'zinc' WHERE id = 7");
    const run = await tailrace("run", "--once");
    expect(run.code).toBe(0);
    expect(run.stdout.match(/history for `tailrace trace` could not be written/g)).toHaveLength(1);
    expect(receiver.requests().at(-1)?.body).toContain("zinc");
    await chmod(folder, 0o700);
  },
);

test(
  "rows that come faster than they are kept are counted, and the files stay within their bound",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(`${TABLE}; INSERT INTO users SELECT i, repeat('x', 300), 'n' FROM generate_series(1, 60000) i`);
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { nothing: { type: "null" } }
syncs: { users: { model: users, destination: nothing } }
history: { bytes: 1MB, path: kept }
`);
    const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
    expect((await tailrace("run", "--once")).code).toBe(0);
    const folder = join(at.folder, "kept");
    const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1_100_000);
    const events = (
      await Promise.all((await readdir(folder)).toSorted().map((name) => readFile(join(folder, name), "utf8")))
    )
      .join("")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { what: string; rows: number });
    const left = events.filter(({ what }) => what === "gap").reduce((sum, { rows }) => sum + rows, 0);
    // Of those, the ones that are told of in files that were removed for others are not counted any more.
    expect(left).toBeGreaterThan(0);
    expect((await tailrace("trace", "users", "59999")).stdout).toMatch(
      /not kept +since .* came faster than they are kept here/,
    );
  },
);
