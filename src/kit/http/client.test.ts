import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { startReceiver } from "../../../test/support/receiver.ts";
import type { ReceiverOptions } from "../../../test/support/receiver.ts";
import { onLastLook } from "../../contracts/last-look.ts";
import { AddressGuard } from "../address-guard.ts";
import { HttpClient } from "./client.ts";
import type { HttpClientOptions, HttpRequest } from "./client.ts";

const cleanups: (() => PromiseLike<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function client(options: Partial<HttpClientOptions> = {}): HttpClient {
  const made = new HttpClient({ guard: new AddressGuard(true), connections: 1, timeoutMs: 5000, ...options });
  cleanups.push(() => made[Symbol.asyncDispose]());
  return made;
}

async function receiver(script?: ReceiverOptions["script"]) {
  const made = await startReceiver({ script, rows: () => [] });
  cleanups.push(() => made[Symbol.asyncDispose]());
  return made;
}

/** A server that sees raw bytes: `onRequest` is called for each request (its head has ended) with its number. */
async function rawServer(onRequest: (socket: Socket, seq: number) => void) {
  const seen: string[] = [];
  let connections = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      seen.push(text);
      text = "";
      onRequest(socket, seen.length);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, seen, sockets, connections: () => connections };
}

function post(origin: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "POST", origin, path: "/", headers: {}, body: Buffer.from("{}"), ...more };
}

const never = new AbortController().signal;
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("gives status, headers and body", async () => {
  const { origin } = await rawServer((socket) =>
    socket.end(
      "HTTP/1.1 201 Made\r\nX-One: 1\r\nX-Two: a\r\nX-Two: b\r\ncontent-length: 5\r\n\r\nh\u00c3\u00a9lo",
      "latin1",
    ),
  );
  expect(await client().send(post(origin), never)).toEqual({
    status: 201,
    headers: { "x-one": "1", "x-two": "a, b", "content-length": "5" },
    body: "hélo",
    truncated: false,
  });
});

