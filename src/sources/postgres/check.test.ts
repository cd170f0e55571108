import { expect, test } from "vitest";
import { TailraceError } from "../../contracts/errors.ts";
import { type Address, addressOf } from "../../kit/postgres/address.ts";
import type { ConnectionSettings } from "../../kit/postgres/settings.ts";
import { looksLikePooler, reachability, replicationFinding, tlsFindings } from "./check-connection.ts";
import { type ServerFacts, serverFindings } from "./check-server.ts";

function address(settings: ConnectionSettings): Address {
  const found = addressOf(settings);
  if ("problem" in found) throw new Error(found.problem);
  return found;
}

const FINE: ServerFacts = {
  version: 170_002,
  role: "reader",
  database: "shop",
  standby: false,
  walLevel: "logical",
  maxSlots: 10,
  usedSlots: 1,
  ourSlotExists: false,
  maxSenders: 10,
  usedSenders: 1,
  mayReplicate: true,
  mayCreate: true,
  mayEmit: true,
  emitFunction: "pg_catalog.pg_logical_emit_message(boolean, text, text)",
  maxSlotWalKeepMb: 51_200,
  walSenderTimeoutMs: 60_000,
  idleSlotTimeoutSeconds: null,
  cloud: null,
};
const codes = (facts: Partial<ServerFacts>) => serverFindings({ ...FINE, ...facts }, "slot").map(({ code }) => code);
const fix = (facts: Partial<ServerFacts>) => serverFindings({ ...FINE, ...facts }, "slot")[0]!.fix;

test("what the server's facts mean", () => {
  expect(codes({})).toEqual([]);
  expect(codes({ version: 130_010 })).toEqual(["postgres.version"]);
  expect(codes({ standby: true })).toEqual(["postgres.standby"]);
  expect(codes({ usedSlots: 10 })).toEqual(["postgres.slots"]);
  expect(codes({ usedSlots: 10, ourSlotExists: true })).toEqual([]);
  expect(codes({ usedSenders: 10 })).toEqual(["postgres.wal_senders"]);
  expect(codes({ walSenderTimeoutMs: 0 })).toEqual([]);
  expect(codes({ walSenderTimeoutMs: 1000 })).toEqual(["postgres.wal_sender_timeout"]);
  expect(codes({ maxSlotWalKeepMb: 0 })).toEqual(["postgres.max_slot_wal_keep_size"]);
});

test("the fix is that of the place where the server runs", () => {
  expect(fix({ walLevel: "replica", cloud: "rds" })).toContain("rds.logical_replication");
  expect(fix({ walLevel: "replica", cloud: "cloudsql" })).toContain("cloudsql.logical_decoding");
  expect(fix({ walLevel: "replica", cloud: "azure" })).toContain("server parameter wal_level");
  expect(fix({ mayReplicate: false, cloud: "rds" })).toBe('GRANT rds_replication TO "reader";');
  expect(fix({ usedSenders: 10, cloud: "rds" })).not.toContain("ALTER SYSTEM");
});

test("poolers are told by port, host and URL", () => {
  expect(looksLikePooler(address({ url: "postgres://u:p@db.example.com/x" }))).toBe(false);
  expect(looksLikePooler(address({ url: "postgres://u:p@db.example.com:6543/x" }))).toBe(true);
  expect(looksLikePooler(address({ url: "postgres://u:p@ep-cool-pooler.eu.neon.tech/x" }))).toBe(true);
  expect(looksLikePooler(address({ host: "pgbouncer.internal", port: 5432 }))).toBe(true);
  expect(looksLikePooler(address({ url: "postgres://u:p@db.example.com/x?pgbouncer=true" }))).toBe(true);
  const lost = new TailraceError("source.unreachable", "the connection failed");
  expect(reachability(lost, address({ host: "db", port: 6543 })).fix).toContain("a pooler cannot carry replication");
  expect(replicationFinding(lost, address({ host: "db", port: 6543 }), [])).toMatchObject({ code: "postgres.pooler" });
  expect(replicationFinding(lost, address({ host: "db" }), [])).toMatchObject({
    code: "postgres.replication_connection",
  });
});

test("encryption that does not protect is a warning, on this machine it is not", () => {
  const codesOf = (settings: ConnectionSettings) => tlsFindings(address(settings)).map(({ code }) => code);
  expect(codesOf({ host: "db.example.com" })).toEqual([]);
  expect(codesOf({ host: "db.example.com", tls: { mode: "require" } })).toEqual(["postgres.tls_unverified"]);
  expect(codesOf({ url: "postgres://db.example.com/x?sslmode=require" })).toEqual(["postgres.tls_unverified"]);
  expect(codesOf({ url: "postgres://db.example.com/x?sslmode=require&sslrootcert=ca.pem" })).toEqual([]);
  expect(codesOf({ host: "db.example.com", tls: { mode: "disable" } })).toEqual(["postgres.tls_off"]);
  expect(codesOf({ host: "localhost" })).toEqual([]);
  expect(codesOf({ host: "/var/run/postgresql" })).toEqual([]);
});
