import type { FieldInWords } from "../../app/mapped-sync.ts";
import type { Plan, SourcePlan, SyncPlan } from "../../app/plan.ts";
import type { Paint } from "./paint.ts";
import { printable } from "./printable.ts";
import { pairs } from "./table.ts";
import { bytes, count } from "./units.ts";

export function renderPlan(plan: Plan, paint: Paint): string {
  const parts = [
    ...plan.sources.map((source) => renderSource(source, paint)),
    ...plan.syncs.map((sync) => renderSync(sync, paint)),
  ];
  return `${parts.join("\n")}\n${paint("dim", "Nothing was written. `tailrace run` does this.")}\n`;
}

function renderSource({ source, statements, waitingBytes, problem }: SourcePlan, paint: Paint): string {
  const title = `${paint("bold", `source ${source}`)}\n`;
  if (problem !== null) return `${title}  ${paint("red", printable(problem))}\n`;
  const log = waitingBytes === null ? "" : `  ${bytes(waitingBytes)} of its log are kept for Tailrace\n`;
  if (statements.length === 0) return `${title}  nothing is to be made or changed\n${log}`;
  const made = statements.map((statement) => `    ${statement};\n`).join("");
  return `${title}  to be made or changed:\n${made}${log}`;
}

function renderSync(sync: SyncPlan, paint: Paint): string {
  const title = `${paint("bold", `sync ${sync.sync}`)}\n`;
  const to = sync.object === null ? sync.destination : `${sync.destination}, ${sync.object}`;
  const lines: [string, string][] = [
    ["from", `${sync.model} (${sync.source})`],
    ["to", `${to}, ${sync.mode}`],
    ["stands", standing(sync, paint)],
    ["rows", rows(sync)],
  ];
  if (sync.resend !== null) lines.push(["sent again", paint("yellow", resend(sync, sync.resend))]);
  if (sync.where !== null) lines.push(["where", sync.where]);
  if (sync.fields.length > 0) lines.push(["fields", renderFields(sync.fields)]);
  if (sync.problem !== null) lines.push(["problem", paint("red", printable(sync.problem))]);
  return title + pairs(lines, "  ");
}

/** One a line: the destination's field, and where it comes from. */
export function renderFields(fields: readonly FieldInWords[]): string {
  const widest = Math.max(...fields.map(({ field }) => field.length));
  return fields
    .map(({ field, from, type, match }) => {
      const notes = [...(type === null ? [] : [type]), ...(match ? ["identifies the record"] : [])];
      return `${field.padEnd(widest)} ← ${from}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`;
    })
    .join("\n");
}

function standing({ standing: stands, reason }: SyncPlan, paint: Paint): string {
  switch (stands) {
    case "never ran":
      return "never ran";
    case "backfilling":
      return "in the middle of its backfill; goes on there";
    case "streaming":
      return "goes on where it stopped";
    case "paused":
      return paint("yellow", "paused; `tailrace resume` lets it go on");
    case "stopped":
      return paint("red", `stopped: ${printable(reason ?? "?")}`);
  }
}

function resend({ sync }: SyncPlan, { rows: sent, why, asks }: NonNullable<SyncPlan["resend"]>): string {
  const what = `all ${count(sent)} ${sent === 1 ? "row" : "rows"} that ${sent === 1 ? "was" : "were"} sent. ${why}`;
  return asks ? `${what}; the sync stops first, until \`tailrace resume ${sync} --approve-resend\`` : what;
}

function rows({ backfill }: SyncPlan): string {
  if (backfill === null) return "only changes; no rows that exist";
  const done = backfill.done > 0 ? `, ${count(backfill.done)} of them already` : "";
  return backfill.estimate === null
    ? `those that exist${done}, then every change`
    : `about ${count(backfill.estimate)} that exist${done}, then every change`;
}
