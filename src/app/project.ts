import type { Destination } from "../contracts/destination.ts";
import type { Log } from "../contracts/log.ts";
import type { Source } from "../contracts/source.ts";
import type { StateStore } from "../contracts/state.ts";
import { openSqliteState } from "../state/sqlite/index.ts";
import type { Config } from "./config/load.ts";

/** A configuration's own source connection; the caller disposes it. */
export function createSource(config: Config, name: string, log: Log): Source {
  const { connector, settings } = config.sources.get(name)!;
  return connector.create(settings, { name, project: config.name, log: log.child({ source: name }) });
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

export function openState(
  config: Config,
  log: Log,
  options: { readonly readOnly?: boolean } = {},
): Promise<StateStore> {
  return openSqliteState({ path: config.state.path, log, ...options });
}
