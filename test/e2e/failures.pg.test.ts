import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { status } from "../support/receiver-script.ts";

const config = (database: TestDatabase, receiver: Receiver, more = "", mode = "upsert"): string => `
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { hook: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { users: { model: users, destination: hook, mode: ${mode} } }
${more}
`;

/** Refuses what holds one of the words, each with a reason of its own. */
const refusing =
  (...words: string[]) =>
  ({ body }: { readonly body: string }) => {
    const found = words.findIndex((word) => body.includes(word));
    return found === -1 ? status(200) : status(422, {}, `{"error":"Reason ${"AB"[found]}"}`);
  };

const TABLE = "CREATE TABLE users (id int PRIMARY KEY, plan text NOT NULL)";

function commandsIn(folder: string) {
  const tailrace = (...args: string[]) => runCli([...args, "-c", folder], { cwd: folder });
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { stdout, stderr } = await tailrace(...args, "--json");
    if (!stdout.startsWith("{")) throw new Error(`tailrace ${args.join(" ")} printed ${stdout}${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  return { tailrace, json };
}

test(
  "failures are chosen by what they have in common; what is done to them is agreed on first, and recorded",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(`${TABLE};
    INSERT INTO users SELECT i, CASE WHEN i <= 5 THEN 'gold' WHEN i <= 8 THEN 'tin' ELSE 'free' END FROM generate_series(1, 20) i`);
    await using receiver = await startReceiver({ script: refusing("gold", "tin") });
    await using at = await testProject(config(database, receiver));
    const { tailrace, json } = commandsIn(at.folder);
    expect((await tailrace("run", "--once")).code).toBe(0);
    // They have one reason, and different answers.
    expect(await json("failures", "list", "users")).toMatchObject({ total: 8, groups: [{ count: 8 }] });
    expect(await json("failures", "list", "users", "--message", "reason b")).toMatchObject({ total: 3 });
    expect(await json("failures", "list", "users", "--key", "7", "--op", "upsert", "--since", "1h")).toMatchObject({
      total: 1,
      failures: [{ key: ["7"], answer: '{"error":"Reason B"}' }],
    });
    expect(await json("failures", "list", "users", "--until", "1h")).toMatchObject({ total: 0 });

    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    const unasked = await tailrace("failures", "drop", "users", "--message", "reason b");
    expect(unasked).toMatchObject({ code: 2 });
    expect(unasked.stderr).toContain("--yes");
    expect(await json("failures", "list", "users")).toMatchObject({ total: 8 });
    const why = ["--why", "tin was given up"];
    expect(await json("failures", "drop", "users", "--message", "Reason B", "--yes", ...why)).toEqual({
      sync: "users",
      request: "drop",
      outcome: "taken",
      failures: 3,
    });
    const dropped = await json("failures", "list", "users", "--dropped");
    expect(dropped).toMatchObject({ total: 3 });
    const [record] = dropped["dropped"] as Record<string, string>[];
    expect(record).toMatchObject({ op: "upsert", why: "tin was given up", code: "destination.refused" });
    expect(record?.["dropped_by"]).toMatch(/^.+@.+$/);
    expect(Date.now() - Date.parse(record?.["dropped_at"] ?? "")).toBeLessThan(60_000);
    expect((await tailrace("failures", "list", "users", "--dropped")).stdout).toContain("tin was given up");
    expect(await tailrace("failures", "list", "users", "--dropped", "--key", "8")).toMatchObject({ code: 2 });

    // Refused again, they are listed again, once; accepted, they are gone.
    expect(await json("failures", "retry", "users", "--code", "destination.refused", "--yes")).toMatchObject({
      outcome: "taken",
      failures: 5,
    });
    await receiver.until(({ counts }) => counts.rows >= 25);
    receiver.script(() => status(200));
    await database.sql("INSERT INTO users VALUES (100, 'free')");
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 13);
    expect(await json("failures", "list", "users")).toMatchObject({ total: 5 });
    expect(await json("failures", "retry", "users", "--all", "--yes")).toMatchObject({ failures: 5 });
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 18);
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
    expect(await json("failures", "list", "users")).toMatchObject({ total: 0 });
    expect((await tailrace("failures", "retry", "users", "--all")).stdout).toBe("users has no such failures.");
  },
);

test("a retry of a row that has changed since cannot set it back", { timeout: 90_000 }, async () => {
  await using database = await testDatabase();
  await database.sql(`${TABLE}; INSERT INTO users VALUES (1, 'v1'), (2, 'v1')`);
  await using receiver = await startReceiver({ script: refusing("v1") });
  await using at = await testProject(config(database, receiver));
  const { tailrace, json } = commandsIn(at.folder);
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await receiver.until(({ counts }) => counts.rows >= 2);
  await database.sql("UPDATE users SET plan = 'v2' WHERE id = 1; DELETE FROM users WHERE id = 2");
  await receiver.until(({ counts }) => counts.acknowledgedRows >= 1);
  receiver.script(() => status(200));
  expect(await json("failures", "list", "users")).toMatchObject({ total: 2 });
  expect((await tailrace("failures", "retry", "users", "--all", "--yes")).code).toBe(0);
  await receiver.until(({ counts }) => counts.acknowledgedRows >= 2);
  engine.kill("SIGTERM");
  await engine.exit;
  const sent = receiver.requests().slice(2);
  expect(sent.map(({ body }) => body)).toEqual([expect.stringContaining('"v2"'), expect.stringContaining('"v2"')]);
  // In this mode a delete is not sent: there is nothing of the row to send any more.
  expect(await json("failures", "list", "users")).toMatchObject({ total: 0 });
});

test("a sync with as many failures as it may have stops, and loses none", { timeout: 90_000 }, async () => {
  await using database = await testDatabase();
  await database.sql(`${TABLE}; INSERT INTO users SELECT i, 'gold' FROM generate_series(1, 60) i`);
  await using receiver = await startReceiver({ script: refusing("gold") });
  const more = "failures: { most: 5 }";
  await using at = await testProject(
    config(database, receiver, more).replace("allow_private", "concurrency: 2, allow_private"),
  );
  const { tailrace, json } = commandsIn(at.folder);
  const stopped = await tailrace("run", "--once");
  expect(stopped.code).toBe(1);
  expect(stopped.stdout).toContain("delivery.too_many_failures");
  const listed = Number((await json("failures", "list", "users"))["total"]);
  // What was on its way when it stopped is kept, too.
  expect(listed).toBeGreaterThanOrEqual(5);
  expect(listed).toBeLessThanOrEqual(7);
  receiver.script(() => status(200));
  await tailrace("resume", "users");
  await tailrace("failures", "retry", "users", "--all", "--yes");
  expect((await tailrace("run", "--once")).code).toBe(0);
  expect(await json("failures", "list", "users")).toMatchObject({ total: 0 });
  expect(
    new Set(
      receiver.ledger.entries.flatMap((entry) =>
        entry.kind === "request" && entry.status === 200 ? entry.rows.map(({ key }) => key) : [],
      ),
    ).size,
  ).toBe(60);
});

test(
  "a failure that gets older than it is kept is dropped by the rule, which is told",
  { timeout: 90_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(`${TABLE}; INSERT INTO users SELECT i, 'gold' FROM generate_series(1, 3) i`);
    await using receiver = await startReceiver({ script: refusing("gold") });
    await using at = await testProject(config(database, receiver, "failures: { keep: 1h }"));
    const { tailrace, json } = commandsIn(at.folder);
    await tailrace("run", "--once");
    await tailrace("run", "--once");
    expect(await json("failures", "list", "users")).toMatchObject({ total: 3 });
    await at.configure(config(database, receiver, "failures: { keep: 1ms }"));
    const run = await tailrace("run", "--once");
    expect(run.stdout).toMatch(/"failures":3,"msg":"failures older than/);
    expect(await json("failures", "list", "users")).toMatchObject({ total: 0 });
    expect(await json("failures", "list", "users", "--dropped")).toMatchObject({
      total: 3,
      dropped: [{ dropped_by: "failures.keep" }, {}, {}],
    });
    await tailrace("run", "--once");
    expect((await tailrace("failures", "list", "users", "--dropped")).stdout).toContain(
      "The records of the 3 before are not kept any more",
    );
  },
);
