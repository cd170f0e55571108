import * as z from "zod";
import { alert } from "./alert-schema.ts";
import { model } from "./model-schema.ts";
import { destinationBase, field, project, sourceBase, sync } from "./schema.ts";
import { choices, defOf, inWords, joined } from "./schema-walk.ts";
import { exampleOf } from "./wording.ts";

type Shape = Readonly<Record<string, z.core.$ZodType>>;

/** The tables of docs/configuration.md by the name of their place in it: every key of the schema. */
export function referenceTables(): ReadonlyMap<string, string> {
  return new Map([
    ["top", table(project.shape)],
    ["state", table(shapeUnder(project.shape.state))],
    ["log", table(shapeUnder(project.shape.log))],
    ["failures", table(shapeUnder(project.shape.failures))],
    ["history", table(shapeUnder(project.shape.history))],
    ["alert", table(alert.shape)],
    ["dbt", table(shapeUnder(project.shape.dbt))],
    ["source", table(sourceBase.shape)],
    ["model", table(model.shape)],
    ["destination", table(destinationBase.shape)],
    ["sync", table(sync.shape)],
    ["batch", table(shapeUnder(sync.shape.batch))],
    ["field", table(field.shape)],
  ]);
}

const MARK = /<!-- keys: (\w+) -->\n[\s\S]*?<!-- end -->/g;

/** The page with its tables made anew; throws when it lacks one, or names one that is not there. */
export function withTables(page: string): string {
  const tables = referenceTables();
  const used = new Set<string>();
  const result = page.replaceAll(MARK, (_, name: string) => {
    const text = tables.get(name);
    if (text === undefined) throw new RangeError(`there is no table ${name}`);
    used.add(name);
    return `<!-- keys: ${name} -->\n${text}\n<!-- end -->`;
  });
  for (const name of tables.keys()) if (!used.has(name)) throw new RangeError(`the page lacks the table ${name}`);
  return result;
}

function shapeUnder(schema: z.core.$ZodType): Shape {
  for (const choice of choices(schema)) {
    const def = defOf(choice.schema);
    if (def.type === "object") return def.shape;
  }
  throw new TypeError("not a mapping");
}

function table(shape: Shape): string {
  const rows = Object.entries(shape).map(([key, schema]) => {
    const options = choices(schema);
    const example = exampleOf(options);
    const isRequired = !z.safeParse(schema as z.ZodType, undefined).success;
    const cells = [
      `\`${key}\`${isRequired ? " (required)" : ""}`,
      joined(options.map(inWords)),
      defaultOf(schema),
      describe(schema),
      example === null ? "" : code(example),
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| key | value | default | what it does | example |", "|---|---|---|---|---|", ...rows].join("\n");
}

function code(text: string): string {
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}

function describe(schema: z.core.$ZodType): string {
  const { description } = z.globalRegistry.get(schema) ?? {};
  return description ?? "";
}

function defaultOf(schema: z.core.$ZodType): string {
  const def = defOf(schema);
  const value = def.type === "default" ? def.defaultValue : undefined;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? code(String(value))
    : "";
}
