// What becomes of rows when a real receiver misbehaves: the webhook destination behind the engine's queue, lane and gate.
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { laneToWebhook } from "../support/lane.ts";
import { orderOf, overlaps } from "../support/ledger-order.ts";
import { prng } from "../support/prng.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type Action, inTurn, OK, status } from "../support/receiver-script.ts";

const settle = { timeout: 30_000, interval: 10 };
const idsOf = (receiver: Receiver): (string | undefined)[] => receiver.requests().map(({ rows }) => rows[0]?.id);

describe("a batch of which the answer does not account for every row (F2)", () => {
  const rows = { path: "results", index: "place", status: "status" };
  /** Says that these places of the batch are taken. */
  const results = (places: readonly number[]): Action =>
    status(200, {}, JSON.stringify({ results: places.map((place) => ({ place, status: 200 })) }));

  test.each([
    ["too few", results([0])],
    ["one twice", results([0, 0, 1])],
    ["one that was not sent", results([0, 1, 2, 3])],
    ["no list", status(200, {}, '{"ok":true}')],
    ["a page", status(200, { "content-type": "text/html" }, "<html>Sign in</html>")],
    ["nothing", status(204)],
  ])("%s: no row counts that is not named as taken, and all end delivered", async (_, answer) => {
    await using receiver = await startReceiver({
      script: ({ seq, rows: sent }) => (seq === 0 ? answer : results([...sent.keys()])),
    });
    const lane = await laneToWebhook({ url: receiver.url, batch: { format: "array" }, answers: { rows } });
    for (const key of ["a", "b", "c"]) lane.add(key, 1);
    await expect.poll(() => lane.delivered.length, settle).toBe(3);
    expect(lane.delivered.filter(({ attempts }) => attempts === 1).length).toBeLessThanOrEqual(1);
    expect(lane.rejected).toEqual([]);
  });

  test("207 without a way to read it stops the sync, and no row counts", async () => {
    await using receiver = await startReceiver({ script: () => status(207, {}, '{"results":[]}') });
    const lane = await laneToWebhook({ url: receiver.url, batch: { format: "array" } });
    lane.add("a", 1);
    await expect.poll(() => lane.stops.map(({ code }) => code), settle).toEqual(["destination.config"]);
    expect(lane.stops[0]?.message).toContain("answers.rows");
    expect([lane.delivered, lane.left]).toEqual([[], 1]);
  });
});

test("one bad row in a thousand does not hold up the others, nor its own next version (F4)", async () => {
  await using receiver = await startReceiver({ script: ({ body }) => status(body.includes("poison") ? 422 : 200) });
  const lane = await laneToWebhook({ url: receiver.url, batch: { format: "array", rows: 500 } });
  for (let i = 0; i < 1000; i += 1) lane.add(`k${i}`, 1, i === 617 ? "poison" : "fine");
  await expect.poll(() => lane.delivered.length, settle).toBe(999);
  expect(lane.rejected.map(({ key }) => key)).toEqual(["k617"]);
  expect(receiver.counts.requests).toBeLessThan(2 + 2 * 10);
  lane.add("k617", 2, "mended");
  await expect.poll(() => lane.delivered.at(-1), settle).toMatchObject({ key: "k617", version: 2 });
});

test("a row that is larger than the receiver takes is kept with its size; a batch that is, is sent in parts (F5)", async () => {
  await using receiver = await startReceiver({ script: ({ body }) => status(body.length > 65_536 ? 413 : 200) });
  const lane = await laneToWebhook({ url: receiver.url, batch: { format: "array" } });
  for (let i = 0; i < 20; i += 1) lane.add(`k${i}`, 1, "x".repeat(i === 7 ? 100_000 : 10_000));
  await expect.poll(() => lane.delivered.length, settle).toBe(19);
  expect(lane.rejected).toMatchObject([{ key: "k7", error: { code: "destination.too_large" } }]);
  expect(lane.rejected[0]?.error.message).toBe("The receiver answered 413 to a row of more than 64 KB");
  expect(lane.left).toBe(0);
});

