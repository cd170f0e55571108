// SMTP is no HTTP API: what the suite of vendors asks of those is asked here of mails, with a real server.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { rate } from "../../../src/app/config/schema-parts.ts";
import type { TailraceError } from "../../../src/contracts/errors.ts";
import smtp from "../../../src/destinations/smtp/index.ts";
import { CA, MailServer, type Step, type Trouble } from "../../mocks/smtp/smtp.ts";
import { prng } from "../../support/prng.ts";
import { VendorRun, type VendorRunOptions } from "../../support/vendor-lane.ts";
import { canaryLog, eventually, neverAborted, readable } from "../running.ts";
import { checkSettings, secretPlaces } from "../settings.ts";

const SECRET = `SECRET${randomBytes(12).toString("hex")}`;
const CANARY = `ROW${randomBytes(12).toString("hex")}`;
const log = canaryLog();
const said: string[] = [];

async function mailServer(options: { tls?: boolean; size?: number } = {}): Promise<MailServer> {
  const server = await MailServer.start(SECRET, options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

const settingsOf = (server: MailServer, more: object = {}): object => ({
  host: "127.0.0.1",
  port: server.port,
  user: "user",
  password: SECRET,
  ca: CA,
  allow_private: true,
  timeout_ms: 5000,
  ...more,
});

async function run(server: MailServer, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: smtp,
    settings: settingsOf(server),
    object: null,
    mode: "event",
    columns: { email: "text", subject: "text", text: "text" },
    options: { from: { email: "hello@example.com", name: "Hello" } },
    log: log.log,
    ...options,
  });
  onTestFinished(async () => {
    for (const error of [...opened.stops, ...opened.rejected.map((each) => each.error)]) said.push(readable(error));
    await opened[Symbol.asyncDispose]();
  });
  return opened;
}

const mail = (n: number, subject = `mail ${n}`): Record<string, string> => ({
  email: `u${n}@example.com`,
  subject,
  text: n % 3 === 0 ? CANARY : "text",
});

const subjects = (server: MailServer): string[] =>
  [...new Set(server.mails.map(({ headers }) => headers.get("subject")!))].sort();

test("its settings are documented and mark their secrets; its example is right", async () => {
  expect([...checkSettings(smtp.settings), ...checkSettings(smtp.sync)]).toEqual([]);
  const server = await mailServer();
  const places = secretPlaces(smtp.settings, settingsOf(server), SECRET);
  expect(places).toEqual([{ path: "password", marked: true }]);
  const example = parse(smtp.guide!.example) as Record<
    "destinations" | "syncs",
    Record<string, Record<string, unknown>>
  >;
  const { type, rate: givenRate, ...settings } = example.destinations["mail"]!;
  expect(type).toBe("smtp");
  rate.parse(givenRate);
  smtp.settings.parse(settings);
  smtp.sync.parse(example.syncs["welcome"]!["options"]);
});

for (const mode of ["event", "insert"] as const) {
  test(`${mode}: after a random mix with faults every mail is there`, { timeout: 60_000 }, async () => {
    const server = await mailServer();
    const random = prng(mode.length);
    // A repeat is told by its Message-ID; an insert whose answer was lost is repeated all the same.
    const troubles: [Step, Trouble][] = [
      ["connect", "421 4.3.2 busy"],
      ["from", "451 4.3.0 later"],
      ["to", "cut"],
      ["data", "cut"],
      ["data", "cut-after"],
      ["data", "421 4.3.0 closing"],
    ];
    let struck = 0;
    server.trouble((step) => {
      const fitting = troubles.filter(([at]) => at === step);
      if (fitting.length === 0 || !random.chance(0.03)) return null;
      struck += 1;
      return random.pick(fitting)[1];
    });
    const mails = await run(server, { mode });
    for (let n = 0; n < 60; n++) mails.put(mail(n), "insert");
    await mails.finished();
    expect([mails.delivered, mails.rejected, mails.stops]).toEqual([60, [], []]);
    expect(struck).toBeGreaterThan(2);
    expect(subjects(server)).toHaveLength(60);
    expect(new Set(server.mails.map(({ headers }) => headers.get("message-id"))).size).toBe(60);
  });
}

