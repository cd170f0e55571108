// What a person should know before a sync runs. Changes nothing.
import type { Target } from "../../contracts/destination.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { describeAddress } from "../../kit/postgres/address.ts";
import { createTableSql, resolveType } from "./create-table.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { EVENT_ID, uniqueIndexOn } from "../../kit/table-writer/batch-plan.ts";
import { progressTableExists } from "./progress.ts";
import { ask, type Session, type Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { parseTable, readTable, type TableRef, type TargetTable, tableSql } from "./table.ts";

export async function checkTargets(
  sessions: Sessions,
  settings: Settings,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    await ask(sessions, signal, async (session) => {
      findings.push(...(await checkDatabase(session)));
      for (const target of targets) {
        for (const finding of await checkTarget(session, settings, target))
          findings.push({ ...finding, subject: target.sync });
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TailraceError)) throw error;
    const message = `${describeAddress(settings)}: ${error.message}`;
    findings.push({ level: "error", code: error.code.replace("destination.", "postgres."), message, fix: error.hint });
  }
  return findings;
}

async function checkDatabase(session: Session): Promise<Finding[]> {
  const [row] = await session.rows(`
    SELECT current_user AS me, current_database() AS name, (SELECT CASE WHEN count(*) = 0 THEN has_database_privilege(current_database(), 'CREATE') ELSE bool_and(has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')) END FROM pg_namespace WHERE nspname = 'tailrace') AS may_create,
      has_database_privilege(current_database(), 'TEMP') AS may_temp, pg_is_in_recovery() AS standby,
      current_setting('server_encoding') AS encoding, current_setting('server_version_num')::int < 140000 AS old`);
  const findings: Finding[] = [];
  const me = quoteIdentifier(row!["me"]!);
  const database = quoteIdentifier(row!["name"]!);
  if (row!["standby"] === "t") {
    findings.push({
      level: "error",
      code: "postgres.read_only",
      message: "The database is a standby and cannot be written.",
      fix: "Connect to the primary.",
    });
  }
  if (row!["old"] === "t")
    findings.push({ level: "warning", code: "postgres.version", message: "PostgreSQL before 14 is not tested." });
  if (row!["encoding"] !== "UTF8") {
    findings.push({
      level: "warning",
      code: "postgres.encoding",
      message: `The database's encoding is ${row!["encoding"]}: characters that it lacks are refused.`,
    });
  }
  if (row!["may_temp"] !== "t") {
    findings.push({
      level: "error",
      code: "postgres.privilege",
      message: "Larger batches go through a temporary table, which the user may not create.",
      fix: `GRANT TEMPORARY ON DATABASE ${database} TO ${me};`,
    });
  }
  if (await progressTableExists(session)) {
    const [may] = await session.rows(
      `SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AS may
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tailrace' AND c.relname = 'progress'`,
    );
    if (may!["may"] !== "t") {
      findings.push({
        level: "error",
        code: "postgres.privilege",
        message:
          "The user may not write tailrace.progress, which keeps each sync's place in the same transaction as its rows.",
        fix: `GRANT USAGE ON SCHEMA tailrace TO ${me}; GRANT SELECT, INSERT, UPDATE ON tailrace.progress TO ${me};`,
      });
    }
  } else if (row!["may_create"] !== "t") {
    findings.push({
      level: "error",
      code: "postgres.privilege",
      message:
        "The user may not create the schema tailrace, whose table progress keeps each sync's place in the same transaction as its rows.",
      fix: `CREATE SCHEMA IF NOT EXISTS tailrace; GRANT USAGE, CREATE ON SCHEMA tailrace TO ${me};`,
    });
  }
  return findings;
}

async function checkTarget(session: Session, settings: Settings, target: Target): Promise<Finding[]> {
  let ref: TableRef;
  try {
    ref = parseTable(target.object, settings.schema);
  } catch (error) {
    return [{ level: "error", code: "postgres.object", message: TailraceError.from(error).message }];
  }
  const table = await readTable(session, ref);
  if (!table) return [await missingTable(session, settings, ref, target)];
  const label = `Table ${table.schema}.${table.name}`;
  if (table.kind !== "r" && table.kind !== "p") {
    return [
      {
        level: "error",
        code: "postgres.not_a_table",
        message: `${label} is not a table (a view, or a foreign table).`,
        fix: "Name the table behind it.",
      },
    ];
  }
  return [
    ...checkColumns(settings, table, target),
    ...checkMatch(table, target),
    ...(await checkTypes(session, table, target)),
    ...(await checkPrivileges(session, table, target)),
    ...(table.rowSecurity
      ? [
          {
            level: "warning" as const,
            code: "postgres.row_security",
            message: `${label} has row level security that applies to this user: rows its policies hide are neither updated nor deleted.`,
            fix: `ALTER ROLE … BYPASSRLS, or a policy for this user.`,
          },
        ]
      : []),
    ...(table.triggers.length > 0
      ? [
          {
            level: "info" as const,
            code: "postgres.triggers",
            message: `${label} has triggers that every batch fires: ${table.triggers.join(", ")}.`,
          },
        ]
      : []),
  ];
}

async function missingTable(session: Session, settings: Settings, ref: TableRef, target: Target): Promise<Finding> {
  const create = `${await createTableSql(session, ref, target)};`;
  if (settings.create_tables) {
    const [schema] = await session.rows(
      "SELECT has_schema_privilege(oid, 'CREATE') AS may FROM pg_namespace WHERE nspname = $1",
      [ref.schema],
    );
    if (schema?.["may"] === "t")
      return {
        level: "info",
        code: "postgres.create_table",
        message: `Table ${ref.schema}.${ref.name} will be created.`,
        fix: create,
      };
    const missing =
      schema === undefined
        ? `CREATE SCHEMA ${quoteIdentifier(ref.schema)};`
        : `GRANT CREATE ON SCHEMA ${quoteIdentifier(ref.schema)} TO CURRENT_USER;`;
    return {
      level: "error",
      code: "postgres.privilege",
      message: `Table ${ref.schema}.${ref.name} cannot be created in its schema.`,
      fix: missing,
    };
  }
  const names = await session.rows(
    "SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' LIMIT 5000",
  );
  const like = closest(
    `${ref.schema}.${ref.name}`,
    names.map((row) => row["name"]!),
  );
  return {
    level: "error",
    code: "postgres.no_table",
    message: `Table ${ref.schema}.${ref.name} does not exist${like === null ? "" : `; did you mean ${like}?`}`,
    fix: `Set \`create_tables: true\`, or run:\n${create}`,
  };
}

function checkColumns(settings: Settings, table: TargetTable, target: Target): Finding[] {
  const findings: Finding[] = [];
  const written = new Set([...target.shape.fields.map((field) => field.name), ...target.match]);
  for (const name of written) {
    const column = table.columns.get(name);
    if (column?.generated) {
      findings.push({
        level: "error",
        code: "postgres.generated",
        message: `Column ${name} of ${table.schema}.${table.name} is generated and cannot be written.`,
        fix: "Leave it out of `map`.",
      });
    }
    if (column) continue;
    if (settings.add_columns && !target.match.includes(name)) {
      findings.push({
        level: "info",
        code: "postgres.add_column",
        message: `Column ${name} will be added to ${table.schema}.${table.name}.`,
      });
      continue;
    }
    const like = closest(name, [...table.columns.keys()]);
    findings.push({
      level: "error",
      code: "postgres.no_column",
      message: `Table ${table.schema}.${table.name} has no column ${name}${like === null ? "" : `; did you mean ${like}?`}`,
      fix: `Correct \`map\`, set \`add_columns: true\`, or run: ALTER TABLE ${tableSql(table)} ADD COLUMN ${quoteIdentifier(name)} …;`,
    });
  }
  if (target.mode === "update") return findings;
  for (const column of table.columns.values()) {
    if (column.nullable || column.filled || written.has(column.name) || column.name.startsWith("tailrace_")) continue;
    findings.push({
      level: "error",
      code: "postgres.not_null",
      message: `Column ${column.name} of ${table.schema}.${table.name} must not be null, has no default, and is not mapped: new rows will be refused.`,
      fix: `Map it, or run: ALTER TABLE ${tableSql(table)} ALTER COLUMN ${quoteIdentifier(column.name)} DROP NOT NULL;`,
    });
  }
  return findings;
}

function checkMatch(table: TargetTable, target: Target): Finding[] {
  const create = (columns: readonly string[]) =>
    `CREATE UNIQUE INDEX ON ${tableSql(table)} (${columns.map(quoteIdentifier).join(", ")});`;
  if (target.mode === "event") {
    if (uniqueIndexOn(table, [EVENT_ID])) return [];
    return [
      {
        level: "info",
        code: "postgres.event_id",
        message: `Table ${table.schema}.${table.name} has no unique column ${EVENT_ID}; with one, each event carries its delivery's id, and a repeat is dropped.`,
        fix: `ALTER TABLE ${tableSql(table)} ADD COLUMN ${EVENT_ID} text UNIQUE;`,
      },
    ];
  }
  if (!target.match.every((name) => table.columns.has(name)) || uniqueIndexOn(table, target.match)) return [];
  const label = `Table ${table.schema}.${table.name} has no unique index on ${target.match.join(", ")} (whole, not deferrable)`;
  if (target.mode === "upsert" || target.mode === "mirror") {
    return [
      {
        level: "error",
        code: "postgres.no_unique_index",
        message: `${label}, which an upsert needs.`,
        fix: create(target.match),
      },
    ];
  }
  const why =
    target.mode === "insert"
      ? "a resync would insert its rows again"
      : "each batch reads the whole table, and one row may update several";
  return [
    { level: "warning", code: "postgres.no_unique_index", message: `${label}: ${why}.`, fix: create(target.match) },
  ];
}

/** Any text can be cast to any type as far as PostgreSQL knows; this finds the pairs where most values will not fit. */
async function checkTypes(session: Session, table: TargetTable, target: Target): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const field of target.shape.fields) {
    const column = table.columns.get(field.name);
    if (!column || column.category === "S" || field.type === null) continue;
    const oid = await resolveType(session, field.type);
    if (oid === null) continue;
    const [row] = await session.rows("SELECT typcategory AS category FROM pg_type WHERE oid = $1", [oid]);
    const from = row?.["category"];
    // Texts may hold anything; the categories U (json, uuid, bytea, …) and E (enums) are of many kinds.
    const fits =
      from === "S" ||
      (from === column.category &&
        (from !== "U" && from !== "E" ? true : oid === column.typeOid || isJson(field.type, column.type)));
    if (fits || oid === column.typeOid) continue;
    findings.push({
      level: "warning",
      code: "postgres.type",
      message: `Field ${field.name} is ${field.type} at the source and ${column.type} in ${table.schema}.${table.name}: values that are not texts of that type are refused.`,
      fix: `Map another column, or run: ALTER TABLE ${tableSql(table)} ALTER COLUMN ${quoteIdentifier(field.name)} TYPE …;`,
    });
  }
  return findings;
}

