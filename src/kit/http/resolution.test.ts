// Where a name leads: asked for each new connection, and every address tried.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { AddressGuard } from "../address-guard.ts";
import { HttpClient } from "./client.ts";

const never = new AbortController().signal;

/** Answers with the address that it listens on; `close` ends its connections, too. */
async function serverAt(address: string, port: number): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((_, response) => response.end(address));
  server.listen(port, address);
  await once(server, "listening");
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  return { port: (server.address() as AddressInfo).port, close };
}

/** What `hook.example` answers when it resolves to the addresses that `now` holds at the moment of connecting. */
function askerOf(now: { addresses: readonly string[] }, port: number): () => Promise<string> {
  const guard = new AddressGuard(true, () =>
    Promise.resolve(now.addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))),
  );
  const client = new HttpClient({ guard, connections: 4, timeoutMs: 5000 });
  onTestFinished(() => client[Symbol.asyncDispose]());
  const request = { method: "POST", origin: `http://hook.example:${port}`, path: "/", headers: {}, body: null };
  return async () => (await client.send(request, never)).body;
}

test("a name that moves to another address is followed with the next connection", async () => {
  const first = await serverAt("127.0.0.1", 0);
  await serverAt("127.0.0.2", first.port);
  const now = { addresses: ["127.0.0.1"] };
  const ask = askerOf(now, first.port);
  expect(await ask()).toBe("127.0.0.1");
  now.addresses = ["127.0.0.2"];
  first.close();
  await expect.poll(() => ask().catch(() => "no connection")).toBe("127.0.0.2");
});

test("an address at which nobody listens does not keep from the next one", async () => {
  const { port } = await serverAt("127.0.0.3", 0);
  expect(await askerOf({ addresses: ["::1", "127.0.0.2", "127.0.0.3"] }, port)()).toBe("127.0.0.3");
});

test("a name with an IPv6 address alone is reached", async () => {
  const { port } = await serverAt("::1", 0);
  expect(await askerOf({ addresses: ["::1"] }, port)()).toBe("::1");
});
