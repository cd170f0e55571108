import type { Finding } from "../../contracts/finding.ts";
import { type Server, isAtLeast } from "./server.ts";

const DAY_SECONDS = 86_400;

/** The server's settings. */
export function serverFindings(server: Server, serverId: number): readonly Finding[] {
  const { mariadb, variables } = server;
  const findings: Finding[] = [];
  const add = (level: Finding["level"], code: string, message: string, fix?: string): void => {
    findings.push({ level, code: `mysql.${code}`, message, fix });
  };
  const global = (name: string, value: string): string =>
    mariadb
      ? `SET GLOBAL ${name} = ${value}; -- and in the server's configuration, so that it stays`
      : `SET PERSIST ${name} = ${value};`;
  if (!isAtLeast(server, ...(mariadb ? [10, 5] : [8, 0]))) {
    const least = mariadb ? "MariaDB 10.5" : "MySQL 8.0";
    add(
      "warning",
      "version",
      `The server is older than ${least}, with which Tailrace is known to work.`,
      "Upgrade it.",
    );
  }
  if (variables.log_bin !== "ON") {
    add(
      "error",
      "log_bin",
      "The server writes no binary log.",
      "In the server's configuration: log_bin = binlog, then restart it.",
    );
    return findings;
  }
  if (variables.server_id === "0")
    add(
      "error",
      "server_id",
      "The server has no number (server_id = 0) and serves no replica.",
      global("server_id", "1"),
    );
  if (variables.server_id === String(serverId))
    add(
      "error",
      "server_id",
      `The server's own server_id is ${serverId}, which is also that of the source.`,
      "Set another `server_id` on the source.",
    );
  if (variables.binlog_format !== undefined && variables.binlog_format !== "ROW") {
    add(
      "error",
      "binlog_format",
      `binlog_format is ${variables.binlog_format}: the log holds statements, not rows.`,
      `${global("binlog_format", "'ROW'")} Sessions that are open keep the old format until they reconnect.`,
    );
  }
  if (!mariadb && variables.gtid_mode !== "ON") {
    add(
      "error",
      "gtid_mode",
      "Transactions have no GTIDs: a backfill could not be joined to the log, and no failover be survived.",
      "SET PERSIST enforce_gtid_consistency = ON; then gtid_mode one step at a time: OFF_PERMISSIVE, ON_PERMISSIVE, ON.",
    );
  }
  if (variables.binlog_row_value_options === "PARTIAL_JSON")
    add(
      "error",
      "partial_json",
      "Updates of JSON values are in the log as differences, which are not read.",
      global("binlog_row_value_options", "''"),
    );
  if (variables.binlog_row_image !== "FULL") {
    add(
      "warning",
      "row_image",
      `binlog_row_image is ${variables.binlog_row_image ?? "?"}: rows that are needed whole are read again by their key, which costs a query each batch.`,
      global("binlog_row_image", "'FULL'"),
    );
  }
  if (variables.binlog_row_metadata !== "FULL") {
    add(
      "warning",
      "row_metadata",
      `binlog_row_metadata is ${variables.binlog_row_metadata ?? "not known to the server"}: the log does not name its columns. An ALTER TABLE while Tailrace is behind is a gap then.`,
      global("binlog_row_metadata", "'FULL'"),
    );
  }
  const kept = keptSeconds(server);
  if (kept !== null && kept < DAY_SECONDS) {
    add(
      "warning",
      "retention",
      `The server deletes its binary log after ${Math.round(kept / 3600)} hours: a Tailrace that stands still for longer must resync.`,
      global("binlog_expire_logs_seconds", String(7 * DAY_SECONDS)),
    );
  }
  return findings;
}

/** For how long the log is kept; null: until somebody deletes it. */
function keptSeconds({ variables }: Server): number | null {
  if (variables.binlog_expire_logs_auto_purge === "OFF") return null;
  const seconds =
    Number(variables.binlog_expire_logs_seconds ?? 0) || Number(variables.expire_logs_days ?? 0) * DAY_SECONDS;
  return seconds === 0 ? null : seconds;
}
