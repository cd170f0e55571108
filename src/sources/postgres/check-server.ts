import type pg from "pg";
import type { Finding } from "../../contracts/finding.ts";
import { quoteIdentifier } from "../../kit/sql.ts";

export interface ServerFacts {
  /** As a number: 180004. */
  readonly version: number;
  readonly role: string;
  readonly database: string;
  readonly standby: boolean;
  readonly walLevel: string;
  readonly maxSlots: number;
  readonly usedSlots: number;
  readonly ourSlotExists: boolean;
  readonly maxSenders: number;
  readonly usedSenders: number;
  readonly mayReplicate: boolean;
  readonly mayCreate: boolean;
  readonly mayEmit: boolean;
  /** Name and arguments, for a GRANT. */
  readonly emitFunction: string;
  /** -1: no limit. */
  readonly maxSlotWalKeepMb: number;
  /** 0: never. */
  readonly walSenderTimeoutMs: number;
  /** 0: never; null: the server does not have it. */
  readonly idleSlotTimeoutSeconds: number | null;
  readonly cloud: "rds" | "cloudsql" | "azure" | null;
}

const FACTS = `
  SELECT json_build_object(
    'version', current_setting('server_version_num')::int,
    'role', current_user, 'database', current_database(),
    'standby', pg_is_in_recovery(),
    'walLevel', current_setting('wal_level'),
    'maxSlots', current_setting('max_replication_slots')::int,
    'usedSlots', (SELECT count(*) FROM pg_replication_slots WHERE NOT coalesce(temporary, false)),
    'ourSlotExists', EXISTS (SELECT FROM pg_replication_slots WHERE slot_name::text = $1),
    'maxSenders', current_setting('max_wal_senders')::int,
    'usedSenders', (SELECT count(*) FROM pg_stat_get_wal_senders()),
    'mayReplicate', (SELECT r.rolsuper OR r.rolreplication FROM pg_roles r WHERE r.rolname = current_user)
       OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'MEMBER')),
    'mayCreate', has_database_privilege(current_database(), 'CREATE'),
    'mayEmit', (SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p
                 WHERE p.proname = 'pg_logical_emit_message' AND p.proargtypes[1] = 'text'::regtype AND p.proargtypes[2] = 'text'::regtype),
    'emitFunction', (SELECT 'pg_catalog.pg_logical_emit_message(' || pg_get_function_identity_arguments(p.oid) || ')' FROM pg_proc p
                      WHERE p.proname = 'pg_logical_emit_message' AND p.proargtypes[2] = 'text'::regtype LIMIT 1),
    'maxSlotWalKeepMb', (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
    'walSenderTimeoutMs', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'),
    'idleSlotTimeoutSeconds', (SELECT setting::bigint FROM pg_settings WHERE name = 'idle_replication_slot_timeout'),
    'cloud', CASE WHEN EXISTS (SELECT FROM pg_settings WHERE name = 'rds.logical_replication') THEN 'rds'
                  WHEN EXISTS (SELECT FROM pg_settings WHERE name = 'cloudsql.logical_decoding') THEN 'cloudsql'
                  WHEN EXISTS (SELECT FROM pg_settings WHERE name = 'azure.extensions') THEN 'azure' END
  )::text AS facts`;

export async function readServer(client: pg.Client, slot: string): Promise<ServerFacts> {
  const { rows } = await client.query<{ facts: string }>(FACTS, [slot]);
  return JSON.parse(rows[0]!.facts) as ServerFacts;
}

const RESTART = "then restart the server";
const RELOAD = "SELECT pg_reload_conf();";
const SMALL_KEEP_MB = 1024;
const SHORT_SENDER_TIMEOUT_MS = 10_000;
const SHORT_IDLE_SECONDS = 86_400;