function isJson(...types: readonly string[]): boolean {
  return types.every((type) => type === "json" || type === "jsonb");
}

async function checkPrivileges(session: Session, table: TargetTable, target: Target): Promise<Finding[]> {
  const wanted: string[] = ["SELECT"];
  if (target.mode !== "update") wanted.push("INSERT");
  if (target.mode !== "insert" && target.mode !== "event") wanted.push("UPDATE");
  if (target.mode === "mirror" && target.onDelete.kind === "delete") wanted.push("DELETE");
  const [row] = await session.rows(
    "SELECT current_user AS me, has_schema_privilege(relnamespace, 'USAGE') AS usage, (SELECT string_agg(p, ', ') FROM unnest($2::text[]) p WHERE CASE WHEN p = 'DELETE' THEN NOT has_table_privilege(c.oid, p) ELSE NOT has_any_column_privilege(c.oid, p) END) AS missing FROM pg_class c WHERE c.oid = $1",
    [table.oid, wanted],
  );
  const me = quoteIdentifier(row!["me"]!);
  const findings: Finding[] = [];
  if (row!["usage"] !== "t") {
    findings.push({
      level: "error",
      code: "postgres.privilege",
      message: `The user may not use the schema ${table.schema}.`,
      fix: `GRANT USAGE ON SCHEMA ${quoteIdentifier(table.schema)} TO ${me};`,
    });
  }
  if (row!["missing"]) {
    findings.push({
      level: "error",
      code: "postgres.privilege",
      message: `The user lacks ${row!["missing"]} on ${table.schema}.${table.name}.`,
      fix: `GRANT ${row!["missing"]} ON ${tableSql(table)} TO ${me};`,
    });
  }
  return findings;
}
