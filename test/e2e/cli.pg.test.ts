import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { testDatabase, type TestDatabase } from "../support/postgres.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { OK, status } from "../support/receiver-script.ts";

// One story, told through the executable: each test goes on where the one before ended.

let database: TestDatabase;
let receiver: Receiver;
let folder: string;

beforeAll(async () => {
  database = await testDatabase();
  await database.sql(`
    CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, plan text NOT NULL);
    INSERT INTO users SELECT n, 'user' || n || '@example.com', 'free' FROM generate_series(1, 20) n;
    INSERT INTO users VALUES (100, 'refused@example.com', 'gold'), (101, 'refused@example.org', 'gold');
    CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL);
    ANALYZE`);
  receiver = await startReceiver({
    script: ({ body }) => (body.includes("refused@") ? status(422, {}, '{"error":"no such address"}') : OK),
  });
  folder = await mkdtemp(join(tmpdir(), "tailrace-cli-"));
});

afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

// Compiled once for all of the commands that follow.
const options = () => ({ cwd: folder, env: { NODE_COMPILE_CACHE: join(folder, "compiled") } });
const cli = (...args: string[]) => runCli(args, options());

interface Json {
  readonly code: number | null;
  readonly value: Record<string, unknown>;
}

async function jsonOf(...args: string[]): Promise<Json> {
  const { code, stdout, stderr } = await cli(...args, "--json");
  try {
    return { code, value: JSON.parse(stdout) as Record<string, unknown> };
  } catch {
    throw new Error(`tailrace ${args.join(" ")} (${code}) printed ${stdout}\n${stderr}`);
  }
}

async function configure(change: (text: string) => string): Promise<void> {
  const path = join(folder, "tailrace.yml");
  const before = await readFile(path, "utf8");
  const after = change(before);
  expect(after).not.toBe(before);
  await writeFile(path, after);
}

const slotNames = async (): Promise<unknown[]> =>
  (
    await database.rows("SELECT slot_name::text AS name FROM pg_replication_slots WHERE database = current_database()")
  ).map(({ name }) => name);

test("init writes a project that loads, and never writes over one", async () => {
  const written = await cli("init");
  expect(written.code, written.stderr).toBe(0);
  expect(written.stdout).toMatch(/tailrace\.yml +written[\s\S]*\.gitignore +written[\s\S]*tailrace check/);
  await writeFile(join(folder, ".env"), `SHOP_URL=${database.url}\nHOOK_URL=${receiver.url}/in\n`);
  await configure(
    (text) =>
      // A slot's name is the server's, which other tests share.
      `${text
        .replace("name: starter", `name: ${database.name}`)
        .replace("\nmodels:\n", "\nmodels:\n  orders: { source: shop, table: public.orders }\n")}
  orders_paid:
    model: orders
    destination: hook
    mode: event
    where: status = 'paid'
`,
  );
  const before = await readFile(join(folder, "tailrace.yml"), "utf8");
  const again = await cli("init");
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("nothing was written");
  expect(await readFile(join(folder, "tailrace.yml"), "utf8")).toBe(before);
});

test("check finds what is missing on either side; its fixes fix it", async () => {
  const [first, text] = await Promise.all([jsonOf("check"), cli("check")]);
  expect(first).toMatchObject({ code: 1, value: { ok: false } });
  const findings = first.value["findings"] as { code: string; level: string; fix?: string; about: { kind: string } }[];
  const identity = findings.find(({ code }) => code === "postgres.replica_identity_old");
  expect(identity).toMatchObject({ level: "error", about: { kind: "source", name: "shop" } });
  expect(findings.find(({ code }) => code === "webhook.blocked_address")).toMatchObject({
    level: "error",
    about: { kind: "destination", name: "hook" },
  });
  // What the sync itself cannot have is said under its own name.
  expect(findings.find(({ about }) => about.kind === "sync")).toMatchObject({ about: { name: "orders_paid" } });
  expect(text.stdout).toMatch(/^source shop +postgres$/m);
  expect(text.stdout).toContain(`fix: ${identity?.fix}`);
  expect(text.stdout).toMatch(/^sync users_to_hook .*ok$/m);
  // Only what the named sync uses is looked at and counts.
  const [, users] = await Promise.all([
    database.sql(identity!.fix!),
    configure((yaml) => yaml.replace("    rate:", "    allow_private: true\n    rate:")).then(() =>
      jsonOf("check", "users_to_hook"),
    ),
  ]);
  expect(users).toMatchObject({ code: 0, value: { ok: true } });
  expect(await jsonOf("check")).toMatchObject({ code: 0, value: { ok: true } });
});

