// What a scenario found, as a table or as JSON.
import type { Machine } from "./machine.ts";

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same thing done by the floor, in the same run and unit; null: there is none. */
  readonly floor: number | null;
  /** value / floor. */
  readonly ratio: number | null;
  /** What must hold, such as `ratio >= 0.9`; null: told, not asked for. */
  readonly required: string | null;
  readonly ok: boolean;
}

export interface Report {
  readonly scenario: string;
  readonly quick: boolean;
  readonly figures: readonly Figure[];
  readonly ok: boolean;
  readonly machine: Machine;
  readonly method: readonly string[];
  readonly detail?: unknown;
}

/** What is asked of a figure. */
export interface Requirement {
  readonly of: "value" | "ratio";
  readonly is: ">=" | "<=";
  readonly than: number;
}

export function figure(
  name: string,
  value: number,
  unit: string,
  options: { readonly floor?: number | null; readonly required?: readonly Requirement[] } = {},
): Figure {
  const floor = options.floor ?? null;
  const ratio = floor === null ? null : round(value / floor);
  const required = options.required ?? [];
  const shown = round(value);
  const holds = ({ of, is, than }: Requirement): boolean => {
    const measured = of === "value" ? shown : ratio;
    // A measurement that failed (NaN) meets nothing.
    return measured !== null && (is === ">=" ? measured >= than : measured <= than);
  };
  return {
    name,
    value: shown,
    unit,
    floor: floor === null ? null : round(floor),
    ratio,
    required: required.length === 0 ? null : required.map(({ of, is, than }) => `${of} ${is} ${than}`).join(" and "),
    ok: required.every(holds),
  };
}

/** Three digits behind the point below 100, none from there on. */
function round(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 1000) / 1000;
}

export function printJson(report: Report): string {
  return `${JSON.stringify(report)}\n`;
}

export function printTable(report: Report): string {
  const { scenario, quick, figures, ok, machine, method } = report;
  const rows = figures.map((one) => [
    one.name,
    `${grouped(one.value)} ${one.unit}`,
    one.floor === null ? "" : `${grouped(one.floor)} ${one.unit}`,
    one.ratio === null ? "" : one.ratio.toFixed(2),
    one.required ?? "",
    one.required === null ? "" : one.ok ? "ok" : "NOT MET",
  ]);
  const table = [["", "measured", "floor", "ratio", "required", ""], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) =>
        column >= 1 && column <= 3 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join("   ")
      .trimEnd(),
  );
  return [
    `${scenario}${quick ? " (quick)" : ""}: ${ok ? "ok" : "NOT MET"}`,
    "",
    ...lines,
    "",
    ...method,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}; Node ${machine.node}, PostgreSQL ${machine.postgres}; commit ${machine.commit}`,
    "",
  ].join("\n");
}

function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 3 });
}
