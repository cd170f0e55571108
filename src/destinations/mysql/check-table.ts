// Whether a table that is there takes what a sync sends.
import type { Field, Target } from "../../contracts/destination.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import type { Finding } from "../../contracts/finding.ts";
import { EVENT_ID, uniqueIndexOn } from "../../kit/table-writer/batch-plan.ts";
import { quoteName } from "./names.ts";
import type { Settings } from "./settings.ts";
import type { TargetColumn, TargetTable } from "./table.ts";

export function checkTable(settings: Settings, table: TargetTable, target: Target): Finding[] {
  const findings = [
    ...checkColumns(settings, table, target),
    ...checkMatch(table, target),
    ...target.shape.fields.flatMap((field) => checkType(table, field)),
  ];
  if (table.engine !== null && !/^(InnoDB|RocksDB|ndbcluster)$/i.test(table.engine))
    findings.push({
      level: "warning",
      code: "mysql.engine",
      message: `${table.label} is of engine ${table.engine}, which has no transactions: its rows and the sync's place are not stored as one, and rows may be written twice.`,
      fix: `ALTER TABLE ${table.label} ENGINE = InnoDB;`,
    });
  if (table.triggers.length > 0)
    findings.push({
      level: "info",
      code: "mysql.triggers",
      message: `${table.label} has triggers that every row fires: ${table.triggers.join(", ")}.`,
    });
  return findings;
}

function checkColumns(settings: Settings, table: TargetTable, target: Target): Finding[] {
  const findings: Finding[] = [];
  const written = new Set([...target.shape.fields.map((field) => field.name), ...target.match]);
  for (const name of written) {
    const column = table.columns.get(name);
    if (column?.generated) {
      findings.push({
        level: "error",
        code: "mysql.generated",
        message: `Column ${name} of ${table.label} is generated and cannot be written.`,
        fix: "Leave it out of `map`.",
      });
    }
    if (column) continue;
    if (settings.add_columns && !target.match.includes(name)) {
      findings.push({
        level: "info",
        code: "mysql.add_column",
        message: `Column ${name} will be added to ${table.label}.`,
      });
      continue;
    }
    const like = closest(name, [...table.columns.keys()]);
    findings.push({
      level: "error",
      code: "mysql.no_column",
      message: `Table ${table.label} has no column ${name}${like === null ? "" : `; did you mean ${like}?`}`,
      fix: `Correct \`map\`, set \`add_columns: true\`, or run: ALTER TABLE ${table.label} ADD COLUMN ${quoteName(name)} …;`,
    });
  }
  if (target.mode === "update") return findings;
  for (const column of table.columns.values()) {
    if (column.nullable || column.filled || column.generated || written.has(column.name)) continue;
    if (column.name.startsWith("tailrace_")) continue;
    findings.push({
      level: "error",
      code: "mysql.not_null",
      message: `Column ${column.name} of ${table.label} must not be null, has no default, and is not mapped: new rows will be refused.`,
      fix: `Map it, or run: ALTER TABLE ${table.label} MODIFY ${quoteName(column.name)} ${column.type} NULL;`,
    });
  }
  return findings;
}

function checkMatch(table: TargetTable, target: Target): Finding[] {
  if (target.mode === "event") {
    if (uniqueIndexOn(table, [EVENT_ID])) return [];
    return [
      {
        level: "info",
        code: "mysql.event_id",
        message: `Table ${table.label} has no unique column ${EVENT_ID}; with one, each event carries its delivery's id, and a repeat is dropped.`,
        fix: `ALTER TABLE ${table.label} ADD COLUMN ${EVENT_ID} varchar(255) CHARACTER SET ascii COLLATE ascii_bin UNIQUE;`,
      },
    ];
  }
  if (!target.match.every((name) => table.columns.has(name)) || uniqueIndexOn(table, target.match)) return [];
  const label = `Table ${table.label} has no unique index on exactly ${target.match.join(", ")} (whole columns)`;
  const fix = `ALTER TABLE ${table.label} ADD UNIQUE (${target.match.map(quoteName).join(", ")});`;
  const code = "mysql.no_unique_index";
  if (target.mode === "upsert" || target.mode === "mirror")
    return [{ level: "error", code, message: `${label}, which an upsert needs.`, fix }];
  const why =
    target.mode === "insert"
      ? "a resync would insert its rows again"
      : "each batch reads the whole table, and one row may update several";
  return [{ level: "warning", code, message: `${label}: ${why}.`, fix }];
}

type Kind = "number" | "boolean" | "time" | "text";
const KINDS: Readonly<Record<string, Kind>> = {
  ...Object.fromEntries(
    ["smallint", "mediumint", "int", "bigint", "decimal", "float", "double"].map((kind) => [kind, "number" as const]),
  ),
  date: "time",
  datetime: "time",
  timestamp: "time",
};

/** Finds the pairs where most values will not fit, or not whole. */
function checkType(table: TargetTable, field: Field): Finding[] {
  const column = table.columns.get(field.name);
  if (!column || field.type === null) return [];
  const wanted = KINDS[column.kind];
  const given: Kind =
    field.json === "number"
      ? "number"
      : field.json === "boolean"
        ? "boolean"
        : /^(date|datetime|timestamp)/i.test(field.type)
          ? "time"
          : "text";
  // Texts may hold anything, and a boolean is 1 or 0.
  const fits =
    wanted === undefined || wanted === given || given === "text" || (given === "boolean" && wanted === "number");
  if (!fits) return [typeFinding(table, column, field, "values that are not texts of that type are refused")];
  const loses =
    given === "time" && column.fraction !== null && column.fraction < 6 && !/^date$|\([0-5]\)/i.test(field.type);
  return loses ? [typeFinding(table, column, field, "the server rounds fractions of seconds")] : [];
}

function typeFinding(table: TargetTable, column: TargetColumn, field: Field, why: string): Finding {
  return {
    level: "warning",
    code: "mysql.type",
    message: `Field ${field.name} is ${field.type} at the source and ${column.type} in ${table.label}: ${why}.`,
    fix: `Map another column, or run: ALTER TABLE ${table.label} MODIFY ${quoteName(field.name)} …;`,
  };
}
