import { readdir } from "node:fs/promises";
import type { DestinationConnector } from "../contracts/destination.ts";
import { TailraceError } from "../contracts/errors.ts";
import type { SourceConnector } from "../contracts/source.ts";
import { closest } from "../contracts/did-you-mean.ts";
import { quotedList } from "./config/suggest.ts";

/** Where connectors come from. The default one looks into `sources/` and `destinations/`, by folder name. */
export interface Connectors {
  /** Sorted. */
  listSources(): Promise<readonly string[]>;
  listDestinations(): Promise<readonly string[]>;
  /** Throws `config.invalid` with a suggestion when there is no such type. */
  loadSource(type: string): Promise<SourceConnector>;
  loadDestination(type: string): Promise<DestinationConnector>;
}

// The same file runs unbuilt (.ts) and built (.js), and so do the connectors beside it.
const SUFFIX = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const TYPE = /^[a-z][a-z0-9_-]*$/;

type Room = "sources" | "destinations";

const listed = new Map<Room, Promise<readonly string[]>>();
const loaded = new Map<string, Promise<unknown>>();

export function listSources(): Promise<readonly string[]> {
  return list("sources");
}

export function listDestinations(): Promise<readonly string[]> {
  return list("destinations");
}

export async function loadSource(type: string): Promise<SourceConnector> {
  return (await load("sources", type)) as SourceConnector;
}

export async function loadDestination(type: string): Promise<DestinationConnector> {
  return (await load("destinations", type)) as DestinationConnector;
}

export const CONNECTORS: Connectors = { listSources, listDestinations, loadSource, loadDestination };

async function list(room: Room): Promise<readonly string[]> {
  let types = listed.get(room);
  if (types === undefined) {
    types = findTypes(room);
    listed.set(room, types);
  }
  return types;
}

async function findTypes(room: Room): Promise<readonly string[]> {
  const folder = new URL(`../${room}/`, import.meta.url);
  const types: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || !TYPE.test(entry.name)) continue;
    const files = await readdir(new URL(`${entry.name}/`, folder));
    if (files.includes(`index${SUFFIX}`)) types.push(entry.name);
  }
  return types.sort();
}

async function load(room: Room, type: string): Promise<unknown> {
  const types = await list(room);
  if (!types.includes(type)) throw new TailraceError("config.invalid", unknownTypeMessage(room, type, types));
  const id = `${room}/${type}`;
  let connector = loaded.get(id);
  if (connector === undefined) {
    connector = importDefault(new URL(`../${id}/index${SUFFIX}`, import.meta.url).href, id);
    loaded.set(id, connector);
  }
  return connector;
}

async function importDefault(url: string, id: string): Promise<unknown> {
  const found = (await import(url)) as { readonly default?: unknown };
  if (found.default === undefined) throw new TailraceError("internal.defect", `${id} has no default export.`);
  return found.default;
}

function unknownTypeMessage(room: Room, type: string, types: readonly string[]): string {
  const kind = room === "sources" ? "source" : "destination";
  const near = closest(type, types);
  const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
  return `There is no ${kind} type \`${type}\`${suggestion} (there are ${quotedList(types)}).`;
}