export function serverFindings(server: ServerFacts, slot: string): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (level: Finding["level"], code: string, message: string, fix: string) => {
    findings.push({ level, code: `postgres.${code}`, message, fix });
  };
  const role = quoteIdentifier(server.role);
  const major = Math.floor(server.version / 10_000);
  if (major < 14) {
    add(
      "error",
      "version",
      `PostgreSQL ${major} is older than 14, the oldest that is supported.`,
      "Upgrade the server.",
    );
  }
  if (server.standby) {
    add(
      "error",
      "standby",
      "This server is a standby: publications and messages in the log can only be made on the primary.",
      "Connect to the primary (for a cluster with one address for all: the writer's).",
    );
  }
  if (server.walLevel !== "logical") {
    add(
      "error",
      "wal_level",
      `wal_level is ${server.walLevel}; the log must be written as \`logical\`.`,
      walLevelFix(server),
    );
  }
  if (!server.mayReplicate) {
    add(
      "error",
      "role_replication",
      `The role ${role} may not replicate.`,
      server.cloud === "rds" ? `GRANT rds_replication TO ${role};` : `ALTER ROLE ${role} REPLICATION;`,
    );
  }
  if (!server.ourSlotExists && server.usedSlots >= server.maxSlots) {
    add(
      "error",
      "slots",
      `All ${server.maxSlots} replication slots are taken; ${slot} needs one.`,
      `Drop one that nobody needs (SELECT pg_drop_replication_slot('…');), or ${settingFix(server, "max_replication_slots", server.usedSlots + 5)}`,
    );
  }
  // A reader of ours that runs now has its sender already.
  if (!server.ourSlotExists && server.usedSenders >= server.maxSenders) {
    add(
      "error",
      "wal_senders",
      `All ${server.maxSenders} WAL senders are in use; reading needs one.`,
      settingFix(server, "max_wal_senders", server.usedSenders + 5),
    );
  }
  if (!server.mayEmit) {
    add(
      "warning",
      "emit_message",
      `The role ${role} may not write messages into the log: while our tables are quiet and other databases are not, the slot holds on to log.`,
      `GRANT EXECUTE ON FUNCTION ${server.emitFunction} TO ${role};`,
    );
  }
  findings.push(...retentionFindings(server));
  // Off, or longer than ours: our session sets its own.
  if (server.walSenderTimeoutMs > 0 && server.walSenderTimeoutMs < SHORT_SENDER_TIMEOUT_MS) {
    add(
      "warning",
      "wal_sender_timeout",
      `wal_sender_timeout is ${server.walSenderTimeoutMs} ms: a short pause of the network ends the stream.`,
      `ALTER ROLE ${role} SET wal_sender_timeout = '60s';`,
    );
  }
  return findings;
}

function retentionFindings(server: ServerFacts): readonly Finding[] {
  const { maxSlotWalKeepMb: keepMb, idleSlotTimeoutSeconds: idleSeconds } = server;
  const findings: Finding[] = [];
  if (keepMb === -1) {
    findings.push({
      level: "warning",
      code: "postgres.max_slot_wal_keep_size",
      message:
        "max_slot_wal_keep_size is -1: while Tailrace is stopped, the log that it has not read grows until the disk is full.",
      fix: reloadFix(
        server,
        "max_slot_wal_keep_size",
        "'50GB'",
        "how much log you can spare (beyond it, a resync is needed)",
      ),
    });
  } else if (keepMb < SMALL_KEEP_MB) {
    findings.push({
      level: "warning",
      code: "postgres.max_slot_wal_keep_size",
      message: `max_slot_wal_keep_size is ${keepMb} MB: a short stop under load loses the slot, and with it the place in the log.`,
      fix: reloadFix(server, "max_slot_wal_keep_size", "'50GB'", "how much log you can spare"),
    });
  }
  if (idleSeconds !== null && idleSeconds > 0 && idleSeconds < SHORT_IDLE_SECONDS) {
    findings.push({
      level: "warning",
      code: "postgres.idle_replication_slot_timeout",
      message: `idle_replication_slot_timeout is ${idleSeconds} s: a stop of that length loses the slot, and with it the place in the log.`,
      fix: reloadFix(server, "idle_replication_slot_timeout", "'7d'", "longer than Tailrace is ever stopped"),
    });
  }
  return findings;
}

function walLevelFix(server: ServerFacts): string {
  switch (server.cloud) {
    case "rds":
      return "Set rds.logical_replication = 1 in the parameter group, then reboot the instance (the writer, for Aurora).";
    case "cloudsql":
      return "Set the flag cloudsql.logical_decoding = on, then restart the instance.";
    case "azure":
      return "Set the server parameter wal_level = logical, then restart the server.";
    default:
      return `ALTER SYSTEM SET wal_level = logical; ${RESTART}`;
  }
}

function settingFix({ cloud }: ServerFacts, name: string, value: number): string {
  return cloud === null
    ? `ALTER SYSTEM SET ${name} = ${value}; ${RESTART}`
    : `set ${name} = ${value} in the instance's parameters, then restart it`;
}

function reloadFix({ cloud }: ServerFacts, name: string, value: string, comment: string): string {
  return cloud === null
    ? `ALTER SYSTEM SET ${name} = ${value}; ${RELOAD} -- ${comment}`
    : `Set ${name} = ${value} in the instance's parameters (${comment}).`;
}
