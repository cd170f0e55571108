// Snowflake's client library over its HTTP interface, and what goes wrong there.
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { makeTable, snowflakeAccount, snowflakeSession, snowflakeSettings } from "../../../test/support/snowflake.ts";
import { keyPair } from "../../../test/fakes/snowflake/key-pair.ts";
import type { SnowflakeServer } from "../../../test/fakes/snowflake/server.ts";
import { SnowflakeSession } from "./session.ts";
import { settings } from "./settings.ts";

const signal = new AbortController().signal;
const OPTIONS = { what: "model `m`", signal };
const ROWS = 2_000;
/** Of a machine that is busy. */
const WAIT = { timeout: 20_000 };
let server: SnowflakeServer;

async function accountWithRows(): Promise<SnowflakeServer> {
  const made = await snowflakeAccount({ writes: false });
  await makeTable(made, "T", "ID NUMBER(38,0) NOT NULL PRIMARY KEY, NAME VARCHAR");
  await made.account.sql(
    `INSERT INTO SHOP.PUBLIC.T SELECT I, CONCAT('row ', I) FROM (SELECT UNNEST(RANGE(${ROWS})) AS I)`,
  );
  return made;
}

beforeAll(async () => {
  server = await accountWithRows();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  server.slow = false;
});

const ALL = "SELECT TO_VARCHAR(ID) AS C0, NAME AS C1 FROM T ORDER BY ID";
const EXPECTED = Array.from({ length: ROWS }, (_, id) => [String(id), `row ${id}`]);

test.each([false, true])("a result in many parts comes whole and in order (answered later: %s)", async (slow) => {
  server.slow = slow;
  await using session = snowflakeSession(server);
  const before = server.chunks.fetched;
  expect(await session.rows(ALL, OPTIONS)).toEqual(EXPECTED);
  expect(server.chunks.fetched - before).toBe(Math.ceil((ROWS - 50) / 200));
});

test("addresses of parts that have run out are asked for anew, and nothing is run again", async () => {
  // Anew before each page.
  await using session = snowflakeSession(server, -1);
  const statements = server.account.statements.length;
  const reply = await session.run(ALL, OPTIONS);
  const rows = [];
  for await (const page of reply.pages(signal)) {
    rows.push(...page);
    server.expireAddresses();
  }
  expect(rows).toEqual(EXPECTED);
  expect(server.account.statements.length - statements).toBe(1);
});