test("five versions wait for the first, which fails; they come in order, one at a time (F6)", async () => {
  await using receiver = await startReceiver({
    script: inTurn([status(503), { kind: "reset-after" }, { kind: "truncated" }]),
  });
  const lane = await laneToWebhook({ url: receiver.url });
  for (let version = 1; version <= 6; version += 1) lane.add("k", version);
  await expect.poll(() => lane.delivered.length, settle).toBe(6);
  expect(receiver.requests().map(({ rows }) => rows[0]?.version)).toEqual([1n, 1n, 1n, 1n, 2n, 3n, 4n, 5n, 6n]);
  expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
  expect(overlaps(receiver.ledger.entries)).toEqual([]);
});

test.each([301, 302, 303, 307, 308] as const)(
  "a %d to another place stops the sync; nothing goes there, and no row counts (F7)",
  async (code) => {
    await using trap = await startReceiver();
    await using receiver = await startReceiver({
      script: () => ({ kind: "redirect", location: `${trap.url}/elsewhere`, status: code }),
    });
    const lane = await laneToWebhook({ url: receiver.url, headers: { authorization: "Bearer canary" } });
    lane.add("a", 1);
    await expect.poll(() => lane.stops.map((error) => error.code), settle).toEqual(["destination.config"]);
    expect(lane.stops[0]?.message).toContain("Redirects are not followed");
    expect(trap.counts.connections + trap.counts.requests).toBe(0);
    expect([lane.delivered, lane.left]).toEqual([[], 1]);
  },
);

test("a page of a proxy is not taken for the receiver's success, where that was said (F8)", async () => {
  await using receiver = await startReceiver({
    script: inTurn([status(200, { "content-type": "text/html" }, "<html>"), status(204)], status(200, {}, '{"ok":1}')),
  });
  const lane = await laneToWebhook({ url: receiver.url, answers: { expect: { body_contains: '"ok"' } } });
  lane.add("a", 1);
  await expect.poll(() => lane.delivered, settle).toMatchObject([{ key: "a", attempts: 3 }]);
});

