import type { CheckReport } from "../../app/check.ts";
import type { CheckedFinding } from "../../app/checked-finding.ts";
import { LEVEL_STYLES, type Paint } from "./paint.ts";
import { printable } from "./printable.ts";
import { plural } from "./units.ts";
import { wrapped } from "./wrap.ts";

const ORDER = { error: 0, warning: 1, info: 2 } as const;

/** Grouped by what the findings are about; each with its fix, ready to paste. */
export function renderCheck(report: CheckReport, paint: Paint): string {
  const groups = report.checked.map(({ kind, name, detail, seen }) => {
    const own = report.findings.filter(({ about }) => about.kind === kind && about.name === name);
    const title = `${paint("bold", `${kind} ${name}`)}${detail === "" ? "" : paint("dim", `  ${detail}`)}`;
    if (own.length === 0) return `${title}  ${seen ? paint("green", "ok") : paint("yellow", "not checked")}\n`;
    const sorted = own.toSorted((a, b) => ORDER[a.level] - ORDER[b.level]);
    return `${title}\n${sorted.map((finding) => renderFinding(finding, paint)).join("")}`;
  });
  return `${groups.join("")}\n${summary(report, paint)}\n`;
}

function renderFinding({ level, code, message, fix, subject }: CheckedFinding, paint: Paint): string {
  const about = subject === undefined || message.includes(subject) ? "" : `${subject}: `;
  const head = `  ${paint(LEVEL_STYLES[level], level.padEnd(7))}  ${about}${indented(wrapped(printable(message)), 11)} ${paint("dim", `(${code})`)}\n`;
  return fix === undefined ? head : `${head}           ${paint("green", "fix:")} ${indented(printable(fix), 16)}\n`;
}

function indented(text: string, by: number): string {
  return text.trimEnd().replaceAll("\n", `\n${" ".repeat(by)}`);
}

function summary({ findings, ok }: CheckReport, paint: Paint): string {
  const count = (level: CheckedFinding["level"]): number =>
    findings.filter((finding) => finding.level === level).length;
  if (findings.length === 0) return paint("green", "All is well. `tailrace plan` shows what a run would do.");
  const counts = [plural(count("error"), "error"), plural(count("warning"), "warning"), plural(count("info"), "note")];
  return paint(ok ? "green" : "red", `${counts.join(", ")}.`);
}