test("an informational answer is not the answer", async () => {
  const { origin } = await rawServer((socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${OK}`));
  expect(await client().send(post(origin), never)).toMatchObject({ status: 200, body: "ok" });
});

test("a compressed answer stays compressed", async () => {
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  const { origin } = await rawServer((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
    socket.write(bomb);
  });
  const answer = await client().send(post(origin), never);
  expect(answer.headers["content-encoding"]).toBe("gzip");
  expect(answer.body.length).toBeLessThanOrEqual(bomb.length);
});

describe("redirects are answers", () => {
  test.each([301, 302, 303, 307, 308] as const)("%d is not followed and no header leaks", async (status) => {
    const trap = await receiver();
    const { url } = await receiver(() => ({ kind: "redirect", status, location: `${trap.url}/stolen` }));
    const answer = await client().send(post(url, { headers: { authorization: "Bearer canary" } }), never);
    expect(answer.status).toBe(status);
    expect(answer.headers["location"]).toBe(`${trap.url}/stolen`);
    expect(trap.counts.requests).toBe(0);
  });
});

describe("what a failure means", () => {
  test("refused: nothing was sent", async () => {
    const server = await receiver();
    await server.down();
    await expect(client().send(post(server.url), never)).rejects.toMatchObject({
      code: "destination.unreachable",
      message: expect.stringContaining("refused"),
    });
  });

  test("an unknown host: nothing was sent", async () => {
    const guard = new AddressGuard(true, () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" })));
    await expect(client({ guard }).send(post("http://nowhere.example"), never)).rejects.toMatchObject({
      code: "destination.unreachable",
    });
  });

  test("plain HTTP where TLS was asked for: nothing was sent", async () => {
    const server = await receiver();
    await expect(client().send(post(server.url.replace("http:", "https:")), never)).rejects.toMatchObject({
      code: "destination.unreachable",
    });
    expect(server.counts.requests).toBe(0);
  });

  test.each(["reset-after", "truncated", "hang", "drip", "huge-headers"] as const)("%s: not known", async (kind) => {
    const action = kind === "drip" ? ({ kind, bytes: 1000, everyMs: 50 } as const) : ({ kind } as const);
    const server = await receiver(() => action);
    const slow = kind === "hang" || kind === "drip";
    const sent = client({ timeoutMs: slow ? 300 : 5000 }).send(post(server.url), never);
    await expect(sent).rejects.toMatchObject({ code: slow ? "destination.timeout" : "destination.unknown" });
    expect(server.counts.requests).toBe(1);
  });

  test("reset before the body was read: unknown", async () => {
    const server = await receiver({ head: () => ({ kind: "reset-before" }), answer: () => ({ kind: "hang" }) });
    const sent = client().send(post(server.url, { body: Buffer.alloc(5_000_000, "x") }), never);
    await expect(sent).rejects.toMatchObject({ code: "destination.unknown" });
  });

  test("an answer that is not HTTP: unknown", async () => {
    const { origin } = await rawServer((socket) => socket.end("SSH-2.0-OpenSSH_9.9\r\n"));
    await expect(client().send(post(origin), never)).rejects.toMatchObject({ code: "destination.unknown" });
  });

  test("no answer at all, then the end: unknown", async () => {
    const { origin } = await rawServer((socket) => socket.end());
    await expect(client().send(post(origin), never)).rejects.toMatchObject({ code: "destination.unknown" });
  });

  test("waiting for a connection that never comes free: nothing was sent", async () => {
    const server = await receiver(() => ({ kind: "hang" }));
    const http = client({ timeoutMs: 500 });
    const first = http.send(post(server.url), never);
    await server.until(({ counts }) => counts.requests === 1);
    const abort = new AbortController();
    const second = http.send(post(server.url), abort.signal);
    abort.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
    await expect(first).rejects.toMatchObject({ code: "destination.timeout" });
    expect(server.counts.requests).toBe(1);
  });

  test("a hidden host is in no message", async () => {
    const guard = new AddressGuard(true, () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" })));
    const error: unknown = await client({ guard, hostIsPrivate: true })
      .send(post("http://canary.example"), never)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "destination.unreachable" });
    expect((error as Error).cause).toBeUndefined();
    expect(String(error)).not.toContain("canary");
  });
});

describe("abort", () => {
  test("before: nothing is sent", async () => {
    const server = await receiver();
    await expect(client().send(post(server.url), AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
    expect(server.counts.requests).toBe(0);
  });

  test("found out only when there is a connection, as after a freeze: nothing is sent", async () => {
    const server = await rawServer(() => {});
    const lease = new AbortController();
    let isOver = false;
    cleanups.push(
      onLastLook(() => {
        if (isOver) lease.abort(new Error("not ours any more"));
      }),
    );
    const http = client();
    const first = http.send(post(server.origin), never);
    await expect.poll(() => server.seen.length).toBe(1);
    // A signal that a destination has made of the one that it was given.
    const second = http.send(post(server.origin), AbortSignal.any([lease.signal]));
    isOver = true;
    for (const socket of server.sockets) socket.write(OK);
    expect(await first).toMatchObject({ status: 200 });
    await expect(second).rejects.toThrow("not ours any more");
    await expect.poll(() => server.sockets.size).toBe(0);
    expect(server.seen).toHaveLength(1);
  });

  test("in flight: the reason is thrown, and the connection ends", async () => {
    const server = await rawServer((_, seq) => seq === 1 && abort.abort(new Error("stop")));
    const abort = new AbortController();
    await expect(client().send(post(server.origin), abort.signal)).rejects.toThrow("stop");
    await expect.poll(() => server.sockets.size).toBe(0);
  });
});

describe("answers that are too long", () => {
  test("are cut, and the memory stays flat", async () => {
    const server = await receiver(() => ({ kind: "endless" }));
    const http = client({ answerBytes: 100_000 });
    for (let warm = 0; warm < 5; warm++) await http.send(post(server.url), never);
    const before = process.memoryUsage();
    for (let n = 0; n < 30; n++) {
      const answer = await http.send(post(server.url), never);
      expect(answer).toMatchObject({ status: 200, truncated: true });
      expect(answer.body).toHaveLength(100_000);
    }
    const after = process.memoryUsage();
    expect(after.rss - before.rss).toBeLessThan(64_000_000);
  });

  test("an answer of exactly the cap is whole", async () => {
    const server = await receiver(() => ({ kind: "answer", body: "x".repeat(1000) }));
    expect(await client({ answerBytes: 1000 }).send(post(server.url), never)).toMatchObject({ truncated: false });
    expect(await client({ answerBytes: 999 }).send(post(server.url), never)).toMatchObject({ truncated: true });
  });
});

describe("keep-alive", () => {
  test("a connection is used again", async () => {
    const server = await rawServer((socket) => socket.write(OK));
    const http = client();
    for (let n = 0; n < 5; n++) await http.send(post(server.origin), never);
    expect(server.connections()).toBe(1);
  });

  test("the server closes after its answer: the next request takes a new connection", async () => {
    const server = await rawServer((socket) => socket.end(OK));
    const http = client();
    for (let n = 0; n < 5; n++) {
      expect(await http.send(post(server.origin), never)).toMatchObject({ status: 200 });
      await expect.poll(() => server.sockets.size).toBe(0);
    }
    expect(server.seen).toHaveLength(5);
    expect(server.connections()).toBe(5);
  });

  test.each(["POST", "PUT", "DELETE", "GET"])(
    "the server closes on a reused connection: %s is not sent twice",
    async (method) => {
      const server = await rawServer((socket, seq) => (seq === 2 ? socket.resetAndDestroy() : socket.write(OK)));
      const http = client();
      const request = post(server.origin, { method, body: method === "GET" ? null : Buffer.from("{}") });
      await http.send(request, never);
      await expect(http.send(request, never)).rejects.toMatchObject({ code: "destination.unknown" });
      expect(server.seen).toHaveLength(2);
      expect(await http.send(request, never)).toMatchObject({ status: 200 });
    },
  );

  test("an idle connection is closed in time", async () => {
    const server = await rawServer((socket) => socket.write(OK));
    const http = client({ keepAliveMs: 50 });
    await http.send(post(server.origin), never);
    await expect.poll(() => server.sockets.size, { timeout: 5000 }).toBe(0);
  });
});

test("a request that HTTP cannot hold is refused before anything is sent", async () => {
  const server = await rawServer((socket) => socket.end(OK));
  const http = client();
  for (const bad of [{ path: "/a\r\nx: y" }, { headers: { a: "b\r\nc: d" } }, { method: "PO ST" }]) {
    await expect(http.send(post(server.origin, bad), never)).rejects.toMatchObject({ code: "destination.config" });
  }
  expect(server.connections()).toBe(0);
});
