import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import { startReceiver } from "../../../test/support/receiver.ts";
import { inTurn, status } from "../../../test/support/receiver-script.ts";
import { alert as alertSchema } from "../config/alert-schema.ts";
import type { Alert } from "./alert.ts";
import { ATTEMPTS, HookQueue } from "./hook-queue.ts";
import { CommandHook } from "./hooks/command.ts";
import { createHook, type Hook } from "./hooks/hook.ts";
import { messageOf } from "./message.ts";
import { slackText } from "./slack.ts";

const signal = new AbortController().signal;
const WAITING: Alert = {
  id: "0d4e5b1c-1111-4222-8333-444455556666",
  sync: "users",
  event: "waiting",
  holds: true,
  sinceMs: 1_000_000,
  atMs: 1_030_000,
  message: "Sync users has waited for 30 s and more: nothing is delivered.",
  facts: { phase: "waiting", reason: "no <connection> (x)", lagMs: 31_000, sourceSilentMs: 12, failureShare: 0 },
};
const message = messageOf("shop", WAITING);

function hookTo(settings: Record<string, unknown>, folder = import.meta.dirname): Hook {
  return createHook({ name: "ops", settings: alertSchema.parse({ allow_private: true, ...settings }) }, folder);
}

test("a webhook gets signed JSON", async () => {
  await using receiver = await startReceiver();
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  await using hook = hookTo({ type: "webhook", url: `${receiver.url}/in?x=1`, secret });
  await hook.send(message, signal);
  const [request] = receiver.requests();
  expect(request).toMatchObject({ method: "POST", path: "/in?x=1", headers: { "webhook-id": WAITING.id } });
  expect(new Webhook(secret).verify(request!.body!, { ...request!.headers })).toEqual({
    type: "sync.waiting",
    timestamp: "1970-01-01T00:17:10.000Z",
    data: {
      project: "shop",
      sync: "users",
      event: "waiting",
      state: "began",
      since: "1970-01-01T00:16:40.000Z",
      message: WAITING.message,
      reason: "no <connection> (x)",
      phase: "waiting",
      lag_ms: 31_000,
      source_silent_ms: 12,
      failure_share: 0,
    },
  });
});

test("what is over says what was, and not the present reason", () => {
  expect(messageOf("shop", { ...WAITING, holds: false })).toMatchObject({
    type: "sync.recovered",
    data: { event: "waiting", state: "over", reason: null },
  });
});

test("Slack gets a text and blocks, with its own characters escaped", async () => {
  await using receiver = await startReceiver();
  await using hook = hookTo({ type: "slack", url: receiver.url });
  await hook.send(message, signal);
  const body = JSON.parse(receiver.requests()[0]!.body!) as { text: string; blocks: { text: { text: string } }[] };
  expect(body.text).toBe(`${WAITING.message} no <connection> (x)`);
  expect(body.blocks[0]!.text.text).toBe(`:warning: *${WAITING.message}*\n>no &lt;connection&gt; (x)`);
  const long = JSON.parse(
    slackText({ ...message, data: { ...message.data, reason: "x".repeat(9000) } }),
  ) as typeof body;
  expect(long.blocks[0]!.text.text.length).toBeLessThanOrEqual(3000);
});

test("a private address is refused unless it is allowed, and no error names the path", async () => {
  await using receiver = await startReceiver({ script: () => status(404) });
  await using refused = hookTo({ type: "slack", url: `${receiver.url}/T0/canary`, allow_private: false });
  await expect(refused.send(message, signal)).rejects.toMatchObject({ code: "destination.blocked_address" });
  await using hook = hookTo({ type: "slack", url: `${receiver.url}/T0/canary` });
  await expect(hook.send(message, signal)).rejects.toThrow(/^http:\/\/127\.0\.0\.1:\d+ answered 404$/);
  expect(receiver.requests()).toHaveLength(1);
});

