import type { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import { type Address, addressOf, isLoopback } from "../../kit/mysql/address.ts";
import { modelFindings } from "./check-model.ts";
import { serverFindings } from "./check-server.ts";
import { type Connection, connect } from "./connection.ts";
import { probeDump } from "./dump.ts";
import { type Server, readLogEnd, readLogFiles, readServer } from "./server.ts";
import type { Settings } from "./settings.ts";
import { asSourceError, serverErrorNumber } from "./source-error.ts";
import { literal } from "./sql.ts";

export interface CheckOptions {
  readonly signal: AbortSignal;
  readonly baseDirectory?: string | undefined;
  readonly database: string | undefined;
  readonly serverId: number;
}

export async function check(
  settings: Settings,
  needs: readonly ModelNeeds[],
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const address = addressOf(settings);
  if ("problem" in address) return [{ level: "error", code: "mysql.settings", message: address.problem }];
  let connection: Connection;
  try {
    connection = await connect(settings, options);
  } catch (error) {
    options.signal.throwIfAborted();
    return [...tlsFindings(address), reachability(asSourceError(error))];
  }
  const cut = () => connection.destroy();
  options.signal.addEventListener("abort", cut, { once: true });
  try {
    return [...tlsFindings(address), ...(await checkWith(connection, settings, needs, options))];
  } catch (error) {
    options.signal.throwIfAborted();
    return [reachability(asSourceError(error))];
  } finally {
    options.signal.removeEventListener("abort", cut);
    await connection.close();
  }
}

async function checkWith(
  connection: Connection,
  settings: Settings,
  needs: readonly ModelNeeds[],
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const server = await readServer(connection);
  const account = await accountOf(connection);
  const findings: Finding[] = [...serverFindings(server, options.serverId)];
  if (server.variables.log_bin === "ON") {
    findings.push(...(await replicaFindings(connection, server)));
    findings.push(...(await logFindings(connection, server, settings, account, options)));
  }
  for (const need of needs)
    findings.push(...(await modelFindings(connection, need, server, account, options.database)));
  return findings;
}

/** The user as a GRANT names it. */
async function accountOf(connection: Connection): Promise<string> {
  const [user = "", host = "%"] = ((await connection.value("SELECT CURRENT_USER()")) ?? "").split("@");
  return `${literal(user)}@${literal(host)}`;
}

/** Whether the log may be looked at and read: by doing it. */
async function logFindings(
  connection: Connection,
  server: Server,
  settings: Settings,
  account: string,
  options: CheckOptions,
): Promise<readonly Finding[]> {
  try {
    const end = await readLogEnd(connection, server);
    await readLogFiles(connection);
    const place = { epoch: 1, file: end.file, offset: end.offset, ordinal: 0, begun: 0, gtid: "" };
    // Another number than ours: a running Tailrace is not to be disturbed.
    const dump = {
      mariadb: server.mariadb,
      serverId: options.serverId === 1 ? 2 : options.serverId - 1,
      silentAfterMs: settings.silent_after_ms,
      base: end.base,
    };
    await probeDump(await connect(settings, options), { by: "place", epoch: 1, place }, dump);
    return [];
  } catch (error) {
    options.signal.throwIfAborted();
    const named = asSourceError(error);
    const denied = serverErrorNumber(error) === 1227 || /privilege|access denied/i.test(named.message);
    if (!denied) return [reachability(named)];
    const client = server.mariadb ? "BINLOG MONITOR" : "REPLICATION CLIENT";
    return [
      {
        level: "error",
        code: "mysql.replication_privilege",
        message: `The user may not read the binary log: ${named.message}.`,
        fix: `GRANT REPLICATION SLAVE, ${client} ON *.* TO ${account};`,
      },
    ];
  }
}

/** Of a server that is a replica itself. */
async function replicaFindings(connection: Connection, server: Server): Promise<readonly Finding[]> {
  const { variables, mariadb } = server;
  let isReplica: boolean;
  try {
    isReplica = (await connection.rows(mariadb ? "SHOW ALL SLAVES STATUS" : "SHOW REPLICA STATUS")).length > 0;
  } catch (error) {
    // A privilege that reading does not need.
    if (serverErrorNumber(error) !== null) return [];
    throw error;
  }
  if (!isReplica) return [];
  const findings: Finding[] = [];
  if ((variables.log_replica_updates ?? variables.log_slave_updates) === "OFF") {
    findings.push({
      level: "error",
      code: "mysql.replica_updates",
      message: "The server is a replica, and does not write what it receives into its own binary log.",
      fix: "In the server's configuration: log_slave_updates = ON, then restart it. Or read from the primary.",
    });
  }
  if (variables.replica_preserve_commit_order === "OFF") {
    findings.push({
      level: "warning",
      code: "mysql.commit_order",
      message:
        "The replica commits in another order than its primary: after a failover, rows may be sent again, or a gap be reported.",
      fix: "SET GLOBAL replica_preserve_commit_order = ON;",
    });
  }
  return findings;
}

function reachability(error: TailraceError): Finding {
  return { level: "error", code: error.code.replace("source.", "mysql."), message: error.message, fix: error.hint };
}

/** What the connection's encryption does not protect from. */
function tlsFindings({ host, tls }: Address): readonly Finding[] {
  if (isLoopback(host) || tls.mode.startsWith("verify")) return [];
  const off = tls.mode === "disable";
  return [
    {
      level: "warning",
      code: off ? "mysql.tls_off" : "mysql.tls_unverified",
      message: off
        ? "The connection to a remote host is not encrypted: rows travel in plain text."
        : "`require` encrypts, and does not verify whom it talks to: somebody in between can read and change everything.",
      fix: "tls: { mode: verify-full, ca: FILE } (and no `ssl-mode` in the url)",
    },
  ];
}