test("a receiver that closes connections as soon as they idle costs no row, and repeats have the same id (F9)", async () => {
  // Answers, and now and then closes or resets the connection a moment later: just when the next request may be on its way.
  const random = prng(5);
  const seen: { readonly id: string; readonly attempt: number }[] = [];
  const server = createServer((socket: Socket) => {
    let text = "";
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (;;) {
        const head = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (head === -1 || text.length < head + 4 + length) return;
        const header = (name: string): string => new RegExp(`${name}: (\\S+)`, "i").exec(text)?.[1] ?? "";
        seen.push({ id: header("webhook-id"), attempt: Number(header("tailrace-attempt")) });
        text = text.slice(head + 4 + length);
        if (random.chance(0.1)) return socket.resetAndDestroy();
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        if (random.chance(0.3)) setImmediate(() => (random.chance(0.5) ? socket.end() : socket.resetAndDestroy()));
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await using _ = { [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
  // A request that is never answered ends by its time, and is sent again well within what the test waits.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const lane = await laneToWebhook({ url, timeout_ms: 3_000 });
  for (let i = 0; i < 400; i += 1) lane.add(`k${i}`, 1);
  await expect.poll(() => lane.delivered.length, settle).toBe(400);
  expect(lane.rejected).toEqual([]);
  const ids = new Set(seen.map(({ id }) => id));
  expect(ids.size).toBe(400);
  // Some were repeated, each under its first id and marked.
  expect(seen.length).toBeGreaterThan(400);
  const times = new Map<string, number>();
  for (const { id, attempt } of seen) {
    if (times.has(id)) expect(attempt).toBeGreaterThan(times.get(id)!);
    times.set(id, attempt);
  }
});

test("a request that is taken, but answered too late, is sent again with the same id (F10)", async () => {
  await using receiver = await startReceiver({ script: inTurn([{ kind: "hang" }]) });
  const lane = await laneToWebhook({ url: receiver.url, timeout_ms: 200 });
  lane.add("a", 1);
  await expect.poll(() => lane.delivered, settle).toMatchObject([{ key: "a", attempts: 2 }]);
  const [first, second] = idsOf(receiver);
  expect(second).toBe(first);
  expect(receiver.requests().map(({ attempt }) => attempt)).toEqual([1, 2]);
});

describe("an answer that does harm is bounded in time and memory (F11)", () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000)).toString("latin1");
  test.each<[string, Action]>([
    ["endless", { kind: "endless" }],
    ["one byte at a time", { kind: "drip", bytes: 100_000, everyMs: 20 }],
    ["200 KB of headers", { kind: "huge-headers" }],
    ["a gzip bomb", status(500, { "content-encoding": "gzip" }, bomb)],
  ])("%s", async (_, action) => {
    await using receiver = await startReceiver({ script: () => action });
    const lane = await laneToWebhook(
      { url: receiver.url, timeout_ms: 300, answers: { expect: { body_contains: "ok" } } },
      { attempts: 1000, concurrency: 16 },
    );
    for (let i = 0; i < 8; i += 1) lane.add(`k${i}`, 1);
    await receiver.until(({ counts }) => counts.requests >= 8, 20_000);
    const before = process.memoryUsage.rss();
    for (let i = 8; i < 16; i += 1) lane.add(`k${i}`, 1);
    // The 17th repeats one whose answer has been read.
    await receiver.until(({ counts }) => counts.requests >= 17, 20_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64_000_000);
    expect([lane.delivered, lane.rejected]).toEqual([[], []]);
    receiver.script(() => status(200, {}, "ok"));
    await expect.poll(() => lane.delivered.length, settle).toBe(16);
  });
});

test("a destination that is down takes nothing, blames no row, and is caught up with by itself (F12)", async () => {
  await using receiver = await startReceiver();
  const lane = await laneToWebhook({ url: receiver.url }, { attempts: 2 });
  lane.add("before", 1);
  await expect.poll(() => lane.delivered.length, settle).toBe(1);
  await receiver.down();
  for (let i = 0; i < 100; i += 1) lane.add(`k${i % 20}`, 2 + Math.floor(i / 20));
  await expect.poll(() => lane.gate.closedBy?.code, settle).toBe("destination.unreachable");
  expect(lane.left).toBe(100);
  await receiver.up();
  await expect.poll(() => lane.left, settle).toBe(0);
  expect(lane.rejected).toEqual([]);
  expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
});

test("a receiver that asks for a pause gets no request within it, of any row (F1)", async () => {
  await using receiver = await startReceiver({
    script: ({ seq }) => (seq === 5 || seq === 30 ? status(429, { "retry-after": "1" }) : OK),
  });
  const lane = await laneToWebhook({ url: receiver.url }, { concurrency: 4 });
  for (let i = 0; i < 60; i += 1) lane.add(`k${i}`, 1);
  await expect.poll(() => lane.delivered.length, settle).toBe(60);
  const requests = receiver.requests();
  const pauses = requests.filter(({ retryAfterMs }) => retryAfterMs !== null);
  expect(pauses).toHaveLength(2);
  for (const { answeredNs } of pauses) {
    // What was sent before the answer was read is on its way already.
    const within = requests.filter(
      ({ arrivedNs }) => arrivedNs > answeredNs! + 20_000_000n && arrivedNs < answeredNs! + 1_000_000_000n,
    );
    // As many as were in flight; a second without a pause would be hundreds. That it is none that was not, gate.prop.test.ts and lane.test.ts prove.
    expect(within.length).toBeLessThan(4);
  }
});