test("a mail is what was mapped: names, texts of any language, both forms, and no header that a value begins", async () => {
  const server = await mailServer();
  const columns = { email: "text", name: "text", subject: "text", text: "text", html: "text" };
  const options = { from: { email: "hello@example.com", name: "Grüße" }, reply_to: { email: "help@example.com" } };
  const mails = await run(server, { columns, options });
  const text = `日本語 🚰\nsecond "line"\n.\nend ${"long ".repeat(40)}`;
  mails.put(
    { email: "a@example.com", name: "Ada\r\nBcc: x@example.com", subject: "café\nX-Bad: 1", text, html: "<p>é</p>" },
    "insert",
  );
  await mails.finished();
  expect([mails.delivered, mails.rejected]).toEqual([1, []]);
  const [got] = server.mails;
  expect([got?.from, got?.to, got?.secure]).toEqual(["hello@example.com", "a@example.com", true]);
  expect(got?.headers.get("from")).toBe("Grüße <hello@example.com>");
  expect(got?.headers.get("reply-to")).toBe("help@example.com");
  expect(got?.headers.get("message-id")).toMatch(/^<[0-9a-f]{40}@example\.com>$/);
  expect([...got!.headers.keys()].filter((name) => name === "bcc" || name === "x-bad")).toEqual([]);
  expect(got?.bodies.get("text/plain")?.replaceAll("\r\n", "\n")).toBe(text);
  expect(got?.bodies.get("text/html")).toBe("<p>é</p>");
});

test("connections are used again, and closed at the end", async () => {
  const server = await mailServer();
  const mails = await run(server);
  for (let n = 0; n < 50; n++) mails.put(mail(n), "insert");
  await mails.finished();
  expect(server.mails).toHaveLength(50);
  expect(server.sessions).toBeLessThanOrEqual(4);
  await mails[Symbol.asyncDispose]();
  await eventually(async () => server.connections === 0);
});

test("a recipient that the server refuses, or that is no address, is rejected, and no other", async () => {
  const server = await mailServer();
  server.trouble((step, address) =>
    step === "to" && address === "u5@example.com" ? `550 5.1.1 <${address}> unknown` : null,
  );
  const mails = await run(server);
  for (let n = 0; n < 10; n++) mails.put(mail(n), "insert");
  mails.put({ ...mail(20), email: "a@example.com>\r\nRCPT TO:<b@example.com" }, "insert");
  mails.put({ ...mail(21), email: "" }, "insert");
  await mails.finished();
  expect(mails.rejected.map(({ key }) => key).sort()).toEqual([
    "",
    "a@example.com>\r\nRCPT TO:<b@example.com",
    "u5@example.com",
  ]);
  const refused = mails.rejected.find(({ key }) => key === "u5@example.com")!.error;
  expect([refused.code, refused.message]).toEqual(["destination.refused", "The mail server answered 550 to RCPT TO"]);
  expect(refused.answer).toBe("550 5.1.1 <u5@▒> unknown");
  expect([mails.delivered, server.mails.length, mails.stops]).toEqual([9, 9, []]);
});

test("a recipient that is to be tried later is tried later, and holds back no other", async () => {
  const server = await mailServer();
  server.trouble((step, address) => (step === "to" && address === "u1@example.com" ? "450 4.2.0 greylisted" : null));
  const mails = await run(server);
  for (const n of [0, 1, 2]) mails.put(mail(n), "insert");
  await eventually(async () => mails.delivered === 2);
  expect([mails.left, mails.rejected]).toEqual([1, []]);
});

test("a mail that is larger than the server takes is rejected, and no other", async () => {
  const server = await mailServer({ size: 50_000 });
  const mails = await run(server);
  mails.put(mail(1), "insert");
  mails.put({ ...mail(2), text: "x".repeat(60_000) }, "insert");
  mails.put(mail(3), "insert");
  await mails.finished();
  expect(mails.rejected.map(({ key, error }) => [key, error.code])).toEqual([
    ["u2@example.com", "destination.too_large"],
  ]);
  expect(server.mails).toHaveLength(2);
});

test("a refused sender stops the sync, and rejects no row", async () => {
  const server = await mailServer();
  server.trouble((step) => (step === "from" ? "553 5.7.1 not yours" : null));
  const mails = await run(server);
  mails.put(mail(1), "insert");
  await mails.finished();
  expect(mails.rejected).toEqual([]);
  expect(mails.stops.map(({ code, message }) => [code, message])).toEqual([
    ["destination.config", "The mail server answered 553 to MAIL FROM"],
  ]);
});

