// How a query is captured, what it costs, and the statements with their plans.
import type pg from "pg";
import type { QueryModel } from "../../contracts/model.ts";
import type { CaptureExplanation } from "../../contracts/source.ts";
import { fromModel } from "./describe-query.ts";
import { ofLargeTables } from "./full-reads.ts";
import { type KnownQuery, hearsTheLog } from "./known-query.ts";
import { obstacleText } from "./obstacles.ts";
import type { LiveAnalysis } from "./query/analyse.ts";
import { keysWith } from "./query/model-sql.ts";
import { planOf, planText } from "./query-plan.ts";

/** `client`: a session for models, outside of a transaction. */
export function explainQuery(client: pg.Client, model: QueryModel, known: KnownQuery): Promise<CaptureExplanation> {
  const { analysis, because } = known;
  return analysis.kind === "live" && because.length === 0
    ? explainLive(client, model, known, analysis)
    : explainDiff(client, model, known);
}

async function explainLive(
  client: pg.Client,
  model: QueryModel,
  known: KnownQuery,
  analysis: LiveAnalysis,
): Promise<CaptureExplanation> {
  const { described, rowsOfKeys } = known;
  const statements: string[] = [];
  for (const { table, path, needs, sql, keyPlaces, complete } of analysis.references) {
    const of = `a changed row of ${table.sql} (${path})`;
    if (sql === null) {
      statements.push(`-- ${of} tells the key itself: ${needs.join(", ")}`);
    } else {
      const from = needs.length === 0 ? "" : `, from its old and new ${needs.join(", ")}`;
      statements.push(await withPlan(client, `the keys that ${of} affects${from}`, sql(1), needs.length));
    }
    if (!complete) {
      const parts = keyPlaces.map((place) => model.key[place]!).join(", ");
      const what = `the keys that have this ${parts} now; those that had it are known from what was sent`;
      statements.push(await withPlan(client, what, keysWith(model, described, keyPlaces), keyPlaces.length));
    }
  }
  statements.push(await withPlan(client, "the rows of those keys", rowsOfKeys.sql, described.key.length));
  const { length } = described.key;
  const cost = (await planOf(client, rowsOfKeys.sql, length))["Total Cost"];
  const whole = (await ofLargeTables(client, rowsOfKeys.fullReads)).map((read) => read.sql);
  const tables = analysis.tables.map(({ sql }) => sql).join(", ");
  const full = analysis.tables.filter(({ info }) => info.replicaIdentity.kind === "full").map(({ sql }) => sql);
  return {
    kind: "live query",
    why:
      `The log holds the changes of all tables that it reads (${tables}). From a changed row, old and new, the keys of the rows that it ` +
      `can affect are found, and only those rows are read again.`,
    latency:
      `Milliseconds after the commit: changes are gathered for ${model.windowMs} ms, then the keys are found in one round trip ` +
      `and their rows read in another.`,
    cost:
      `Work grows with what changes, not with the tables: two queries for what was gathered. For ten keys the planner reckons with ` +
      `${Math.round(cost)} for the rows.` +
      (whole.length === 0
        ? ""
        : ` No index leads to the rows of ${whole.join(", ")}, so they are read as a whole each time.`) +
      (full.length === 0
        ? ""
        : ` Updates and deletes of ${full.join(", ")} write the whole old row to the log (REPLICA IDENTITY FULL).`),
    statements,
  };
}

async function explainDiff(client: pg.Client, model: QueryModel, known: KnownQuery): Promise<CaptureExplanation> {
  const { analysis, because, bases, described } = known;
  const told = hearsTheLog(model, known) ? [...bases.told.values()].map(({ sql }) => sql) : [];
  const due = [
    ...(told.length === 0 ? [] : [`a change of ${told.join(", ")} is in the log`]),
    ...(model.diff.schedule === null ? [] : ["its schedule says so"]),
  ];
  const sql = `SELECT * FROM ${fromModel(model)} ORDER BY ${described.key.map((column) => column.sql).join(", ")}`;
  const plan = await planOf(client, sql, 0);
  const ofTime = analysis.kind === "diff" && analysis.timeDependent;
  return {
    kind: "diff",
    why:
      `All rows are read and compared with what was last sent, because: ${because.map(obstacleText).join("; ")}.` +
      (ofTime && model.diff.schedule === null
        ? " Its result changes with the time, which no change of a table tells: set `every` or `cron`."
        : ""),
    latency:
      due.length === 0
        ? "Only when somebody asks for it: `every` or `cron` sets a schedule."
        : `As long as the whole query takes, from when ${due.join(", or ")}.`,
    cost: `The whole query each time: about ${plan["Plan Rows"]} rows; the planner reckons with ${Math.round(plan["Total Cost"])}.`,
    statements: [await withPlan(client, "all rows", sql, 0)],
  };
}

async function withPlan(client: pg.Client, what: string, sql: string, parameters: number): Promise<string> {
  const plan = (await planText(client, sql, parameters)).split("\n").map((line) => `--   ${line}`);
  return [`-- ${what}`, sql, ...plan].join("\n");
}