test("plan says what a run would do, and does none of it", async () => {
  const [{ code, value }, text] = await Promise.all([jsonOf("plan"), cli("plan", "users_to_hook")]);
  expect(code).toBe(0);
  expect(value["sources"]).toMatchObject([
    { source: "shop", statements: [/^CREATE PUBLICATION/, /pg_create_logical_replication_slot/].map(matching) },
  ]);
  expect(value["syncs"]).toMatchObject([
    {
      sync: "users_to_hook",
      standing: "never ran",
      backfill: { estimate: 22, done: 0 },
      fields: [
        { field: "id", from: "id", type: "bigint", match: true },
        { field: "email", match: false },
        { field: "plan", match: false },
      ],
    },
    { sync: "orders_paid", standing: "never ran", backfill: null, where: "status = 'paid'" },
  ]);
  expect(text.stdout).toMatch(/stands +never ran\n +rows +about 22 that exist/);
  expect(await slotNames()).toEqual([]);
  expect(await database.rows("SELECT FROM pg_publication")).toEqual([]);
  expect(existsSync(join(folder, ".tailrace"))).toBe(false);
  expect(receiver.counts.requests).toBe(0);
});

const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);

test("run --once delivers; status tells that nobody runs it, plan that it goes on", async () => {
  expect((await cli("status")).stdout).toMatch(/^users_to_hook +not running .* 0 +0 +never ran$/m);
  const run = await cli("run", "--once");
  expect(run.code, run.stdout).toBe(0);
  const [{ code, value }, plan] = await Promise.all([jsonOf("status"), jsonOf("plan")]);
  expect(code).toBe(1);
  expect(value).toMatchObject({
    ok: false,
    syncs: [
      { sync: "users_to_hook", phase: "not running", delivered: 20, failures: 2, lag_ms: null },
      { sync: "orders_paid", phase: "not running", delivered: 0, failures: 0 },
    ],
  });
  expect(plan.value).toMatchObject({
    sources: [{ statements: [] }],
    syncs: [{ standing: "streaming", backfill: null }, { standing: "streaming" }],
  });
});

test("failures are listed, shown without values, and dropped by the next run", async () => {
  const { value } = await jsonOf("failures", "list", "users_to_hook", "--limit", "1");
  expect(value).toMatchObject({ total: 2, groups: [{ code: "destination.refused", count: 2 }] });
  const [first] = value["failures"] as { id: string; key: string[] }[];
  const [shown, unknown] = await Promise.all([
    cli("failures", "show", "users_to_hook", first!.id),
    cli("failures", "drop", "users_to_hook", "no-such-id"),
  ]);
  expect(shown.stdout).toMatch(new RegExp(`^  key +${first!.key[0]}$`, "m"));
  expect(shown.stdout).toContain('answer    {"error":"no such address"}');
  expect(`${shown.stdout}${JSON.stringify(value)}`).not.toContain("refused@");
  expect(unknown).toMatchObject({ code: 2, stderr: "users_to_hook has no failure no-such-id." });
  expect((await cli("failures", "drop", "users_to_hook", first!.id)).stdout).toContain("the next run drops 1 failure");
  expect((await cli("run", "--once")).code).toBe(0);
  expect((await jsonOf("failures", "list", "users_to_hook")).value).toMatchObject({ total: 1 });
  // One that was mended meanwhile is sent as it is now.
  await database.sql("UPDATE users SET email = 'mended@example.com' WHERE id >= 100");
  await cli("failures", "retry", "users_to_hook", "--all", "--yes");
  expect((await cli("run", "--once")).code).toBe(0);
  expect((await cli("failures", "list", "users_to_hook")).stdout).toBe("users_to_hook has no failures.");
});

