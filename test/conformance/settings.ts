import * as z from "zod";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly secret?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

const SECRET_NAME = /(password|passphrase|secret|token|api_?key|credential|private_key)/i;

/** What is missing in a settings schema: a description, a secret's mark, a refusal of unknown fields. */
export function checkSettings(schema: z.ZodType): string[] {
  const problems: string[] = [];
  walk(jsonSchema(schema), "", false, (path, field, marked) => {
    if (path !== "" && !/\S/.test(field.description ?? "")) problems.push(`${path}: no description`);
    const name = path.split(".").at(-1) ?? "";
    if (SECRET_NAME.test(name) && field.type !== "object" && !marked)
      problems.push(`${path}: looks like a secret, is not marked as one`);
    if (field.properties !== undefined && field.additionalProperties !== false)
      problems.push(`${path || "(top)"}: takes unknown fields`);
  });
  return problems;
}

/** Where `secret` stands in `settings`, and whether the schema marks that place, or one around it, as a secret. */
export function secretPlaces(
  schema: z.ZodType,
  settings: unknown,
  secret: string,
): { path: string; marked: boolean }[] {
  const marks = new Map<string, boolean>();
  walk(jsonSchema(schema), "", false, (path, _field, marked) => marks.set(path, (marks.get(path) ?? false) || marked));
  const encoded = Buffer.from(secret).toString("base64");
  const places: { path: string; marked: boolean }[] = [];
  const look = (value: unknown, path: string, marked: boolean): void => {
    const here = marked || (marks.get(path) ?? false);
    if (typeof value === "string" && (value.includes(secret) || value.includes(encoded)))
      places.push({ path, marked: here });
    else if (Array.isArray(value)) for (const item of value) look(item, path, here);
    else if (typeof value === "object" && value !== null) {
      for (const [name, item] of Object.entries(value)) look(item, path === "" ? name : `${path}.${name}`, here);
    }
  };
  look(settings, "", false);
  return places;
}

function jsonSchema(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Schema;
}

/** Every object and field, the branches of a union under the union's own name. */
function walk(
  schema: Schema,
  path: string,
  within: boolean,
  visit: (path: string, schema: Schema, marked: boolean) => void,
): void {
  const marked = within || schema.secret === true;
  visit(path, schema, marked);
  const inner = (sub: Schema): void => {
    for (const [name, field] of Object.entries(sub.properties ?? {}))
      walk(field, path === "" ? name : `${path}.${name}`, marked, visit);
  };
  inner(schema);
  for (const branch of [...(schema.anyOf ?? []), ...(schema.allOf ?? []), ...(schema.oneOf ?? [])]) inner(branch);
}
