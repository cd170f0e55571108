import * as z from "zod";
import type { DestinationConnector, DestinationGuide } from "../contracts/destination.ts";
import type { SourceConnector } from "../contracts/source.ts";
import { destinationBase, sourceBase } from "./config/schema.ts";
import { choices, defOf, inWords, joined } from "./config/schema-walk.ts";
import { listDestinations, listSources, loadDestination, loadSource } from "./connectors.ts";

export interface ConnectorSummary {
  readonly type: string;
  readonly title: string;
}

export interface ConnectorSettings extends ConnectorSummary {
  /** Of the connection, under `sources:` or `destinations:`. */
  readonly settings: readonly Setting[];
  /** A sync's `options:`; null for sources. */
  readonly options: readonly Setting[] | null;
  /** null for sources, and for destinations whose page is written by hand. */
  readonly guide: DestinationGuide | null;
}

export interface Setting {
  /** The path of keys: `batch.rows`. */
  readonly key: string;
  /** What may stand there, in words. */
  readonly value: string;
  readonly required: boolean;
  readonly default: string | null;
  readonly secret: boolean;
  readonly description: string;
}

export async function sourceTypes(): Promise<readonly ConnectorSummary[]> {
  return Promise.all((await listSources()).map(async (type) => ({ type, title: (await loadSource(type)).title })));
}

export async function destinationTypes(): Promise<readonly ConnectorSummary[]> {
  const types = await listDestinations();
  return Promise.all(types.map(async (type) => ({ type, title: (await loadDestination(type)).title })));
}

/** Throws `config.invalid` when there is no such type. */
export async function sourceSettings(type: string): Promise<ConnectorSettings> {
  const { title, settings } = await loadSource(type);
  return { type, title, settings: settingsOf(settings, sourceBase), options: null, guide: null };
}

/** Throws `config.invalid` when there is no such type. */
export async function destinationSettings(type: string): Promise<ConnectorSettings> {
  const { title, settings, sync, guide = null } = await loadDestination(type);
  return { type, title, settings: settingsOf(settings, destinationBase), options: walk(sync, ""), guide };
}

function settingsOf(
  schema: (SourceConnector | DestinationConnector)["settings"],
  base: typeof sourceBase | typeof destinationBase,
): readonly Setting[] {
  const common = walk(base, "").filter(({ key }) => key !== "type");
  // These are taken before the connector sees the rest, also where it has such a key itself.
  const own = walk(schema, "").filter(({ key }) => !common.some((setting) => setting.key === key));
  return [...own, ...common];
}

function walk(schema: z.core.$ZodType, prefix: string): readonly Setting[] {
  const settings: Setting[] = [];
  for (const option of choices(schema)) {
    const def = defOf(option.schema);
    if (def.type === "array") settings.push(...walk(def.element, prefix.replace(/\.$/, "[].")));
    if (def.type !== "object") continue;
    for (const [name, child] of Object.entries(def.shape)) {
      const key = `${prefix}${name}`;
      const options = choices(child);
      settings.push({
        key,
        value: joined(options.map(inWords)),
        required: !z.safeParse(child as z.ZodType, undefined).success,
        default: defaultOf(child),
        secret: options.some(({ secret }) => secret),
        description: descriptionOf(child),
      });
      settings.push(...walk(child, `${key}.`));
    }
  }
  return settings;
}

/** Of the schema, or of what it wraps. */
function descriptionOf(schema: z.core.$ZodType): string {
  const { description } = z.globalRegistry.get(schema) ?? {};
  if (description !== undefined) return description;
  const def = defOf(schema);
  return "innerType" in def ? descriptionOf(def.innerType) : "";
}

function defaultOf(schema: z.core.$ZodType): string | null {
  const def = defOf(schema);
  if (def.type === "default") {
    const value: unknown = def.defaultValue;
    return typeof value === "string" && value !== "" ? value : JSON.stringify(value);
  }
  return null;
}