test("slots lists what is held, and prunes only what is left over", async () => {
  const orphan = `tailrace_left_${database.name}`;
  await database.sql(`SELECT pg_create_logical_replication_slot('${orphan}', 'pgoutput')`);
  const ours = `tailrace_${database.name}_shop`;
  const [{ stdout: listed }, unasked] = await Promise.all([cli("slots"), cli("slots", "prune", "--orphans")]);
  expect(listed).toMatch(new RegExp(`^${ours} +replication slot +no +[0-9.]+ [kM]?B +by this project`, "m"));
  expect(listed).toMatch(new RegExp(`^${orphan} .*not by this project`, "m"));
  expect(unasked).toMatchObject({ code: 2 });
  expect(unasked.stderr).toContain("--yes");
  expect(new Set(await slotNames())).toEqual(new Set([orphan, ours]));
  const pruned = await jsonOf("slots", "prune", "--orphans", "--yes");
  expect(pruned).toEqual({ code: 0, value: { released: [{ source: "shop", name: orphan, problem: null }] } });
  expect(await slotNames()).toEqual([ours]);
});

test("pause, resume and resync are obeyed by the process that runs the sync, and by the next run", async () => {
  expect((await cli("pause", "users_to_hook")).stdout).toContain("nobody runs it now");
  const bounded = receiver.counts.acknowledgedRows;
  await database.sql("INSERT INTO users VALUES (200, 'while-paused@example.com', 'free')");
  expect((await cli("run", "--once")).code).toBe(0);
  expect(receiver.counts.acknowledgedRows).toBe(bounded);
  expect((await jsonOf("plan", "users_to_hook")).value).toMatchObject({
    sources: [{ statements: [] }],
    syncs: [{ standing: "paused" }],
  });
  expect((await jsonOf("resume", "users_to_hook")).value).toMatchObject({ outcome: "next run" });
  expect((await cli("run", "--once")).code).toBe(0);
  expect(receiver.counts.acknowledgedRows).toBe(bounded + 1);

  await using engine = startCli(["run"], options());
  await using watching = startCli(["status", "--watch"], options());
  await watching.waitFor((line) => line.includes('"phase":"streaming"'));
  expect((await jsonOf("pause", "users_to_hook")).value).toMatchObject({ request: "pause", outcome: "taken" });
  await watching.waitFor((line) => line.includes('"phase":"paused"'));
  expect((await cli("resume", "users_to_hook")).stdout).toBe("users_to_hook: goes on.");
  expect((await jsonOf("resync", "users_to_hook")).value).toMatchObject({ outcome: "taken" });
  await receiver.until(({ counts }) => counts.acknowledgedRows >= bounded + 1 + 23);
  // A health check is well while the syncs run.
  await watching.waitFor((line) => line.includes('"ok":true'));
  watching.kill("SIGINT");
  expect(await watching.exit).toMatchObject({ code: 0 });
  engine.kill("SIGTERM");
  expect(await engine.exit).toMatchObject({ code: 0 });
});

test("plan tells that a place in the log is gone before a run does", async () => {
  await database.sql(
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
  );
  const { code, value } = await jsonOf("plan", "orders_paid");
  expect(code).toBe(1);
  expect(value).toMatchObject({
    ok: false,
    sources: [{ statements: [matching(/pg_create_logical_replication_slot/)], problem: null }],
    syncs: [{ sync: "orders_paid", standing: "streaming", problem: matching(/source\.gap\.slot_missing/) }],
  });
});

test("explain says how and why; a name that is not there gets the one that was meant", async () => {
  const [{ stdout }, { code, stderr }, schema, shown] = await Promise.all([
    cli("explain", "orders_paid"),
    cli("explain", "order_paid"),
    cli("schema"),
    cli("destinations", "show", "webhook"),
  ]);
  expect(stdout).toMatch(/^ {2}capture +log$/m);
  expect(stdout).toContain("START_REPLICATION SLOT");
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean `orders_paid`?") });
  expect(JSON.parse(schema.stdout)).toMatchObject({ title: "Tailrace configuration" });
  expect(shown.stdout).toMatch(/^ {2}url +a text, required, secret$/m);
});