describe("a command", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tailrace-alerts-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function script(name: string, text: string): Promise<string> {
    await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return `./${name}`;
  }

  test("has the facts in its environment and as JSON, its arguments as they are, and no shell", async () => {
    const program = await script(
      "tell.sh",
      'printf "%s|" "$1" "$TAILRACE_ALERT_SYNC" "$TAILRACE_ALERT_TYPE" > out; cat >> out',
    );
    await using hook = hookTo({ type: "command", command: [program, "$HOME; *"], allow_private: false }, folder);
    await hook.send(message, signal);
    const [argument, sync, type, json] = (await readFile(join(folder, "out"), "utf8")).split("|");
    expect([argument, sync, type]).toEqual(["$HOME; *", "users", "sync.waiting"]);
    expect(JSON.parse(json!)).toMatchObject({ type: "sync.waiting", data: { lag_ms: 31_000 } });
  });

  test("that fails, or is not there, is an error that shows nothing it printed", async () => {
    const failing = new CommandHook([await script("fail.sh", "echo canary >&2; exit 3")], folder, 5000);
    await expect(failing.send(message, signal)).rejects.toThrow(/^the command ended with 3$/);
    await expect(new CommandHook(["./none.sh"], folder, 5000).send(message, signal)).rejects.toThrow("ENOENT");
  });

  test("that runs too long is ended, with what it has started", async () => {
    const program = await script("slow.sh", "sleep 600 & echo $! > child; wait");
    await expect(new CommandHook([program], folder, 500).send(message, signal)).rejects.toThrow("more than 500 ms");
    const child = Number(await readFile(join(folder, "child"), "utf8"));
    await expect
      .poll(() =>
        readFile(`/proc/${child}/stat`, "utf8").then(
          (stat) => stat.split(" ")[2],
          () => "gone",
        ),
      )
      .toMatch(/^(gone|Z)$/);
  });
});

interface Line {
  readonly level: string;
  readonly text: string;
}

function logInto(lines: Line[]): Log {
  const at = (level: string) => (text: string, fields?: object) =>
    void lines.push({ level, text: text + JSON.stringify(fields) });
  const log: Log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), child: () => log };
  return log;
}

describe("the queue of a hook", () => {
  test("tries again with the same id, and keeps the order", async () => {
    await using receiver = await startReceiver({ script: inTurn([status(500), { kind: "reset-after" }]) });
    const lines: Line[] = [];
    const queue = new HookQueue(hookTo({ type: "webhook", url: receiver.url }), logInto(lines), 1);
    queue.add(message);
    queue.add(messageOf("shop", { ...WAITING, id: "second", holds: false }));
    await receiver.until(({ counts }) => counts.requests === 4);
    expect(receiver.requests().map(({ headers }) => headers["webhook-id"])).toEqual([
      WAITING.id,
      WAITING.id,
      WAITING.id,
      "second",
    ]);
    await queue[Symbol.asyncDispose]();
    expect(lines.map(({ level }) => level)).toEqual(["warn", "warn"]);
  });

  test("gives a message up after its attempts, says so, and goes on with the next", async () => {
    const refused = Array.from({ length: ATTEMPTS }, () => status(500));
    await using receiver = await startReceiver({ script: inTurn(refused) });
    const lines: Line[] = [];
    const queue = new HookQueue(hookTo({ type: "webhook", url: `${receiver.url}/canary` }), logInto(lines), 1);
    queue.add(message);
    queue.add(messageOf("shop", { ...WAITING, id: "second" }));
    await receiver.until(({ counts }) => counts.requests === ATTEMPTS + 1);
    await queue[Symbol.asyncDispose]();
    expect(lines.filter(({ level }) => level === "error")).toHaveLength(1);
    expect(lines.at(-1)!.text).toContain("given up");
    expect(JSON.stringify(lines)).not.toContain("canary");
  });

  test("a hook that never answers holds up neither the caller nor, for long, the end", async () => {
    await using receiver = await startReceiver({ script: () => ({ kind: "hang" }) });
    const lines: Line[] = [];
    const queue = new HookQueue(hookTo({ type: "webhook", url: receiver.url }), logInto(lines));
    for (let i = 0; i < 1000; i += 1) queue.add(message);
    await receiver.until(({ counts }) => counts.inFlight === 1);
    const startedMs = performance.now();
    await queue[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(9000);
    expect(lines.filter(({ level }) => level === "error")).toHaveLength(1000);
  });
});
