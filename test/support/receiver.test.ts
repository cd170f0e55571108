import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Agent, request } from "undici";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordReader } from "./envelope.ts";
import { type Action, faults, gate, inTurn, status } from "./receiver-script.ts";
import { startReceiver } from "./receiver.ts";

let agent: Agent;
beforeEach(() => {
  agent = new Agent({ bodyTimeout: 2000, headersTimeout: 2000 });
});
afterEach(() => agent.destroy());

function envelope(id: string, key: string, version: number): string {
  return `{"id":"${id}","type":"upsert","sync":"s","key":{"id":${key}},"position":"0A/1","committed_at":null,"record":{"id":${key},"version":${version},"big":12345678901234567890.10,"doc":{"a": 1}}}`;
}

async function post(
  url: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const answer = await request(url, { method: "POST", body, headers, dispatcher: agent });
  return { status: answer.statusCode, body: await answer.body.text() };
}

test("reads one object, an array and NDJSON, with every digit kept", async () => {
  await using receiver = await startReceiver();
  await post(receiver.url, envelope("a", "1", 1), { "tailrace-attempt": "2" });
  await post(receiver.url, `[${envelope("b", "1", 2)},${envelope("c", "2", 3)}]`);
  await post(receiver.url, `${envelope("d", "3", 4)}\n${envelope("e", "3", 5)}\n`);
  const [first, second, third] = receiver.requests();
  expect(first).toMatchObject({ attempt: 2, status: 200, action: "answer" });
  expect(first?.rows).toEqual([
    {
      id: "a",
      key: "1",
      op: "upsert",
      version: 1n,
      position: "0A/1",
      committedAt: null,
      acknowledged: true,
      record: { id: "1", version: "1", big: "12345678901234567890.10", doc: '{"a": 1}' },
    },
  ]);
  expect(second?.rows.map((row) => row.id)).toEqual(["b", "c"]);
  expect(third?.rows.map((row) => row.version)).toEqual([4n, 5n]);
  expect(receiver.counts).toMatchObject({ requests: 3, rows: 5, acknowledgedRows: 5 });
  expect(first?.arrivedNs).toBeLessThan(first?.answeredNs as bigint);
});

test("a reader of one's own sees bare records", async () => {
  await using receiver = await startReceiver({ rows: recordReader(["a", "b"]) });
  await post(receiver.url, '{"a":1,"b":"x","version":7}', { "webhook-id": "w" });
  expect(receiver.requests()[0]?.rows[0]).toMatchObject({ id: "w", key: '["1","x"]', version: 7n, op: "upsert" });
});

const BREAKING: readonly Action[] = [
  { kind: "reset-before" },
  { kind: "reset-after" },
  { kind: "truncated" },
  { kind: "huge-headers" },
  { kind: "endless" },
];

test.each(BREAKING)("$kind breaks the exchange and acknowledges nothing", async (action) => {
  await using receiver = await startReceiver({ script: inTurn([action]) });
  const sent = action.kind === "endless" ? cut(receiver.url) : post(receiver.url, envelope("a", "1", 1));
  await expect(sent).rejects.toThrow();
  await receiver.until(({ counts }) => counts.requests === 1 && counts.inFlight === 0, 5000);
  const [entry] = receiver.requests();
  expect(entry).toMatchObject({ action: action.kind, answeredNs: null });
  expect(entry?.rows.map((row) => row.acknowledged)).toEqual(action.kind === "reset-before" ? [] : [false]);
  // The script goes on: the next request is served.
  expect((await post(receiver.url, envelope("a", "1", 1))).status).toBe(200);
});

/** Reads a megabyte of the answer, then gives up, as a client with a cap does. */
async function cut(url: string): Promise<void> {
  const answer = await request(url, { method: "POST", body: envelope("a", "1", 1), dispatcher: agent });
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += (chunk as Buffer).length;
    if (bytes > 1_000_000) throw new Error("too long");
  }
}

test("hang lasts until released, and a sender that gives up is noted", async () => {
  await using receiver = await startReceiver({ script: () => ({ kind: "hang" }) });
  const patient = post(receiver.url, envelope("a", "1", 1));
  await receiver.until(({ counts }) => counts.rows === 1);
  expect(receiver.requests()[0]?.answeredNs).toBeNull();
  receiver.release();
  expect((await patient).status).toBe(200);
  receiver.hold();
  const hasty = post(receiver.url, envelope("b", "1", 2));
  const refused = expect(hasty).rejects.toThrow();
  await receiver.until(({ counts }) => counts.rows === 2);
  await agent.destroy();
  await refused;
  await receiver.until(({ counts }) => counts.inFlight === 0);
  expect(receiver.requests()[1]).toMatchObject({ answeredNs: null, status: null });
});

