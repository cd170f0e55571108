import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** An echo server that also notes what it got. */
let echo: { port: number; got: () => string; sockets: Socket[]; close: () => void };
let proxy: TcpProxy;

beforeEach(async () => {
  let got = "";
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      got += chunk.toString();
      socket.write(chunk);
    });
    socket.on("end", () => socket.end("bye"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  echo = { port, got: () => got, sockets, close: () => server.close() };
  proxy = await startTcpProxy({ host: "127.0.0.1", port });
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  for (const socket of echo.sockets) socket.destroy();
  echo.close();
});

async function client(): Promise<{ socket: Socket; received: () => string; until: (text: string) => Promise<void> }> {
  const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString();
  });
  socket.on("error", () => {});
  const until = async (text: string): Promise<void> => {
    while (!received.includes(text)) await once(socket, "data");
  };
  return { socket, received: () => received, until };
}

/** `once` would reject at the error that comes before. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
  });
}

test("passes bytes, and counts them", async () => {
  const { socket, until } = await client();
  socket.write("hello");
  await until("hello");
  expect(proxy.connections[0]).toMatchObject({ id: 0, open: true, bytes: { up: 5, down: 5 } });
  expect(proxy.through("postgres://u:p@db.example:5432/x")).toBe(`postgres://u:p@127.0.0.1:${proxy.port}/x`);
  socket.destroy();
});

test("cut resets both ends", async () => {
  const { socket, until } = await client();
  socket.write("x");
  await until("x");
  const reset = once(socket, "error");
  const far = closed(echo.sockets[0] as Socket);
  proxy.cutAll();
  expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
  await far;
  expect(proxy.connections[0]?.open).toBe(false);
});

test("a black hole swallows one direction; the other goes on", async () => {
  const { socket, until, received } = await client();
  socket.write("one");
  await until("one");
  proxy.flow({ kind: "black-hole" }, "down");
  socket.write("two");
  await once(echo.sockets[0] as Socket, "data");
  while ((proxy.connections[0]?.bytes.down ?? 0) < 6) await new Promise(setImmediate);
  proxy.flow({ kind: "pass" });
  socket.write("three");
  await until("three");
  expect(echo.got()).toBe("onetwothree");
  expect(received()).toBe("onethree");
  socket.destroy();
});

test("a stall holds bytes back and passes them on later", async () => {
  const { socket, until } = await client();
  proxy.flow({ kind: "stall" }, "up");
  socket.write("held");
  const other = await client();
  // The second connection was made after the stall: it is stalled too.
  other.socket.write("held too");
  await new Promise(setImmediate);
  expect(echo.got()).toBe("");
  proxy.flow({ kind: "pass" }, "up");
  await Promise.all([until("held"), other.until("held too")]);
  socket.destroy();
  other.socket.destroy();
});

test("half-close ends one direction only", async () => {
  const { socket, until } = await client();
  socket.write("x");
  await until("x");
  proxy.connections[0]?.halfClose("up");
  await until("bye");
  socket.destroy();
});

test("throttle and delay keep order and take their time", async () => {
  const { socket, until, received } = await client();
  const start = performance.now();
  proxy.flow({ kind: "throttle", bytesPerSecond: 1000 }, "up");
  socket.write("a".repeat(100));
  await until("a".repeat(100));
  expect(performance.now() - start).toBeGreaterThan(95);
  proxy.flow({ kind: "delay", ms: 50 }, "up");
  socket.write("b");
  await new Promise(setImmediate);
  proxy.flow({ kind: "pass" }, "up");
  socket.write("c");
  await until("c");
  expect(received().endsWith("abc")).toBe(true);
  socket.destroy();
});

test("refuse turns new connections away and keeps the old; accept takes them again; target moves them", async () => {
  const { socket, until } = await client();
  await proxy.refuse();
  await expect(client()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  socket.write("still");
  await until("still");
  await proxy.accept();
  const second = await client();
  second.socket.write("again");
  await second.until("again");
  proxy.target({ host: "127.0.0.1", port: 9 });
  const third = await client();
  await closed(third.socket);
  socket.destroy();
  second.socket.destroy();
});
