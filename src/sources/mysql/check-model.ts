import type { Finding } from "../../contracts/finding.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import type { Connection } from "./connection.ts";
import { type DescribedModel, describeModel, sqlOf } from "./describe.ts";
import { queryFindings } from "./check-query.ts";
import type { Server } from "./server.ts";
import { asSourceError, serverErrorNumber } from "./source-error.ts";
import { identifier } from "./sql.ts";

/** One model. `account`: the user as a GRANT names it. */
export async function modelFindings(
  connection: Connection,
  need: ModelNeeds,
  server: Server,
  account: string,
  database: string | undefined,
): Promise<readonly Finding[]> {
  const { model } = need;
  if (model.kind === "query") return queryFindings(connection, model, database);
  const findings: Finding[] = [];
  const subject = model.name;
  const add = (level: Finding["level"], code: string, message: string, fix?: string): void => {
    findings.push({ level, code: `mysql.${code}`, message, fix, subject });
  };
  let described: DescribedModel;
  try {
    described = await describeModel(connection, model, database);
  } catch (error) {
    const named = asSourceError(error);
    if (named.code !== "source.model" && named.code !== "source.config") throw error;
    add("error", "model", named.message, "Correct the model, or create what it names.");
    return findings;
  }
  const { table, columns } = described;
  const names = columns.map(({ name }) => identifier(name)).join(", ");
  try {
    await connection.rows(`SELECT ${names} FROM ${sqlOf(table)} LIMIT 0`);
  } catch (error) {
    if (serverErrorNumber(error) === null) throw error;
    add("error", "select", `The user may not read ${sqlOf(table)}.`, `GRANT SELECT ON ${sqlOf(table)} TO ${account};`);
    return findings;
  }
  if (table.kind === "SYSTEM VERSIONED") {
    add(
      "error",
      "system_versioned",
      `${sqlOf(table)} is system-versioned: the log holds its old versions as rows too.`,
      "Give the model a table without versions.",
    );
  }
  if (table.engine !== null && table.engine !== "InnoDB") {
    add(
      "warning",
      "engine",
      `${sqlOf(table)} is kept by ${table.engine}, which has no transactions: a backfill beside writers may send a row newer than the log is, and then its older changes.`,
      `ALTER TABLE ${sqlOf(table)} ENGINE = InnoDB;`,
    );
  }
  if (need.oldColumns.length > 0 && server.variables.binlog_row_image !== "FULL") {
    const wanted = need.oldColumns.map(({ column, because }) => `${column} (${because})`).join("; ");
    add(
      "error",
      "row_image_old",
      `Old values are needed, and the log does not hold them: ${wanted}.`,
      "SET GLOBAL binlog_row_image = 'FULL'; -- and in the server's configuration, so that it stays",
    );
  }
  const cascades = cascadesIn(await connection.rows(`SHOW CREATE TABLE ${sqlOf(table)}`));
  if (cascades.length > 0) {
    add(
      "warning",
      "cascade",
      `${sqlOf(table)} is changed by foreign keys (${cascades.join(", ")}): what a cascade deletes or sets to null is not in the binary log, and is not sent.`,
      "Delete and update the rows by statements of your own (ON DELETE RESTRICT), or resync now and then.",
    );
  }
  if (described.columns.length < table.columns.length) {
    const left = table.columns.filter(({ generated }) => generated === "virtual").map(({ name }) => name);
    add(
      "info",
      "generated_columns",
      `Virtual generated columns of ${sqlOf(table)} are not read: ${left.join(", ")}.`,
      "Make them STORED, or compute them in the mapping (a template).",
    );
  }
  if (described.index.name !== "PRIMARY" && server.variables.binlog_row_image !== "FULL" && hasPrimary(described)) {
    add(
      "error",
      "row_image_key",
      `The key of ${model.name} is not the primary key, and the log holds only that one of old rows.`,
      "SET GLOBAL binlog_row_image = 'FULL'; -- and in the server's configuration, so that it stays",
    );
  }
  return findings;
}

function hasPrimary({ table }: DescribedModel): boolean {
  return table.uniqueIndexes[0]?.name === "PRIMARY";
}

/** Names of foreign keys by which other tables change this one. The catalogue shows them to those only who may write the table. */
function cascadesIn(rows: readonly Readonly<Record<string, string | null>>[]): readonly string[] {
  const text = rows[0]?.["Create Table"] ?? "";
  const lines = text.split("\n").filter((line) => /\bON (DELETE|UPDATE) (CASCADE|SET NULL)\b/.test(line));
  return lines.flatMap((line) => /CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY/.exec(line)?.[1] ?? []);
}
