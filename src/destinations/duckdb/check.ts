// What a person should know before a sync runs. Changes nothing.
import { access, constants } from "node:fs/promises";
import { dirname } from "node:path";
import type { Target } from "../../contracts/destination.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Database } from "../../kit/duckdb/database.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { EVENT_ID, uniqueIndexOn } from "../../kit/table-writer/batch-plan.ts";
import { createTableSql } from "./create-table.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { Settings } from "./settings.ts";
import { parseTable, readTable, type TableRef, type TargetTable, tableSql } from "./table.ts";
import { ask } from "./writer.ts";

export async function checkTargets(
  file: DatabaseFile,
  settings: Settings,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  // Opening would make it.
  if (!(await may(file.path, constants.F_OK))) return [await missingFile(file.path)];
  const findings: Finding[] = [];
  try {
    await ask(file, signal, async (database) => {
      for (const target of targets) {
        for (const finding of await checkTarget(database, settings, target))
          findings.push({ ...finding, subject: target.sync });
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TailraceError)) throw error;
    const message = `${settings.path}: ${error.message}`;
    findings.push({ level: "error", code: error.code.replace("destination.", "duckdb."), message, fix: error.hint });
  }
  return findings;
}

async function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

async function missingFile(path: string): Promise<Finding> {
  if (await may(dirname(path), constants.W_OK))
    return { level: "info", code: "duckdb.create_file", message: `The database file ${path} will be made.` };
  return {
    level: "error",
    code: "duckdb.no_file",
    message: `There is no database file ${path}, and it cannot be made in its folder.`,
    fix: "Make the folder, or correct `path`.",
  };
}

async function checkTarget(database: Database, settings: Settings, target: Target): Promise<Finding[]> {
  let ref: TableRef;
  try {
    ref = parseTable(target.object, settings.schema);
  } catch (error) {
    return [{ level: "error", code: "duckdb.object", message: TailraceError.from(error).message }];
  }
  const table = await readTable(database, ref);
  if (table === null) return [await missingTable(database, settings, ref, target)];
  return [...checkColumns(settings, table, target), ...checkMatch(table, target)];
}

async function missingTable(database: Database, settings: Settings, ref: TableRef, target: Target): Promise<Finding> {
  const create = `${createTableSql(ref, target)};`;
  const label = `${ref.schema}.${ref.name}`;
  if (settings.create_tables)
    return { level: "info", code: "duckdb.create_table", message: `Table ${label} will be created.`, fix: create };
  const names = await database.rows("SELECT schema_name || '.' || table_name AS name FROM duckdb_tables()");
  const like = closest(
    label,
    names.map((row) => row["name"]!),
  );
  return {
    level: "error",
    code: "duckdb.no_table",
    message: `Table ${label} does not exist${like === null ? "" : `; did you mean ${like}?`}`,
    fix: `Set \`create_tables: true\`, or run:\n${create}`,
  };
}

function checkColumns(settings: Settings, table: TargetTable, target: Target): Finding[] {
  const findings: Finding[] = [];
  const written = new Set([...target.shape.fields.map((field) => field.name), ...target.match]);
  for (const name of written) {
    if (table.columns.has(name)) continue;
    if (settings.add_columns && !target.match.includes(name)) {
      findings.push({
        level: "info",
        code: "duckdb.add_column",
        message: `Column ${name} will be added to ${table.label}.`,
      });
      continue;
    }
    const like = closest(name, [...table.columns.keys()]);
    findings.push({
      level: "error",
      code: "duckdb.no_column",
      message: `Table ${table.label} has no column ${name}${like === null ? "" : `; did you mean ${like}?`}`,
      fix: `Correct \`map\`, set \`add_columns: true\`, or run: ALTER TABLE ${tableSql(table)} ADD COLUMN ${quoteIdentifier(name)} …;`,
    });
  }
  if (target.mode === "update") return findings;
  for (const column of table.columns.values()) {
    if (column.nullable || column.filled || written.has(column.name) || column.name.startsWith("tailrace_")) continue;
    findings.push({
      level: "error",
      code: "duckdb.not_null",
      message: `Column ${column.name} of ${table.label} must not be null, has no default, and is not mapped: new rows will be refused.`,
      fix: `Map it, or run: ALTER TABLE ${tableSql(table)} ALTER COLUMN ${quoteIdentifier(column.name)} DROP NOT NULL;`,
    });
  }
  return findings;
}

function checkMatch(table: TargetTable, target: Target): Finding[] {
  if (target.mode === "event") {
    if (uniqueIndexOn(table, [EVENT_ID])) return [];
    return [
      {
        level: "info",
        code: "duckdb.event_id",
        message: `Table ${table.label} has no unique column ${EVENT_ID}; with one, each event carries its delivery's id, and a repeat is dropped.`,
        fix: `ALTER TABLE ${tableSql(table)} ADD COLUMN ${EVENT_ID} VARCHAR; CREATE UNIQUE INDEX ${quoteIdentifier(`${table.name}_${EVENT_ID}`)} ON ${tableSql(table)} (${EVENT_ID});`,
      },
    ];
  }
  if (!target.match.every((name) => table.columns.has(name)) || uniqueIndexOn(table, target.match)) return [];
  const code = "duckdb.no_unique_index";
  const label = `Table ${table.label} has no unique index on exactly ${target.match.join(", ")}`;
  const key = `ALTER TABLE ${tableSql(table)} ADD PRIMARY KEY (${target.match.map(quoteIdentifier).join(", ")});`;
  if (target.mode === "upsert" || target.mode === "mirror")
    return [{ level: "error", code, message: `${label}, which an upsert needs.`, fix: key }];
  const why = target.mode === "insert" ? "a resync would insert its rows again" : "one row may update several";
  return [{ level: "warning", code, message: `${label}: ${why}.`, fix: key }];
}
