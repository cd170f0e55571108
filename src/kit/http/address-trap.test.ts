import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startReceiver } from "../../../test/support/receiver.ts";
import { AddressGuard } from "../address-guard.ts";
import type { AllowPrivate, Resolve } from "../address-guard.ts";
import { HttpClient } from "./client.ts";

// A listener on every address of this machine: whatever gets through is counted.
let trap: Server;
let port: number;
let connections = 0;
beforeAll(async () => {
  trap = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {}).end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  });
  trap.listen(0, "::");
  await once(trap, "listening");
  port = (trap.address() as AddressInfo).port;
});
afterAll(() => trap.close());

const NAMES: Readonly<Record<string, readonly string[]>> = {
  localhost: ["127.0.0.1", "::1"],
  "localhost.": ["127.0.0.1"],
  "127.0.0.1.nip.io": ["127.0.0.1"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "nat64.example": ["64:ff9b::127.0.0.1"],
  "private.example": ["10.0.0.1"],
  "both.example": ["93.184.215.14", "127.0.0.1"],
  "metadata.example": ["169.254.169.254"],
  "zone.example": ["fe80::1%lo"],
};

function names(hostname: string): Promise<readonly LookupAddress[]> {
  const addresses = NAMES[hostname];
  if (addresses === undefined) return Promise.reject(new Error(`unexpected lookup of ${hostname}`));
  return Promise.resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
}

async function send(url: string, allow: AllowPrivate = false, resolve: Resolve = names): Promise<number> {
  await using client = new HttpClient({ guard: new AddressGuard(allow, resolve), connections: 1, timeoutMs: 3000 });
  const { origin, pathname } = new URL(url);
  const request = { method: "POST", origin, path: pathname, headers: {}, body: Buffer.from("{}") };
  return (await client.send(request, new AbortController().signal)).status;
}

const FORMS = [
  "127.0.0.1",
  "127.0.0.1.",
  "127.1",
  "127.0.1",
  "127.127.127.127",
  "2130706433",
  "0x7f000001",
  "0x7f.0.0.1",
  "0x7F.1",
  "0177.0.0.1",
  "0177.0x0.0.01",
  "017700000001",
  "00000177.1",
  "%31%32%37.0.0.1",
  "１２７.０.０.１",
  "①②⑦.⓪.⓪.①",
  "127。0。0。1",
  "0.0.0.0",
  "0",
  "0x0",
  "[::1]",
  "[::]",
  "[0:0:0:0:0:0:0:1]",
  "[0000:0000:0000:0000:0000:0000:0000:0001]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[0:0:0:0:0:ffff:127.0.0.1]",
  "[::127.0.0.1]",
  "[64:ff9b::127.0.0.1]",
  "[64:ff9b:1::7f00:1]",
  "[2002:7f00:1::]",
  "[2001:0:7f00:1::]",
  "[fe80::1]",
  "[fd00:ec2::254]",
  "[ff02::1]",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.0.1",
  "169.254.169.254",
  "0xA9FEA9FE",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
  "224.0.0.1",
  "255.255.255.255",
  "user:secret@127.0.0.1",
  "93.184.215.14@127.0.0.1",
  "LOCALHOST",
  ...Object.keys(NAMES),
];

test.each(FORMS)("http://%s is never connected to", async (host) => {
  for (const scheme of ["http", "https"]) {
    await expect(send(`${scheme}://${host}:${port}/`)).rejects.toMatchObject({ code: "destination.blocked_address" });
  }
  expect(connections).toBe(0);
});

test("nor is any address of this machine that is private", async () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const guard = new AddressGuard(false);
  const hosts = own.filter(({ address }) => !guard.permits(address, port, address));
  expect(hosts.length).toBeGreaterThan(0);
  for (const { address, family, scopeid } of hosts) {
    if (family === "IPv6" && scopeid !== undefined && scopeid !== 0) continue; // A URL cannot hold a zone.
    const host = family === "IPv6" ? `[${address}]` : address;
    await expect(send(`http://${host}:${port}/`)).rejects.toMatchObject({ code: "destination.blocked_address" });
  }
  expect(connections).toBe(0);
});

test("a name that resolves differently each time is checked each time", async () => {
  let lookups = 0;
  const rebinding: Resolve = async () => {
    lookups += 1;
    return [{ address: lookups === 1 ? "93.184.215.14" : "127.0.0.1", family: 4 }];
  };
  const guard = new AddressGuard(false, rebinding);
  // The check that a person runs sees the public address; the request resolves again.
  expect(await guard.resolve("rebind.example", port)).toEqual([{ address: "93.184.215.14", family: 4 }]);
  await using client = new HttpClient({ guard, connections: 1, timeoutMs: 3000 });
  const request = { method: "POST", origin: `http://rebind.example:${port}`, path: "/", headers: {}, body: null };
  await expect(client.send(request, new AbortController().signal)).rejects.toMatchObject({
    code: "destination.blocked_address",
  });
  expect(lookups).toBe(2);
  expect(connections).toBe(0);
});

test("a permitted receiver's redirect leads nowhere", async () => {
  await using receiver = await startReceiver({
    script: () => ({ kind: "redirect", location: `http://127.0.0.1:${port}/`, status: 307 }),
    rows: () => [],
  });
  expect(await send(receiver.url, [new URL(receiver.url).host])).toBe(307);
  expect(connections).toBe(0);
});

test("what is allowed is connected to, and only that", async () => {
  await expect(send(`http://127.0.0.1:${port}/`, [`127.0.0.1:${port + 1}`])).rejects.toMatchObject({
    code: "destination.blocked_address",
  });
  expect(connections).toBe(0);
  expect(await send(`http://127.0.0.1:${port}/`, [`127.0.0.1:${port}`])).toBe(200);
  expect(await send(`http://0x7f.1:${port}/`, ["127.0.0.0/8"])).toBe(200);
  expect(await send(`http://localhost:${port}/`, ["localhost"])).toBe(200);
  expect(await send(`http://127.0.0.1.nip.io:${port}/`, true)).toBe(200);
  expect(connections).toBe(4);
});
