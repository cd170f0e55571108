import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { QueryModel } from "../../contracts/model.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { CheckedModel, ModelCheckOptions } from "./check-model.ts";
import { type FullRead, fullReads, ofLargeTables } from "./full-reads.ts";
import { type KnownQuery, hearsTheLog, knowQuery } from "./known-query.ts";
import type { Obstacle } from "./obstacles.ts";

/** One query; `models`: its tables as far as the log is to tell of them. `client`: a session for models. */
export async function queryFindings(
  client: pg.Client,
  model: QueryModel,
  options: ModelCheckOptions,
): Promise<{ readonly findings: readonly Finding[]; readonly models: readonly CheckedModel[] }> {
  const subject = model.name;
  let known: KnownQuery;
  try {
    known = await knowQuery(client, model, options.publication);
  } catch (error) {
    // What broke the statement has left a transaction.
    await client.query("ROLLBACK");
    return { findings: [{ ...wrongModel(error, options.role), subject }], models: [] };
  }
  const findings = [
    ...captureFindings(model, known),
    ...(known.because.length === 0 ? await fullReadFindings(client, model, known) : []),
  ];
  const told = hearsTheLog(model, known) ? [...known.bases.told.values()] : [];
  return {
    findings: findings.map((finding) => ({ ...finding, subject })),
    models: told.map((table) => ({ name: model.name, table, described: null })),
  };
}

function wrongModel(error: unknown, role: string): Finding {
  if (!(error instanceof TailraceError) || error.consequence !== "config") throw error;
  const { message } = error;
  const [, kind, name] = /permission denied for (table|view|materialized view|schema) ([^\s(]+)/.exec(message) ?? [];
  const to = quoteIdentifier(role);
  const grant =
    kind === "schema" ? `GRANT USAGE ON SCHEMA ${name} TO ${to};` : `GRANT SELECT ON TABLE ${name} TO ${to};`;
  return name === undefined
    ? { level: "error", code: "postgres.model", message }
    : { level: "error", code: "postgres.select", message, fix: grant };
}

/** Whether anything makes a comparison due, `app/check-diff.ts` says of every source: it also knows of dbt. */
function captureFindings(model: QueryModel, { because, bases }: KnownQuery): readonly Finding[] {
  // It was asked for: nothing is wrong with that.
  const obstacles = model.capture === "auto" ? because : bases.untold.filter(() => model.diff.whenChanged);
  return obstacles.map((obstacle) => obstacleFinding(model, obstacle));
}

function obstacleFinding(model: QueryModel, { code, what, fix }: Obstacle): Finding {
  const compared =
    model.capture === "auto" ? `Model ${model.name} is compared as a whole, not followed` : `Model ${model.name}`;
  return {
    level: "warning",
    code: `postgres.${code}`,
    message: `${compared}: ${what}.`,
    ...(fix === null ? {} : { fix: `${fix};` }),
  };
}

async function fullReadFindings(client: pg.Client, model: QueryModel, known: KnownQuery): Promise<readonly Finding[]> {
  const { analysis, rowsOfKeys } = known;
  if (analysis.kind === "diff") return [];
  const findings: Finding[] = [];
  const add = async (doing: string, reads: readonly FullRead[]) => {
    for (const { sql: table, rows, columns } of await ofLargeTables(client, reads)) {
      findings.push({
        level: "warning",
        code: "postgres.full_read",
        message: `${doing}, all of ${table} (about ${rows} rows) is read: no index leads to the rows that are needed.`,
        ...(columns.length === 0
          ? {}
          : { fix: `CREATE INDEX CONCURRENTLY ON ${table} (${columns.map(quoteIdentifier).join(", ")});` }),
      });
    }
  };
  await add(`To read one row of model ${model.name} again`, rowsOfKeys.fullReads);
  for (const { table, sql, needs } of analysis.references) {
    if (sql === null) continue;
    const { reads } = await fullReads(client, sql(1), needs.length);
    await add(`To find the rows of model ${model.name} that a change of ${table.sql} affects`, reads);
  }
  return [...new Map(findings.map((finding) => [`${finding.message}${finding.fix}`, finding])).values()];
}
