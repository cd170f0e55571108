import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { status } from "../support/receiver-script.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

interface Told {
  readonly type: string;
  readonly data: {
    readonly sync: string;
    readonly event: string;
    readonly state: string;
    readonly reason: string | null;
  };
}

function told(hook: Receiver): Told[] {
  return hook.requests().flatMap(({ body }) => (body === null ? [] : [JSON.parse(body) as Told]));
}

/** `waiting began`, …: each alert in short. */
function inShort(hook: Receiver): string[] {
  return told(hook).map(({ data }) => `${data.event} ${data.state}`);
}

const has = (alert: string) => (hook: Receiver) => inShort(hook).includes(alert);

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;

test.concurrent(
  "a destination that is down is told once, and once that it is back; so is a pause",
  { timeout: 180_000 },
  async ({ expect }) => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE users (id int PRIMARY KEY, name text)");
    await using receiver = await startReceiver();
    await using hook = await startReceiver();
    await using slack = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
  fine: { type: "null" }
syncs:
  users: { model: users, destination: receiver, max_lag: 1s, max_wait: 2s }
  others: { model: users, destination: fine, max_lag: 10s }
alerts:
  all: { type: webhook, url: "${hook.url}/alerts", secret: "${SECRET}", allow_private: true }
  pauses: { type: slack, url: "${slack.url}/T0/B0", events: [paused], allow_private: true }
  program: { type: command, command: [./tell.sh], syncs: [users], events: [waiting, paused] }
`);
    await writeFile(
      join(at.folder, "tell.sh"),
      '#!/bin/sh\necho "$TAILRACE_ALERT_SYNC $TAILRACE_ALERT_EVENT $TAILRACE_ALERT_STATE" >> told\n',
      { mode: 0o755 },
    );
    const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
    const health = async () => {
      const { code, stdout } = await tailrace("status", "--json");
      const { syncs } = JSON.parse(stdout) as { syncs: { sync: string; signals: object }[] };
      return { code, users: syncs.find(({ sync }) => sync === "users")!.signals };
    };

    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await database.sql("INSERT INTO users VALUES (1, 'canary-row')");
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 1);

    await receiver.down();
    await database.sql("INSERT INTO users VALUES (2, 'canary-row')");
    await hook.until(has("waiting began"));
    await hook.until(has("behind began"));
    expect(told(hook).find(({ type }) => type === "sync.waiting")!.data).toMatchObject({
      sync: "users",
      reason: expect.stringContaining("(destination.unreachable)"),
    });
    expect(await health()).toEqual({ code: 1, users: { process: true, stream: true, progress: false } });

    await receiver.up();
    await hook.until(has("waiting over"), 90_000);
    await hook.until(has("behind over"));
    expect(await health()).toEqual({ code: 0, users: { process: true, stream: true, progress: true } });

    expect((await tailrace("pause", "users")).code).toBe(0);
    await hook.until(has("paused began"));
    expect(await health()).toEqual({ code: 0, users: { process: true, stream: null, progress: null } });
    expect((await tailrace("resume", "users")).code).toBe(0);
    await hook.until(has("paused over"));
    await slack.until(({ counts }) => counts.requests === 2);
    await expect
      .poll(() => readFile(join(at.folder, "told"), "utf8"))
      .toBe("users waiting began\nusers waiting over\nusers paused began\nusers paused over\n");

    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
    expect(await health()).toEqual({ code: 1, users: { process: false, stream: null, progress: null } });
    // Once each, of one sync only.
    expect(inShort(hook).toSorted()).toEqual(
      ["behind", "paused", "waiting"].flatMap((event) => [`${event} began`, `${event} over`]),
    );
    expect(new Set(told(hook).map(({ data }) => data.sync))).toEqual(new Set(["users"]));
    for (const { body, headers } of hook.requests()) new Webhook(SECRET).verify(body!, { ...headers });
    const printed = [...engine.stdout, ...engine.stderr].join("\n");
    const received = [...hook.requests(), ...slack.requests()].map(({ body, headers }) =>
      JSON.stringify({ body, headers }),
    );
    for (const text of [...received, printed]) {
      expect(text).not.toContain("canary-row");
      expect(text).not.toContain(SECRET);
    }
    expect(printed).not.toContain("T0/B0");
  },
);

test.concurrent("`alerts test` says which hook is reached; `check` says what is wrong without telling it anything", async () => {
  await using fine = await startReceiver();
  await using broken = await startReceiver({ script: () => status(500) });
  await using at = await testProject(`
sources: { db: { type: postgres, url: "postgres://nobody@127.0.0.1:1/none" } }
models: { users: { source: db, table: public.users } }
destinations: { fine: { type: "null" } }
syncs: { users: { model: users, destination: fine } }
alerts:
  fine: { type: webhook, url: "${fine.url}", allow_private: true }
  broken: { type: slack, url: "${broken.url}/T0/B0", allow_private: true }
  private: { type: slack, url: "${fine.url}" }
  program: { type: command, command: [./none.sh] }
`);
  const trial = await runCli(["alerts", "test", "--json", "-c", at.folder], { cwd: at.folder });
  expect(trial.code).toBe(1);
  expect(JSON.parse(trial.stdout)).toEqual({
    ok: false,
    alerts: [
      { alert: "fine", type: "webhook", problem: null },
      { alert: "broken", type: "slack", problem: `${broken.url} answered 500` },
      { alert: "private", type: "slack", problem: expect.stringContaining("private") },
      { alert: "program", type: "command", problem: "the command cannot be run (ENOENT)" },
    ],
  });
  expect(JSON.parse(fine.requests()[0]!.body!)).toMatchObject({ type: "test" });
  const one = await runCli(["alerts", "test", "fine", "-c", at.folder], { cwd: at.folder });
  expect(one).toMatchObject({ code: 0, stdout: expect.stringMatching(/^fine +webhook +arrived$/m) });
  expect((await runCli(["alerts", "test", "fin", "-c", at.folder], { cwd: at.folder })).stderr).toContain("`fine`");

  const sent = fine.counts.requests + broken.counts.requests;
  const { stdout } = await runCli(["check", "--json", "-c", at.folder], { cwd: at.folder });
  const { findings } = JSON.parse(stdout) as { findings: { code: string; about: { kind: string; name: string } }[] };
  expect(findings.filter(({ about }) => about.kind === "alert").map(({ code, about }) => [about.name, code])).toEqual([
    ["fine", "alert.unsigned"],
    ["private", "alert.blocked_address"],
    ["program", "alert.command"],
  ]);
  expect(fine.counts.requests + broken.counts.requests).toBe(sent);
});

test.concurrent(
  "a source that says nothing is told, and is not well although the process is",
  { timeout: 180_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE users (id int PRIMARY KEY)");
    const address = new URL(database.url);
    await using proxy = await startTcpProxy({ host: address.hostname, port: Number(address.port) });
    await using receiver = await startReceiver();
    await using hook = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${proxy.through(database.url)}" } }
models: { users: { source: db, table: public.users } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { users: { model: users, destination: receiver } }
alerts: { all: { type: webhook, url: "${hook.url}", events: [silent], allow_private: true } }
`);
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await database.sql("INSERT INTO users VALUES (1)");
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 1);
    // The connections stay open, new ones too, and nothing comes through.
    proxy.flow({ kind: "black-hole" });
    await hook.until(has("silent began"), 60_000);
    const health = async () => {
      const { code, stdout } = await runCli(["status", "--json", "-c", at.folder], { cwd: at.folder });
      const { syncs } = JSON.parse(stdout) as { syncs: { signals: object }[] };
      return { code, ...syncs[0]!.signals };
    };
    expect(await health()).toEqual({ code: 1, process: true, stream: false, progress: true });
    proxy.flow({ kind: "pass" });
    proxy.cutAll();
    await database.sql("INSERT INTO users VALUES (2)");
    await hook.until(has("silent over"), 90_000);
    expect(await health()).toEqual({ code: 0, process: true, stream: true, progress: true });
    expect(receiver.counts.acknowledgedRows).toBe(2);
    expect(inShort(hook)).toEqual(["silent began", "silent over"]);
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  },
);
