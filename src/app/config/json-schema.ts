import * as z from "zod";
import type { DestinationConnector } from "../../contracts/destination.ts";
import type { SourceConnector } from "../../contracts/source.ts";
import { type Connectors, CONNECTORS } from "../connectors.ts";
import { NAME } from "./schema-parts.ts";
import { destinationBase, project, sourceBase } from "./schema.ts";

type Json = Record<string, unknown>;

/** The JSON Schema of a configuration with every connector's settings in it, for editors. */
export async function configJsonSchema(connectors: Connectors = CONNECTORS): Promise<object> {
  const schema = toJson(project);
  const sources = await Promise.all((await connectors.listSources()).map((type) => connectors.loadSource(type)));
  const destinations = await Promise.all(
    (await connectors.listDestinations()).map((type) => connectors.loadDestination(type)),
  );
  const properties = schema["properties"] as Record<string, Json>;
  // Variables are not replaced in names.
  for (const section of Object.values(properties)) {
    if (section["propertyNames"] !== undefined) section["propertyNames"] = { type: "string", pattern: NAME.source };
  }
  setValues(properties["sources"], { oneOf: sources.map((connector) => settingsOf(connector, sourceBase)) });
  setValues(properties["destinations"], {
    oneOf: destinations.map((connector) => settingsOf(connector, destinationBase)),
  });
  const sync = at(at(at(properties, "syncs"), "additionalProperties"), "properties") as Record<string, Json>;
  // Which of them fits depends on the destination that is named, which JSON Schema cannot follow.
  sync["options"] = {
    description: sync["options"]?.["description"],
    anyOf: destinations.map((connector) => titled(toJson(connector.sync), connector)),
  };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Tailrace configuration",
    ...schema,
    patternProperties: { "^x-": { description: "Ignored: room for anchors." } },
  };
}

function at(json: Json, key: string): Json {
  return json[key] as Json;
}

function setValues(section: Json | undefined, values: Json): void {
  if (section !== undefined) section["additionalProperties"] = values;
}

function titled(schema: Json, { title, type }: SourceConnector | DestinationConnector): Json {
  return { title: `${title} (${type})`, ...schema };
}

/** One connector's settings with the common keys beside them. */
function settingsOf(
  connector: SourceConnector | DestinationConnector,
  base: typeof sourceBase | typeof destinationBase,
): Json {
  const common = toJson(base)["properties"] as Json;
  const own = { ...common, type: { ...(common["type"] as Json), const: connector.type } };
  return titled(withKeys(toJson(connector.settings), own), connector);
}

function withKeys(schema: Json, keys: Json): Json {
  for (const combined of ["anyOf", "oneOf"]) {
    const branches = schema[combined];
    if (Array.isArray(branches))
      return { ...schema, [combined]: branches.map((branch: Json) => withKeys(branch, keys)) };
  }
  const required = Array.isArray(schema["required"]) ? (schema["required"] as string[]) : [];
  return {
    ...schema,
    properties: { ...keys, ...(schema["properties"] as Json | undefined), ...keys },
    required: ["type", ...required.filter((key) => !Object.hasOwn(keys, key))],
    additionalProperties: false,
  };
}

function toJson(schema: z.ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override({ jsonSchema }) {
      // `wanted` is for messages; `writeOnly` is JSON Schema's own word for what is never shown.
      delete jsonSchema["wanted"];
      if (jsonSchema["secret"] === true) jsonSchema.writeOnly = true;
      delete jsonSchema["secret"];
      // zod's own names of string checks, whose pattern says it all.
      if (jsonSchema.format !== undefined && !STANDARD_FORMATS.has(jsonSchema.format)) delete jsonSchema.format;
      // Ours of mappings and lists are YAML, which an editor would offer as a text.
      if (
        jsonSchema.examples?.some(
          (example) => typeof example === "string" && /^[[{]/.test(example) && !example.startsWith("{{"),
        ) === true
      ) {
        delete jsonSchema.examples;
      }
      allowVariables(jsonSchema as Json);
    },
  }) as Json;
  return json;
}

const STANDARD_FORMATS = new Set(["uri", "email", "uuid", "date", "time", "date-time", "ipv4", "ipv6"]);

const VARIABLE = {
  type: "string",
  pattern: "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}",
  description: "An environment variable.",
};

/** Where a number, a boolean or a text of a certain form is wanted, `${VAR}` may stand for it. */
function allowVariables(json: Json): void {
  const { type } = json;
  const restricted =
    type === "number" ||
    type === "integer" ||
    type === "boolean" ||
    json["pattern"] !== undefined ||
    json["format"] !== undefined ||
    json["enum"] !== undefined;
  if (!restricted || json["anyOf"] !== undefined) return;
  const notes = ["description", "default", "examples", "title", "writeOnly"];
  const inner: Json = {};
  for (const key of Object.keys(json)) {
    if (notes.includes(key)) continue;
    inner[key] = json[key];
    delete json[key];
  }
  json["anyOf"] = [inner, VARIABLE];
}