test("a gate holds one answer while others pass", async () => {
  const door = gate();
  await using receiver = await startReceiver({
    script: (seen) => (seen.rows[0]?.key === "1" ? { kind: "answer", gate: door } : { kind: "answer" }),
  });
  const held = post(receiver.url, envelope("a", "1", 1));
  await receiver.until(({ counts }) => counts.rows === 1);
  await post(receiver.url, envelope("b", "2", 1));
  expect(receiver.counts.inFlight).toBe(1);
  door.open();
  await held;
});

test("statuses, Retry-After, redirects and per-row results reach the sender and the ledger", async () => {
  await using receiver = await startReceiver({
    script: inTurn([
      status(429, { "retry-after": "7" }),
      { kind: "redirect", location: "http://127.0.0.1:9/", status: 307 },
      { kind: "rows", results: ["delivered", "rejected"] },
      { kind: "drip", bytes: 3, everyMs: 1 },
    ]),
  });
  const two = `[${envelope("a", "1", 1)},${envelope("b", "2", 1)}]`;
  expect((await post(receiver.url, two)).status).toBe(429);
  expect((await post(receiver.url, two)).status).toBe(307);
  expect(JSON.parse((await post(receiver.url, two)).body)).toEqual({
    results: [
      { id: "a", status: "delivered" },
      { id: "b", status: "rejected" },
    ],
  });
  expect((await post(receiver.url, two)).body).toBe("...");
  const [throttled, moved, mixed, slow] = receiver.requests();
  expect(throttled?.retryAfterMs).toBe(7000);
  expect(moved?.rows.some((row) => row.acknowledged)).toBe(false);
  expect(mixed?.rows.map((row) => row.acknowledged)).toEqual([true, false]);
  expect(slow?.rows.map((row) => row.acknowledged)).toEqual([true, true]);
});

test("random faults repeat with their seed", async () => {
  const run = async (seed: number): Promise<string[]> => {
    await using receiver = await startReceiver({
      script: faults({ rate: 0.5, kinds: ["429", "500", "503", "reset-before", "reset-after", "truncated"], seed }),
    });
    for (let at = 0; at < 30; at += 1) await post(receiver.url, envelope(String(at), "1", at)).catch(() => {});
    return receiver.requests().map((entry) => `${entry.action}:${entry.status}`);
  };
  const once = await run(42);
  expect(new Set(once).size).toBeGreaterThan(3);
  expect(await run(42)).toEqual(once);
  expect(await run(43)).not.toEqual(once);
});

test("the ledger in a file reads back as it was in memory", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ledger-"));
  try {
    await using receiver = await startReceiver({ ledger: join(folder, "ledger.ndjson"), keepBodies: true });
    await post(receiver.url, envelope("a", "1", 1));
    receiver.ledger.mark("restart");
    await post(receiver.url, envelope("b", "1", 2));
    await receiver.until(({ counts }) => counts.inFlight === 0);
    const entries = await receiver.ledger.read();
    expect(entries.map((entry) => (entry.kind === "mark" ? entry.label : entry.rows[0]?.version))).toEqual([
      1n,
      "restart",
      2n,
    ]);
    const [first] = entries;
    expect(first).toMatchObject({ body: envelope("a", "1", 1), status: 200 });
    expect(first?.kind === "request" && first.rows[0]?.record).toMatchObject({ version: "1" });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a restart is marked after the last row of the dead sender, not before", async () => {
  await using receiver = await startReceiver();
  const rows = Array.from({ length: 5000 }, (_unused, at) => envelope(String(at), String(at), at)).join("\n");
  const sender = spawn(process.execPath, [
    "-e",
    `const socket = require("node:net").connect(${new URL(receiver.url).port}, "127.0.0.1");
     const body = process.argv[1] + " ".repeat(3_000_000);
     socket.write("POST / HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: " + Buffer.byteLength(body) + "\\r\\n\\r\\n");
     socket.write(body, () => process.kill(process.pid, "SIGKILL"));`,
    rows.slice(0, 100_000).replace(/\n[^\n]*$/, ""),
  ]);
  await once(sender, "exit");
  await receiver.restart();
  expect(receiver.ledger.entries.map(({ kind }) => kind)).toEqual(["request", "mark"]);
  expect(receiver.counts.rows).toBeGreaterThan(100);
});

test("down refuses connections, up takes them again on the same port; until tells what it waited for", async () => {
  await using receiver = await startReceiver();
  await receiver.down();
  await expect(post(receiver.url, envelope("a", "1", 1))).rejects.toThrow(/ECONNREFUSED/);
  await receiver.up();
  expect((await post(receiver.url, envelope("a", "1", 1))).status).toBe(200);
  await expect(receiver.until(({ counts }) => counts.rows > 9, 20)).rejects.toThrow(/counts\.rows > 9/);
});