test("values arrive as Snowflake prints them", async () => {
  await makeTable(
    server,
    "TYPES",
    "ID NUMBER(38,0), BIG NUMBER(38,10), F FLOAT, B BOOLEAN, D DATE, T TIME, N TIMESTAMP_NTZ, Z TIMESTAMP_TZ, V VARIANT, S VARCHAR",
  );
  const values =
    "12345678901234567890123456789012345678, 1234567890123456789012345678.0123456789, 0.1, TRUE, '2026-02-28', '23:59:59.123456789', '2026-11-24 01:02:03.123456789', '0001-01-01 00:00:00.000000001 -08:00', '{\"n\":12345678901234567890.5}', '𝒳 \"q\" ''s'' \\n'";
  await server.account.sql(
    `INSERT INTO SHOP.PUBLIC.TYPES VALUES (${values}), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
  );
  await using session = snowflakeSession(server);
  const { columns } = await session.run("SELECT * FROM TYPES", { ...OPTIONS, describeOnly: true });
  expect(columns.map(({ type, precision, scale }) => `${type} ${precision} ${scale}`)).toEqual([
    "fixed 38 0",
    "fixed 38 10",
    "real 0 0",
    "boolean 0 0",
    "date 0 0",
    "time 0 9",
    "timestamp_ntz 0 9",
    "timestamp_tz 0 9",
    "variant 0 0",
    "text 0 0",
  ]);
  const { textSql } = await import("./columns.ts");
  const rows = await session.rows(`SELECT ${columns.map((column) => textSql(column)).join(", ")} FROM TYPES`, OPTIONS);
  expect(rows).toEqual([
    [
      "12345678901234567890123456789012345678",
      "1234567890123456789012345678.0123456789",
      "0.1",
      "true",
      "2026-02-28",
      "23:59:59.123456789",
      "2026-11-24 01:02:03.123456789",
      "0001-01-01 00:00:00.000000001 -08:00",
      '{"n":12345678901234567890.5}',
      "𝒳 \"q\" 's' \\n",
    ],
    columns.map(() => null),
  ]);
});

test("a token that has run out is renewed, a session that is gone is opened anew", async () => {
  await using session = snowflakeSession(server);
  await session.rows(ALL, OPTIONS);
  const { renewals, logins } = server;
  server.expireSessions();
  expect(await session.rows(ALL, OPTIONS)).toHaveLength(ROWS);
  expect(server).toMatchObject({ renewals: renewals + 1, logins });
  await server.loseSessions();
  expect(await session.rows(ALL, OPTIONS)).toHaveLength(ROWS);
  expect(server).toMatchObject({ renewals: renewals + 1, logins: logins + 1 });
});

test("503, an answer that is lost, and a result without rows", async () => {
  await using session = snowflakeSession(server);
  const isQuery = ({ path }: { path: string }) => path === "/queries/v1/query-request";
  await session.rows(ALL, OPTIONS);
  server.faults.add(isQuery, { kind: "status", status: 503 });
  expect(await session.rows(ALL, OPTIONS)).toHaveLength(ROWS);
  server.faults.add(isQuery, { kind: "lost" });
  expect(await session.rows(ALL, OPTIONS)).toHaveLength(ROWS);
  const rowtype = [{ name: "A", type: "text", nullable: true }];
  const answer = { success: true, data: { queryId: "q", rowtype, rowset: null, total: 1, returned: 1, version: 1 } };
  server.faults.add(isQuery, { kind: "answer", answer });
  await expect(session.rows(ALL, OPTIONS)).rejects.toMatchObject({ code: "source.unreachable" });
  expect(server.faults.done).toBe(true);
  expect(await session.rows(ALL, OPTIONS)).toHaveLength(ROWS);
});

test("errors are named by what can be done, and say nothing of values", async () => {
  await using session = snowflakeSession(server);
  await expect(session.rows("SELECT ID FROM NOPE", OPTIONS)).rejects.toMatchObject({
    code: "source.model",
    message:
      "model `m`: Snowflake's error 002003 (42S02): SQL compilation error: Object 'SHOP.PUBLIC.NOPE' does not exist or not authorized.",
  });
  await expect(session.rows("SELECT 'secret'::NUMBER FROM T", OPTIONS)).rejects.toMatchObject({
    code: "source.data",
    message: "model `m`: Snowflake's error 100038 (22018)",
  });
  const other = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  await using stranger = new SnowflakeSession(
    settings.parse(snowflakeSettings(server, { private_key: other.privateKey })),
    ".",
  );
  await expect(stranger.rows(ALL, OPTIONS)).rejects.toMatchObject({ code: "source.auth" });
  for (const private_key of ["nonsense", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"]) {
    await using broken = new SnowflakeSession(settings.parse(snowflakeSettings(server, { private_key })), ".");
    const refused = expect(broken.rows(ALL, OPTIONS)).rejects;
    await refused.toMatchObject({ code: "source.config", message: expect.not.stringContaining("MIIB") as string });
  }
  await using elsewhere = new SnowflakeSession(settings.parse(snowflakeSettings(server, { role: "OTHER" })), ".");
  await expect(elsewhere.rows(ALL, OPTIONS)).rejects.toMatchObject({ code: "source.auth" });
});

test.each(["waited for", "not waited for", "left off"])("parts that cannot be had, while they are %s", async (when) => {
  await using server = await accountWithRows();
  await using session = snowflakeSession(server);
  let asked = 0;
  const isPart = ({ path }: { readonly path: string }): boolean => path.startsWith("/chunks/") && ++asked > 0;
  server.faults.add(isPart, { kind: "status", status: 404 }, Number.POSITIVE_INFINITY);
  const reply = await session.run(ALL, OPTIONS);
  const pages = reply.pages(signal);
  const rest = async (): Promise<void> => {
    while ((await pages.next()).done !== true);
  };
  if (when !== "waited for") {
    await pages.next();
    await expect.poll(() => asked, WAIT).toBeGreaterThan(1);
    // The library learns of the answers after they were sent.
    await session.run("SELECT 1", OPTIONS);
  }
  if (when === "left off") await pages.return();
  else await expect(rest()).rejects.toMatchObject({ code: "source.unreachable" });
});

test("a key that is encrypted", async () => {
  const { privateKey: key } = keyPair();
  const private_key = createPrivateKey(key).export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "open",
  });
  const withPassphrase = (private_key_passphrase: string) =>
    new SnowflakeSession(settings.parse(snowflakeSettings(server, { private_key, private_key_passphrase })), ".");
  await using session = withPassphrase("open");
  expect(await session.rows(ALL, OPTIONS)).toHaveLength(ROWS);
  await using other = withPassphrase("shut");
  await expect(other.rows(ALL, OPTIONS)).rejects.toMatchObject({ code: "source.config" });
});

test("who stops does not wait for the answer", async () => {
  await using session = snowflakeSession(server);
  await session.rows(ALL, OPTIONS);
  const stop = new AbortController();
  server.faults.add(({ path }) => path === "/queries/v1/query-request", { kind: "status", status: 503 }, 100);
  const running = session.rows(ALL, { ...OPTIONS, signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
});
