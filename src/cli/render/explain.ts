import type { Explanation } from "../../app/explain.ts";
import type { Paint } from "./paint.ts";
import { renderFields } from "./plan.ts";
import { printable } from "./printable.ts";
import { pairs } from "./table.ts";
import { wrapped } from "./wrap.ts";

export function renderExplanation(explanation: Explanation, paint: Paint): string {
  const { capture, oldColumns } = explanation;
  const to =
    explanation.object === null ? explanation.destination : `${explanation.destination}, ${explanation.object}`;
  const lines: [string, string][] = [
    ["declared", explanation.at],
    ["from", `${explanation.model} (${explanation.source}), key ${explanation.key.join(", ")}`],
    ["to", to],
    ...(explanation.dbt === null ? [] : [renderDbt(explanation.dbt)]),
    ["capture", paint("cyan", capture.kind)],
    ["why", wrapped(capture.why)],
    ["latency", wrapped(capture.latency)],
    ["cost", wrapped(capture.cost)],
    ["mode", [paint("cyan", explanation.mode), ...explanation.behaviour].join("\n")],
  ];
  if (explanation.where !== null) lines.push(["where", explanation.where]);
  lines.push(
    ["match", explanation.match.length === 0 ? "none" : explanation.match.join(", ")],
    ["fields", renderFields(explanation.fields)],
  );
  if (oldColumns.length > 0) {
    const sent = explanation.oldRows === "full" ? "which the source sends" : "which the source does not send now";
    lines.push([
      "old rows",
      [
        `these old values are needed, ${sent}:`,
        ...oldColumns.map(({ column, because }) => `${column} (${because})`),
      ].join("\n"),
    ]);
  }
  lines.push(["SQL", capture.statements.join("\n")]);
  return `${paint("bold", `sync ${explanation.sync}`)}\n${pairs(lines, "  ")}`;
}

/** The model in dbt, and what its project says of it. */
function renderDbt({
  id,
  materialized,
  because,
  description,
  columns,
}: NonNullable<Explanation["dbt"]>): [string, string] {
  const described = columns.filter((column) => column.type !== null || column.description !== "");
  return [
    "dbt",
    [
      `${id}, ${materialized}. ${because}`,
      ...(description === "" ? [] : [description]),
      ...described.map(({ name, type, description: says }) =>
        [name, ...(type === null ? [] : [type]), ...(says === "" ? [] : [`– ${says}`])].join(" "),
      ),
    ]
      .map((line) => wrapped(printable(line)))
      .join("\n"),
  ];
}
