// What a person should know before a sync runs. Changes nothing that outlives the connection.
import type { Target } from "../../contracts/destination.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { describeAddress } from "../../kit/mysql/address.ts";
import { checkTable } from "./check-table.ts";
import { createTableSql } from "./create-table.ts";
import { isServerError } from "./errors.ts";
import { quoteName, quoteText } from "./names.ts";
import { createProgressSql, PROGRESS_TABLE, progressTableExists } from "./progress.ts";
import { ask, type Session, type Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { parseTable, readTable, type TableRef } from "./table.ts";

export async function checkTargets(
  sessions: Sessions,
  settings: Settings,
  database: string,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    await ask(sessions, signal, async (session) => {
      const user = await grantee(session);
      findings.push(...(await checkServer(session)), ...(await checkProgress(session, database, user)));
      for (const target of targets) {
        for (const finding of await checkTarget(session, settings, database, user, target))
          findings.push({ ...finding, subject: target.sync });
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TailraceError)) throw error;
    const message = `${describeAddress(settings)}: ${error.message}`;
    findings.push({ level: "error", code: error.code.replace("destination.", "mysql."), message, fix: error.hint });
  }
  return findings;
}

/** `'user'@'host'`, as a GRANT takes it. */
async function grantee(session: Session): Promise<string> {
  const [row] = await session.rows("SELECT CURRENT_USER() AS me");
  const me = row?.["me"] ?? "";
  const at = me.lastIndexOf("@");
  return `${quoteText(me.slice(0, at))}@${quoteText(me.slice(at + 1))}`;
}

async function checkServer(session: Session): Promise<Finding[]> {
  const [row] = await session.rows(
    `SELECT CAST(@@read_only AS CHAR) AS read_only, CAST(@@innodb_flush_log_at_trx_commit AS CHAR) AS flush,
       CAST(@@max_allowed_packet AS CHAR) AS packet, @@binlog_format AS binlog, CAST(@@log_bin AS CHAR) AS log_bin`,
  );
  const findings: Finding[] = [];
  if (row!["read_only"] !== "0")
    findings.push({
      level: "warning",
      code: "mysql.read_only",
      message: "The server is read-only: what is sent waits until it is not.",
      fix: "Connect to the primary.",
    });
  if (row!["flush"] !== "1")
    findings.push({
      level: "warning",
      code: "mysql.durability",
      message: `innodb_flush_log_at_trx_commit is ${row!["flush"]}: what was delivered last may be lost when the server's machine stops.`,
      fix: "SET GLOBAL innodb_flush_log_at_trx_commit = 1;",
    });
  if (row!["log_bin"] !== "0" && row!["binlog"] === "STATEMENT")
    findings.push({
      level: "error",
      code: "mysql.binlog_format",
      message: "binlog_format is STATEMENT, which does not take our transactions (READ COMMITTED).",
      fix: "SET GLOBAL binlog_format = 'ROW';",
    });
  if (Number(row!["packet"]) < 4 * 1024 * 1024)
    findings.push({
      level: "warning",
      code: "mysql.max_allowed_packet",
      message: `max_allowed_packet is ${row!["packet"]} bytes: a larger row is refused.`,
      fix: "SET GLOBAL max_allowed_packet = 67108864;",
    });
  return findings;
}

async function checkProgress(session: Session, database: string, user: string): Promise<Finding[]> {
  const table = `${quoteName(database)}.${PROGRESS_TABLE}`;
  if (await progressTableExists(session, database)) {
    const missing = await missingPrivileges(session, table, "sync", ["SELECT", "INSERT", "UPDATE"]);
    if (missing.length === 0) return [];
    return [
      {
        level: "error",
        code: "mysql.privilege",
        message: `The user lacks ${missing.join(", ")} on ${PROGRESS_TABLE}, which keeps each sync's place in the same transaction as its rows.`,
        fix: `GRANT ${missing.join(", ")} ON ${table} TO ${user};`,
      },
    ];
  }
  if (await mayCreate(session, database)) return [];
  return [
    {
      level: "error",
      code: "mysql.privilege",
      message: `The user may not create the table ${PROGRESS_TABLE}, which keeps each sync's place in the same transaction as its rows.`,
      fix: `GRANT CREATE ON ${quoteName(database)}.* TO ${user}; -- or:\n${createProgressSql(database)}; GRANT SELECT, INSERT, UPDATE ON ${table} TO ${user};`,
    },
  ];
}

async function checkTarget(
  session: Session,
  settings: Settings,
  database: string,
  user: string,
  target: Target,
): Promise<Finding[]> {
  let ref: TableRef;
  try {
    ref = parseTable(target.object, database);
  } catch (error) {
    return [{ level: "error", code: "mysql.object", message: TailraceError.from(error).message }];
  }
  const table = await readTable(session, ref);
  if (!table) return [await missingTable(session, settings, user, ref, target)];
  if (!table.isTable)
    return [
      {
        level: "error",
        code: "mysql.not_a_table",
        message: `${table.label} is a view.`,
        fix: "Name the table behind it.",
      },
    ];
  const findings = checkTable(settings, table, target);
  const wanted = ["SELECT"];
  if (target.mode !== "update") wanted.push("INSERT");
  if (target.mode !== "event") wanted.push("UPDATE");
  if (target.mode === "mirror" && target.onDelete.kind === "delete") wanted.push("DELETE");
  const [column = ""] = table.columns.keys();
  const missing = await missingPrivileges(session, table.label, column, wanted);
  if (missing.length > 0)
    findings.push({
      level: "error",
      code: "mysql.privilege",
      message: `The user lacks ${missing.join(", ")} on ${table.label}.`,
      fix: `GRANT ${missing.join(", ")} ON ${table.label} TO ${user};`,
    });
  const stages = target.mode === "update" || (target.mode === "mirror" && target.onDelete.kind !== "ignore");
  if (stages && !(await mayCreateTemporary(session, ref.database)))
    findings.push({
      level: "error",
      code: "mysql.privilege",
      message: `Updates and deletes go through a temporary table, which the user may not create in ${ref.database}.`,
      fix: `GRANT CREATE TEMPORARY TABLES ON ${quoteName(ref.database)}.* TO ${user};`,
    });
  return findings;
}

async function missingTable(
  session: Session,
  settings: Settings,
  user: string,
  ref: TableRef,
  target: Target,
): Promise<Finding> {
  const create = `${await createTableSql(session, ref, target)};`;
  const label = `${ref.database}.${ref.name}`;
  if (settings.create_tables) {
    if (await mayCreate(session, ref.database))
      return { level: "info", code: "mysql.create_table", message: `Table ${label} will be created.`, fix: create };
    return {
      level: "error",
      code: "mysql.privilege",
      message: `Table ${label} cannot be created in its database.`,
      fix: `GRANT CREATE ON ${quoteName(ref.database)}.* TO ${user};`,
    };
  }
  const names = await session.rows(
    "SELECT CONCAT(table_schema, '.', table_name) AS name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'sys', 'performance_schema') LIMIT 5000",
  );
  const like = closest(
    label,
    names.map((row) => row["name"]!),
  );
  return {
    level: "error",
    code: "mysql.no_table",
    message: `Table ${label} does not exist${like === null ? "" : `; did you mean ${like}?`}`,
    fix: `Set \`create_tables: true\`, or run:\n${create}`,
  };
}

/** The server is asked to plan each statement, which needs the statement's own privileges and does nothing. */
async function missingPrivileges(
  session: Session,
  table: string,
  column: string,
  wanted: readonly string[],
): Promise<string[]> {
  const name = quoteName(column);
  const statements: Readonly<Record<string, string>> = {
    SELECT: `SELECT ${name} FROM ${table}`,
    INSERT: `INSERT INTO ${table} (${name}) VALUES (NULL)`,
    UPDATE: `UPDATE ${table} SET ${name} = NULL`,
    DELETE: `DELETE FROM ${table}`,
  };
  const missing: string[] = [];
  for (const privilege of wanted) {
    try {
      await session.command(`EXPLAIN ${statements[privilege]!}`);
    } catch (error) {
      const { errno } = error as { errno?: number };
      if (errno !== 1142 && errno !== 1143) throw error;
      missing.push(privilege);
    }
  }
  return missing;
}

/** Whether a grant to the user says so, or one to a role that is active. */
async function mayCreate(session: Session, database: string): Promise<boolean> {
  const grants = (await session.rows("SHOW GRANTS")).map((row) => Object.values(row)[0] ?? "");
  const places = ["*.*", `${quoteName(database)}.*`];
  return grants.some((grant) => {
    const [, privileges = "", place = ""] = /^GRANT (.+?) ON (\S+) TO /.exec(grant) ?? [];
    const here = places.includes(place) || (place.endsWith(".*") && matches(place.slice(1, -3), database));
    return here && (privileges === "ALL PRIVILEGES" || privileges.split(", ").includes("CREATE"));
  });
}

/** A database in a GRANT is a pattern: `_` and `%` stand for others, unless a backslash is before them. */
function matches(pattern: string, name: string): boolean {
  const source = pattern.replaceAll(/\\?[^]/g, (part) =>
    part === "%" ? ".*" : part === "_" ? "." : (part.at(-1) ?? "").replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"),
  );
  return new RegExp(`^${source}$`, "i").test(name);
}

async function mayCreateTemporary(session: Session, database: string): Promise<boolean> {
  const name = `${quoteName(database)}.tailrace_check`;
  try {
    await session.command(`CREATE TEMPORARY TABLE ${name} (a int)`);
    await session.command(`DROP TEMPORARY TABLE ${name}`);
    return true;
  } catch (error) {
    if (isServerError(error)) return false;
    throw error;
  }
}
