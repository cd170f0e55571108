import type { QueryModel } from "../../contracts/model.ts";
import type { CaptureExplanation } from "../../contracts/source.ts";
import type { Connection } from "./connection.ts";
import { type KnownQuery, hearsTheLog, knowQuery, obstacleText } from "./known-query.ts";
import type { LiveAnalysis } from "./query/analyse.ts";
import { identifier, tableName } from "./sql.ts";

/** How a query is captured, and what it costs. */
export async function explainQuery(
  connection: Connection,
  model: QueryModel,
  database: string | undefined,
): Promise<CaptureExplanation> {
  const known = await knowQuery(connection, model, database);
  const { analysis, because } = known;
  return analysis.kind === "live" && because.length === 0 ? explainLive(model, analysis) : explainDiff(model, known);
}

function explainLive(model: QueryModel, { tables, references }: LiveAnalysis): CaptureExplanation {
  const asked = references.flatMap(({ sql, path, needs }) =>
    sql === null
      ? []
      : [
          `-- the keys that changed rows of ${path} (${needs.join(", ")}) affect; they stand behind WHERE FALSE\n${sql([])}`,
        ],
  );
  const key = model.key.map((name) => `t.${identifier(name)}`).join(", ");
  return {
    kind: "live query",
    why: `Its tables are in the binary log (${tables.map(({ sql }) => sql).join(", ")}), and a changed row of each of them tells which keys of the result it affects.`,
    latency: `Milliseconds after the commit: changes are gathered for ${model.windowMs} ms, then the keys are found and their rows read.`,
    cost: "Work grows with what changes, not with the tables, where indexes lead to the rows: `tailrace check` names those that are missing.",
    statements: [...asked, `-- the rows of these keys\nSELECT * FROM (${model.sql}\n) AS t WHERE (${key}) IN (…)`],
  };
}

function explainDiff(model: QueryModel, known: KnownQuery): CaptureExplanation {
  const { because, reads, analysis } = known;
  const heard = hearsTheLog(model, known) ? reads.tables.map(({ database, name }) => tableName(database, name)) : [];
  const due = [
    ...(heard.length === 0 ? [] : [`a change of ${heard.join(", ")} is in the log`]),
    ...(model.diff.schedule === null ? [] : ["its schedule says so"]),
  ];
  const ofTime = analysis.kind === "diff" && analysis.timeDependent && model.diff.schedule === null;
  return {
    kind: "diff",
    why:
      `All rows are read and compared with what was last sent, because: ${because.map(obstacleText).join("; ")}.` +
      (ofTime ? " Its result changes with the time, which no change of a table tells: set `every` or `cron`." : ""),
    latency:
      due.length === 0
        ? "Only when somebody asks for it: `every` or `cron` sets a schedule."
        : `As long as the whole query takes, from when ${due.join(", or ")}.`,
    cost: "Each comparison runs the whole query.",
    statements: [model.sql],
  };
}