test("a refused password makes the sync wait, and one that is replaced is taken up", async () => {
  const server = await mailServer();
  const folder = mkdtempSync(join(tmpdir(), "tailrace-smtp-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "password");
  writeFileSync(file, SECRET);
  const mails = await run(server, { settings: settingsOf(server, { password: { file } }) });
  mails.put(mail(1), "insert");
  await mails.finished();
  server.password = `${SECRET}-next`;
  writeFileSync(file, server.password);
  await server.down();
  await server.up();
  mails.put(mail(2), "insert");
  await mails.finished();
  expect([mails.delivered, mails.stops, mails.rejected]).toEqual([2, [], []]);
  const wrong = await run(server, { settings: settingsOf(server, { password: "wrong" }) });
  wrong.put(mail(3), "insert");
  await eventually(async () => wrong.gate.closedBy !== null);
  said.push(readable(wrong.gate.closedBy as TailraceError));
  expect([wrong.gate.closedBy?.code, wrong.left, wrong.rejected]).toEqual(["destination.auth", 1, []]);
});

test("nothing is sent without the encryption and the certificate that the settings ask for", async () => {
  const plain = await mailServer({ tls: false });
  const secure = await mailServer();
  const findings = async (server: MailServer, more: object): Promise<string[]> => {
    const opened = await run(server, { settings: settingsOf(server, more) });
    const found = await opened.destination.check([opened.target], neverAborted());
    said.push(JSON.stringify(found));
    return found.map(({ code }) => code);
  };
  expect(await findings(secure, {})).toEqual([]);
  // Its certificate is for this name as well, which leads to two addresses where there is IPv6.
  expect(await findings(secure, { host: "localhost" })).toEqual([]);
  expect(await findings(plain, { security: "none", ca: undefined })).toEqual([]);
  expect(await findings(plain, {})).toEqual(["destination.unreachable"]);
  expect(await findings(secure, { ca: undefined })).toEqual(["destination.unreachable"]);
  expect(await findings(secure, { allow_private: false })).toEqual(["destination.blocked_address"]);
});

test("an abort ends a mail that waits, and nothing is begun after it", async () => {
  const server = await mailServer();
  server.trouble((step) => (step === "data" ? "hang" : null));
  const mails = await run(server);
  mails.put(mail(1), "insert");
  await eventually(async () => server.sessions === 1 && mails.gate.inFlight === 1);
  await mails[Symbol.asyncDispose]();
  expect(mails.delivered).toBe(0);
  await eventually(async () => server.connections === 0);
});

test("after a kill while mails are unanswered it goes on, with the same Message-IDs", async () => {
  const server = await mailServer();
  server.trouble((step) => (step === "data" ? "cut-after" : null));
  const first = await run(server);
  for (let n = 0; n < 4; n++) first.put(mail(n), "insert", n + 1);
  await eventually(async () => server.mails.length >= 4);
  await first[Symbol.asyncDispose]();
  server.trouble(() => null);
  const second = await run(server);
  for (let n = 0; n < 4; n++) second.put(mail(n), "insert", n + 1);
  await second.finished();
  expect(second.delivered).toBe(4);
  expect(new Set(server.mails.map(({ headers }) => headers.get("message-id"))).size).toBe(4);
});

test("what cannot be reached is waited for, and told by check", async () => {
  const server = await mailServer();
  const mails = await run(server);
  await server.down();
  mails.put(mail(1), "insert");
  await eventually(async () => mails.gate.inFlight === 0);
  const findings = await mails.destination.check([mails.target], neverAborted());
  said.push(JSON.stringify(findings));
  expect(findings.map(({ code, message }) => [code, message])).toEqual([
    ["destination.unreachable", "The connection to the mail server was refused (ECONNREFUSED)"],
  ]);
  await server.up();
  await mails.finished();
  expect(mails.delivered).toBe(1);
});

test("check says what a mail lacks, and other modes are refused", async () => {
  const server = await mailServer();
  const opened = await run(server, { columns: { email: "text", text: "text", nickname: "text" } });
  const findings = await opened.destination.check(
    [opened.target, { ...opened.target, mode: "upsert" }, { ...opened.target, shape: { fields: [] } }],
    neverAborted(),
  );
  expect(findings.map(({ message }) => message)).toEqual([
    "A mail has no field `nickname`.",
    "A mail needs `subject`, which is not mapped.",
    "SMTP: mode `upsert` is not possible: a mail cannot be changed or taken back; it can do event, insert",
    "SMTP: a mail needs a field `text` or `html`",
  ]);
  await expect(run(server, { mode: "mirror" })).rejects.toThrow("mode `mirror` is not possible");
});

// Last: it looks at everything that the tests above have provoked.
test("no secret and no row value is in a log line, an error or a finding", () => {
  expect(said.length).toBeGreaterThan(5);
  const everything = [...said, ...log.lines];
  for (const word of [SECRET, CANARY, Buffer.from(SECRET).toString("base64")])
    expect(everything.filter((text) => text.includes(word))).toEqual([]);
});
