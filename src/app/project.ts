import type { Destination } from "../contracts/destination.ts";
import type { Log } from "../contracts/log.ts";
import type { Source } from "../contracts/source.ts";
import type { StateStore } from "../contracts/state.ts";
import { describeState } from "../state/postgres/where.ts";
import { openSqliteState } from "../state/sqlite/index.ts";
import type { Config } from "./config/load.ts";

/** A configuration's own source connection; the caller disposes it. */
export function createSource(config: Config, name: string, log: Log): Source {
  const { connector, settings } = config.sources.get(name)!;
  return connector.create(settings, {
    name,
    project: config.name,
    log: log.child({ source: name }),
    baseDirectory: config.baseDirectory,
  });
}

/** A configuration's own destination connection; the caller disposes it. */
export function createDestination(config: Config, name: string, log: Log): Destination {
  const { connector, settings } = config.destinations.get(name)!;
  return connector.create(settings, {
    name,
    log: log.child({ destination: name }),
    baseDirectory: config.baseDirectory,
  });
}

export async function openState(
  config: Config,
  log: Log,
  options: { readonly readOnly?: boolean } = {},
): Promise<StateStore> {
  const { state, baseDirectory } = config;
  if (state.type === "sqlite") return openSqliteState({ path: state.path, log, ...options });
  // Who keeps the state in a file need not load the driver for it.
  const { openPostgresState } = await import("../state/postgres/index.ts");
  const { url, schema, tls } = state;
  return openPostgresState({ url, schema, tls, baseDirectory, log, ...options });
}

/** Where the state is, without its secrets. */
export function nameOfState({ state }: Config): string {
  if (state.type === "sqlite") return state.path;
  return describeState({ url: state.url, tls: state.tls }, state.schema);
}
