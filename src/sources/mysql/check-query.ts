import type { Finding } from "../../contracts/finding.ts";
import type { QueryModel } from "../../contracts/model.ts";
import type { Connection } from "./connection.ts";
import { type KnownQuery, knowQuery } from "./known-query.ts";
import type { MysqlReference } from "./query/affected-sql.ts";
import { asSourceError } from "./source-error.ts";
import { identifier, tableName } from "./sql.ts";

/** A table that is smaller than this is read as a whole in no time. */
const LARGE_ROWS = 10_000;

/** One query: whether it can be followed, and what that lacks. */
export async function queryFindings(
  connection: Connection,
  model: QueryModel,
  database: string | undefined,
): Promise<readonly Finding[]> {
  const subject = model.name;
  let known: KnownQuery;
  try {
    known = await knowQuery(connection, model, database);
  } catch (error) {
    const named = asSourceError(error);
    if (named.consequence !== "config") throw error;
    const fix = "Correct the model, or create what it names.";
    return [{ level: "error", code: "mysql.model", message: named.message, fix, subject }];
  }
  const findings: Finding[] = [];
  // It was asked for: nothing is wrong with that.
  for (const { code, what, fix } of model.capture === "auto" ? known.because : []) {
    const message = `Model ${model.name} is compared as a whole, not followed: ${what}.`;
    findings.push({ level: "warning", code: `mysql.${code}`, message, ...(fix === null ? {} : { fix }), subject });
  }
  for (const { database: schema, name, definition } of known.reads.views) {
    if (definition !== null) continue;
    const view = tableName(schema, name);
    const message = `The user may not see how the view ${view} is made, so its tables are not heard of.`;
    findings.push({
      level: "warning",
      code: "mysql.show_view",
      message,
      fix: `GRANT SHOW VIEW ON ${view} TO …;`,
      subject,
    });
  }
  if (known.analysis.kind === "live" && known.because.length === 0) {
    for (const reference of known.analysis.references) {
      findings.push(...(await fullReads(connection, model, reference)).map((finding) => ({ ...finding, subject })));
    }
  }
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()];
}

/** Large tables that are read as a whole to find the keys that one changed row affects. */
async function fullReads(
  connection: Connection,
  model: QueryModel,
  { sql, table, needs, joined }: MysqlReference,
): Promise<readonly Finding[]> {
  if (sql === null) return [];
  // Of values that are there, so that the server reckons with its statistics.
  const [row] =
    needs.length === 0
      ? []
      : await connection.rows(`SELECT ${needs.map(identifier).join(", ")} FROM ${table.sql} LIMIT 1`);
  const plan = await connection.rows(
    `EXPLAIN ${sql([needs.map((_, i) => (row === undefined ? null : Object.values(row)[i]!))])}`,
  );
  return plan.flatMap((step): readonly Finding[] => {
    const other = joined.get(step["table"] ?? "");
    if (!other || (step["type"] !== "ALL" && step["type"] !== "index") || Number(step["rows"] ?? 0) < LARGE_ROWS)
      return [];
    const { table: read, columns } = other;
    const fix =
      columns.length === 0 ? {} : { fix: `CREATE INDEX … ON ${read.sql} (${columns.map(identifier).join(", ")});` };
    const message = `To find the rows of model ${model.name} that a change of ${table.sql} affects, all of ${read.sql} (about ${step["rows"]} rows) is read: no index leads to the rows that are needed.`;
    return [{ level: "warning", code: "mysql.full_read", message, ...fix }];
  });
}
