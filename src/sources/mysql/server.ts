// What kind of server it is, its settings, and where its log stands.
import { TailraceError } from "../../contracts/errors.ts";
import type { Connection } from "./connection.ts";
import { literal } from "./sql.ts";
import { fileNumber } from "./wire/events.ts";

const VARIABLES = [
  "version",
  "server_id",
  "server_uuid",
  "hostname",
  "log_bin",
  "binlog_format",
  "binlog_row_image",
  "binlog_row_metadata",
  "binlog_row_value_options",
  "binlog_checksum",
  "binlog_transaction_compression",
  "binlog_expire_logs_seconds",
  "binlog_expire_logs_auto_purge",
  "expire_logs_days",
  "gtid_mode",
  "gtid_strict_mode",
  "log_slave_updates",
  "log_replica_updates",
  "replica_preserve_commit_order",
  "super_read_only",
] as const;

export interface Server {
  readonly mariadb: boolean;
  /** `[10, 11, 19]` */
  readonly version: readonly number[];
  /** Tells it from the other servers of its replication: MySQL's server_uuid, MariaDB's server_id. */
  readonly identity: string;
  readonly variables: Readonly<Partial<Record<(typeof VARIABLES)[number], string>>>;
}

export async function readServer(connection: Connection): Promise<Server> {
  const rows = await connection.rows(
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${VARIABLES.map(literal).join(", ")})`,
  );
  const variables = Object.fromEntries(
    rows.map((row) => [row["Variable_name"]!, row["Value"] ?? ""]),
  ) as Server["variables"];
  const text = variables.version ?? "";
  const mariadb = /mariadb/i.test(text);
  return {
    mariadb,
    version: (/\d+(\.\d+)*/.exec(text.replace(/^5\.5\.5-/, ""))?.[0] ?? "0").split(".").map(Number),
    identity: mariadb ? `server_id ${variables.server_id}` : (variables.server_uuid ?? ""),
    variables,
  };
}

/** Whether the version is at least this one. */
export function isAtLeast({ version }: Server, ...wanted: readonly number[]): boolean {
  for (const [i, part] of wanted.entries()) if (version[i] !== part) return (version[i] ?? 0) > part;
  return true;
}

export interface LogEnd {
  /** The file's name without its number. */
  readonly base: string;
  readonly file: number;
  readonly offset: number;
  /** MySQL: the transactions that are committed. */
  readonly executed: string;
}

/** Where the log ends now. Throws `source.config` when there is none. */
export async function readLogEnd(connection: Connection, server: Server): Promise<LogEnd> {
  const renamed = !server.mariadb && isAtLeast(server, 8, 2);
  const [row] = await connection.rows(renamed ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS");
  if (!row) throw new TailraceError("source.config", "the server writes no binary log: set log_bin and restart it");
  const name = row["File"]!;
  return {
    base: name.replace(/\d+$/, ""),
    file: fileNumber(name),
    offset: Number(row["Position"]),
    executed: (row["Executed_Gtid_Set"] ?? "").replaceAll("\n", ""),
  };
}

export interface LogFile {
  readonly name: string;
  readonly number: number;
  readonly bytes: number;
}

/** The files of the log that are kept, the oldest first. */
export async function readLogFiles(connection: Connection): Promise<readonly LogFile[]> {
  const rows = await connection.rows("SHOW BINARY LOGS");
  return rows.map((row) => ({
    name: row["Log_name"]!,
    number: fileNumber(row["Log_name"]!),
    bytes: Number(row["File_size"]),
  }));
}

/** Names of character sets by the numbers of their collations. */
export async function readCharsets(connection: Connection, { mariadb }: Server): Promise<ReadonlyMap<number, string>> {
  // MariaDB's newer collations have no number in the other table.
  const numbered =
    mariadb &&
    (await connection.value(
      "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' " +
        "AND TABLE_NAME = 'COLLATION_CHARACTER_SET_APPLICABILITY' AND COLUMN_NAME = 'ID'",
    )) !== null;
  const table = numbered ? "COLLATION_CHARACTER_SET_APPLICABILITY" : "COLLATIONS";
  const rows = await connection.rows(`SELECT ID, CHARACTER_SET_NAME FROM information_schema.${table}`);
  return new Map(rows.map((row) => [Number(row["ID"]), row["CHARACTER_SET_NAME"]!]));
}
