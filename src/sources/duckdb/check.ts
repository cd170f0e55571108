// What a person should know before a sync reads a model. Changes nothing.
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Model } from "../../contracts/model.ts";
import type { Database } from "../../kit/duckdb/database.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { DescribedModel } from "./models.ts";

type Described = <T>(model: Model, work: (database: Database, described: DescribedModel) => Promise<T>) => Promise<T>;

export async function checkModels(
  models: readonly Model[],
  described: Described,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const model of models) {
    try {
      findings.push(...(await described(model, (database, each) => checkKey(database, model, each))));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TailraceError)) throw error;
      findings.push({
        level: "error",
        code: error.code.replace("source.", "duckdb."),
        message: error.message,
        fix: error.hint,
        subject: model.name,
      });
    }
  }
  return findings;
}

/** Nothing in a file keeps keys apart. */
async function checkKey(database: Database, model: Model, { relation, from }: DescribedModel): Promise<Finding[]> {
  const key = relation.key.map((place) => `m.${quoteIdentifier(relation.columns[place]!.name)}`);
  const [row] = await database.rows(
    `SELECT CAST(count(*) FILTER (n > 1 AND NOT missing) AS VARCHAR) AS twice, CAST(coalesce(sum(n) FILTER (missing), 0) AS VARCHAR) AS missing
     FROM (SELECT count(*) AS n, bool_or(${key.map((column) => `${column} IS NULL`).join(" OR ")}) AS missing FROM ${from} AS m GROUP BY ${key.join(", ")})`,
  );
  const findings: Finding[] = [];
  const names = relation.key.map((place) => relation.columns[place]!.name).join(", ");
  const twice = Number(row!["twice"]);
  const missing = Number(row!["missing"]);
  const fix = "Correct the data or the SQL, or give the model a key that tells its rows apart.";
  if (twice > 0)
    findings.push({
      level: "error",
      code: "duckdb.duplicate_key",
      message: `${twice} keys (${names}) are of more than one row: which of them is sent last is not certain.`,
      fix,
      subject: model.name,
    });
  if (missing > 0)
    findings.push({
      level: "warning",
      code: "duckdb.null_key",
      message: `${missing} rows have no key (${names}), and cannot be sent.`,
      fix,
      subject: model.name,
    });
  return findings;
}
