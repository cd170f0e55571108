// What a person should know before a sync reads a model. Changes nothing.
import type { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { DatabricksReading } from "./databricks-warehouse.ts";
import { asSourceError } from "./errors.ts";
import { quoteName } from "./names.ts";
import type { Session } from "./session.ts";

/** Beyond these every model fails alike. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  "source.auth",
  "source.tls",
  "source.unreachable",
  "secret.unavailable",
]);

export async function checkModels(
  models: readonly Model[],
  session: Session,
  read: (model: Model) => Promise<DatabricksReading>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    await session.rows("SELECT 1 AS one", signal);
  } catch (error) {
    signal.throwIfAborted();
    throw asSourceError(error, "the SQL warehouse");
  }
  const findings: Finding[] = [];
  for (const model of models) {
    try {
      findings.push(...(await checkModel(model, session, await read(model), signal)));
    } catch (error) {
      signal.throwIfAborted();
      const failure = asSourceError(error, `model \`${model.name}\``);
      if (OF_THE_CONNECTION.has(failure.code)) throw failure;
      findings.push(refused(model, failure));
    }
  }
  return findings;
}

async function checkModel(
  model: Model,
  session: Session,
  how: DatabricksReading,
  signal: AbortSignal,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (how.kind === "rows" && how.fix !== null)
    findings.push({
      level: "warning",
      code: "databricks.feed_off",
      message: "Its change data feed is off: all rows are read and compared whenever the table has a new version.",
      fix: how.fix,
      subject: model.name,
    });
  const relation = await how.reading.relation(signal);
  const from = how.kind === "feed" ? how.table.name : how.from;
  findings.push(...(await checkKey(model, session, from, relation, signal)));
  // The feed is read with rights of its own, and not on every kind of compute.
  if (how.kind === "feed") {
    const newest = await how.reading.newest(signal);
    for await (const _page of how.reading.changes({ mark: newest, side: "at" }, newest, signal)) break;
  }
  return findings;
}

/** Databricks keeps no keys apart: a PRIMARY KEY is a remark there. */
async function checkKey(
  model: Model,
  session: Session,
  from: string,
  { columns, key }: Relation,
  signal: AbortSignal,
): Promise<Finding[]> {
  const names = key.map((place) => columns[place]!.name);
  const sqlNames = names.map(quoteName);
  const [row] = await session.rows(
    `SELECT CAST(coalesce(sum(CASE WHEN n > 1 AND NOT missing THEN 1 ELSE 0 END), 0) AS STRING) AS twice, CAST(coalesce(sum(CASE WHEN missing THEN n ELSE 0 END), 0) AS STRING) AS missing
FROM (SELECT count(*) AS n, ${sqlNames.map((name) => `${name} IS NULL`).join(" OR ")} AS missing FROM ${from} GROUP BY ${sqlNames.join(", ")})`,
    signal,
  );
  const fix = "Correct the data or the SQL, or give the model a key that tells its rows apart.";
  const found = (code: string, message: string): Finding => ({
    level: "error",
    code,
    message,
    fix,
    subject: model.name,
  });
  const list = names.join(", ");
  const findings: Finding[] = [];
  if (row?.["twice"] !== "0")
    findings.push(
      found(
        "databricks.duplicate_key",
        `${String(row?.["twice"])} keys (${list}) are of more than one row: which of them is sent last is not certain.`,
      ),
    );
  if (row?.["missing"] !== "0")
    findings.push(
      found("databricks.null_key", `${String(row?.["missing"])} rows have no key (${list}): the sync stops at them.`),
    );
  return findings;
}

function refused(model: Model, failure: TailraceError): Finding {
  const isRight = failure.code === "source.config";
  return {
    level: "error",
    code: isRight ? "databricks.privileges" : failure.code.replace("source.", "databricks."),
    message: failure.message,
    fix: isRight ? grants(model) : failure.hint,
    subject: model.name,
  };
}

function grants(model: Model): string {
  const table =
    model.kind === "table"
      ? [model.table.namespace, model.table.name].filter((part) => part !== null).join(".")
      : "TABLE";
  return `GRANT USE CATALOG ON CATALOG … TO \`PRINCIPAL\`; GRANT USE SCHEMA ON SCHEMA … TO \`PRINCIPAL\`; GRANT SELECT ON TABLE ${table} TO \`PRINCIPAL\`; and the permission CAN USE on the SQL warehouse.`;
}
