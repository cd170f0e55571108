import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpsServer } from "node:https";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { startReceiver } from "../../../test/support/receiver.ts";
import { status } from "../../../test/support/receiver-script.ts";
import { openWebhook, people, target, webhookDestination } from "../../../test/support/webhook.ts";
import webhook from "./index.ts";

const signal = new AbortController().signal;
const TLS = join(import.meta.dirname, "../../../test/fixtures/tls");
const pem = (name: string) => readFileSync(join(TLS, name), "utf8");
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const row = () => delivery({ shape: people, values: ["1", "a", "1", "true"] });

async function codes(settings: Readonly<Record<string, unknown>>, more = {}): Promise<string[]> {
  const findings = await webhookDestination({ secret, ...settings }).check([target(more)], signal);
  return findings.map(({ level, code }) => `${level} ${code}`);
}

async function tlsServer(): Promise<string> {
  const server = createHttpsServer(
    {
      key: pem("server.key"),
      cert: pem("server.pem"),
      ca: pem("ca.pem"),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      const authorized = (request.socket as TLSSocket).authorized;
      request.resume().on("end", () => response.writeHead(authorized ? 200 : 403).end());
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

test("a receiver that is there: nothing to say, and nothing sent", async () => {
  let bytes = 0;
  const server = createServer((socket) => socket.on("error", () => {}).on("data", (chunk) => (bytes += chunk.length)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const connected = once(server, "connection");
  expect(await codes({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in` })).toEqual([]);
  const [socket] = (await connected) as [Socket];
  if (!socket.closed) await once(socket, "close");
  expect(bytes).toBe(0);
});

test("what is wrong, each with its own code", async () => {
  await using receiver = await startReceiver();
  await receiver.down();
  expect(await codes({ url: receiver.url })).toEqual(["error webhook.unreachable"]);
  await receiver.up();
  expect(await codes({ url: receiver.url, allow_private: false })).toEqual(["error webhook.blocked_address"]);
  expect(await codes({ url: receiver.url, secret: undefined })).toEqual(["info webhook.unsigned"]);
  expect(await codes({ url: `${receiver.url}/{{ record.nope }}` })).toContain("error webhook.request");
  expect(await codes({ url: "https://{{ record.name }}.example.com/" })).toEqual(["info webhook.host_per_row"]);
  expect(await codes({ url: `${receiver.url}/{{ record.id }}` })).toEqual([]);
  expect(receiver.counts.requests).toBe(0);
});

test.each([
  [200, []],
  [307, ["error webhook.redirect"]],
  [401, ["error webhook.auth"]],
  [404, ["warning webhook.check_path"]],
])("check_path answers %d", async (code, expected) => {
  await using receiver = await startReceiver({
    script: () => status(code, { location: "http://127.0.0.1:9/" }),
    rows: () => [],
  });
  expect(await codes({ url: receiver.url, check_path: "/health", headers: { authorization: "x" } })).toEqual(expected);
  expect(receiver.requests()).toMatchObject([{ method: "GET", path: "/health", headers: { authorization: "x" } }]);
});

test("TLS is verified against the usual authorities, or the one that is given", async () => {
  const url = await tlsServer();
  expect(await codes({ url })).toEqual(["error webhook.unreachable"]);
  await expect((await openWebhook({ url })).write([row()], signal)).rejects.toMatchObject({
    code: "destination.unreachable",
    message: expect.stringContaining("tls.ca"),
  });
  expect(await codes({ url, tls: { ca: join(TLS, "ca.pem") } })).toEqual([]);
});

test("files of `tls` that are replaced are taken with the next connection; meanwhile nothing is sent", async () => {
  const url = await tlsServer();
  const folder = mkdtempSync(join(tmpdir(), "tailrace-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const ca = join(folder, "ca.pem");
  const files = { ca, cert: join(TLS, "client.pem"), key: join(TLS, "client.key") };
  writeFileSync(ca, pem("client.pem"));
  const writer = await openWebhook({ url, tls: files });
  const refused = expect.objectContaining({
    code: "destination.unreachable",
    message: expect.stringContaining("certificate"),
  });
  await expect(writer.write([row()], signal)).rejects.toEqual(refused);
  rmSync(ca);
  await expect(writer.write([row()], signal)).rejects.toEqual(refused);
  writeFileSync(ca, pem("ca.pem"));
  expect(await writer.write([row()], signal)).toEqual([{ status: "delivered" }]);
});

test("a client certificate is shown", async () => {
  const url = await tlsServer();
  const without = await openWebhook({ url, tls: { ca: pem("ca.pem") } });
  await expect(without.write([row()], signal)).rejects.toMatchObject({ code: "destination.auth" });
  const tls = { ca: pem("ca.pem"), cert: join(TLS, "client.pem"), key: pem("client.key") };
  expect(await (await openWebhook({ url, tls })).write([row()], signal)).toEqual([{ status: "delivered" }]);
});

test("a certificate file that is not there is named", () => {
  expect(() => webhookDestination({ url: "https://h.example", tls: { ca: "nowhere.pem" } })).toThrow("`tls.ca`");
});

test.each([
  { url: "ftp://h.example" },
  { url: "h.example/in" },
  { url: "" },
  { url: "https://h.example", sceret: "x" },
  { url: "https://h.example", secret: "hunter2" },
  { url: "https://h.example", secret: [] },
  { url: "https://h.example", headers: { "Content-Length": "1" } },
  { url: "https://h.example", headers: { "webhook-id": "1" } },
  { url: "https://h.example", headers: { "a b": "1" } },
  { url: "https://h.example", headers: { a: "1\r\nb: 2" } },
  { url: "https://h.example", answers: { delivered: [99] } },
  { url: "https://h.example", answers: { delivered: ["ok"] } },
  { url: "https://h.example", tls: { cert: "x" } },
  { url: "https://h.example", tls: { verify: false } },
  { url: "https://h.example", check_path: "health" },
])("settings %j are refused", (settings) => {
  expect(webhook.settings.safeParse(settings).success).toBe(false);
});

test("every setting that holds a secret is marked, and every setting is described", async () => {
  const { toJSONSchema } = await import("zod");
  const schema = toJSONSchema(webhook.settings, { io: "input", unrepresentable: "any" }) as unknown as Schema;
  const secrets: string[] = [];
  const undescribed: string[] = [];
  walk(schema, "", (path, node) => {
    if (node.secret === true) secrets.push(path);
    if (node.description === undefined) undescribed.push(path);
  });
  expect(secrets).toEqual(["url", "headers", "secret", "tls.key"]);
  expect(undescribed).toEqual([]);
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly secret?: boolean;
  readonly description?: string;
}

function walk(schema: Schema, path: string, visit: (path: string, node: Schema) => void): void {
  for (const [name, node] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? name : `${path}.${name}`;
    visit(at, node);
    walk(node, at, visit);
  }
}
