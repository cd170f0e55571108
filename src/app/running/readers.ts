import type { Sync } from "../../contracts/sync.ts";
import type { Config } from "../config/load.ts";

/** The syncs that one reader of a source can serve. */
export interface Reader {
  readonly source: string;
  readonly syncs: readonly Sync[];
}

/** Every sync, with those that share a reader. */
export function readersOf(config: Config): readonly Reader[] {
  const readers = Map.groupBy(config.syncs, ({ name, model }) => {
    const sharing = config.sources.get(model.source)!.connector.sharing ?? "source";
    return JSON.stringify([model.source, sharing === "source" ? null : sharing === "model" ? model.name : name]);
  });
  return [...readers.values()].map((syncs) => ({ source: syncs[0]!.model.source, syncs }));
}
