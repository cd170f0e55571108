import type { Field, Target } from "../../contracts/destination.ts";
import { didYouMean } from "../../contracts/did-you-mean.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { VendorField, VendorFields } from "./definition.ts";

/** Whether a sync's fields are the vendor's: unknown, missing, of another type, not to be written, not to be emptied. `said`: `HubSpot contacts`. */
export function checkFields(target: Target, { fields, open }: VendorFields, type: string, said: string): Finding[] {
  const findings: Finding[] = [];
  const add = (level: Finding["level"], code: string, message: string, fix?: string): void =>
    void findings.push({ level, code: `${type}.${code}`, message, subject: target.sync, fix });
  const known = new Map(fields.map((field) => [field.name, field]));
  const names = [...known.keys()];

  for (const field of target.shape.fields) {
    const theirs = known.get(field.name);
    if (theirs === undefined) {
      if (!open) {
        const near = didYouMean(field.name, names, "`");
        add(
          "error",
          "unknown_field",
          `${said} has no field \`${field.name}\`${near}.`,
          "Correct `map`, or make it there.",
        );
      }
      continue;
    }
    if (theirs.readOnly === true) add("error", "read_only", `\`${field.name}\` of ${said} cannot be written.`);
    const fit = typeFit(field, theirs.type);
    const has = `\`${field.name}\` is ${kindOf(field)}; ${said} has ${aType(theirs.type)} there`;
    if (fit === "never")
      add("error", "wrong_type", `${has}.`, "Map another column, or write it otherwise with `as` or a template.");
    if (fit === "perhaps") add("warning", "type", `${has}: a text that is none is refused.`);
    if (theirs.clearable === false && !target.match.includes(field.name)) {
      const clears = target.mode === "mirror" && target.onDelete.kind === "clear";
      add(
        clears ? "error" : "info",
        "not_clearable",
        `\`${field.name}\` of ${said} cannot be emptied: ${clears ? "`on_delete: clear` would leave its value" : "a null leaves the value that is there"}.`,
      );
    }
  }
  if (target.mode !== "update") {
    for (const { name, required } of fields) {
      if (required !== true || target.match.includes(name)) continue;
      if (!target.shape.fields.some((field) => field.name === name))
        add("error", "missing_field", `${said} needs \`${name}\`, which is not mapped.`, `Add \`${name}\` to \`map\`.`);
    }
  }
  const unique = fields.filter((field) => field.unique === true).map(({ name }) => name);
  if (unique.length > 0 && target.mode !== "event" && target.mode !== "insert") {
    for (const name of target.match) {
      if (unique.includes(name)) continue;
      const near = didYouMean(name, unique, "`");
      add(
        "error",
        "match",
        `${said} finds no record by \`${name}\`${near}. It can by ${shortList(unique)}.`,
        "Set `match` to one of them.",
      );
    }
  }
  return findings;
}

type Fit = "well" | "perhaps" | "never";

function typeFit({ json, type }: Field, theirs: VendorField["type"]): Fit {
  if (theirs === "any" || theirs === "json") return "well";
  if (json === "json") return theirs === "array" ? "perhaps" : "never";
  if (json === "array") return theirs === "array" || theirs === "enum" ? "well" : "never";
  // A constant or a template is what its author has made it.
  const text = json === "string" && type !== null;
  switch (theirs) {
    case "string":
    case "enum":
      return "well";
    case "number":
      if (json === "boolean" || isTime(type)) return "never";
      return text && !isNumber(type) ? "perhaps" : "well";
    case "boolean":
      if (json === "number" || isTime(type)) return "never";
      return text && type !== "boolean" ? "perhaps" : "well";
    case "date":
    case "datetime":
      if (json === "boolean") return "never";
      return text && !isTime(type) ? "perhaps" : "well";
    case "array":
      return "perhaps";
  }
}

function isTime(type: string | null): boolean {
  return type !== null && /^(date|time)/i.test(type);
}

function isNumber(type: string): boolean {
  return /^(small|big|tiny|medium)?int|^(numeric|decimal|real|double|float)/i.test(type);
}

function kindOf({ json, type }: Field): string {
  return type === null ? `made of ${json === "array" ? "a list" : `a ${json}`}` : `of type ${type}`;
}

function aType(type: VendorField["type"]): string {
  return type === "enum" ? "one of a list of options" : `${type === "array" ? "an" : "a"} ${type}`;
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => `\`${name}\``);
  return shown.join(", ") + (names.length > shown.length ? ` and ${names.length - shown.length} more` : "");
}
