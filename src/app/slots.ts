import { TailraceError } from "../contracts/errors.ts";
import type { Log } from "../contracts/log.ts";
import type { Holding } from "../contracts/source.ts";
import type { Config } from "./config/load.ts";
import { createSource } from "./project.ts";

export interface SourceHoldings {
  readonly source: string;
  readonly holdings: readonly Holding[];
  /** Why they could not be listed. */
  readonly problem: string | null;
}

interface Options {
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** What Tailrace holds on each source of the configuration. */
export function listHoldings(config: Config, { signal, log }: Options): Promise<readonly SourceHoldings[]> {
  return Promise.all(
    [...config.sources.keys()].map(async (name): Promise<SourceHoldings> => {
      await using source = createSource(config, name, log);
      try {
        return { source: name, holdings: await source.holdings(syncsOf(config, name), signal), problem: null };
      } catch (error) {
        signal.throwIfAborted();
        const { message, code } = TailraceError.from(error);
        return { source: name, holdings: [], problem: `${message} (${code})` };
      }
    }),
  );
}

/** Each may have a place of its own on its source. */
export function syncsOf(config: Config, source: string): readonly string[] {
  return config.syncs.filter(({ model }) => model.source === source).map(({ name }) => name);
}

/** Something to release. */
export interface Released {
  readonly source: string;
  readonly name: string;
  /** null: it is released. */
  readonly problem: string | null;
}

/** Releases one after the other; one that fails does not keep the others from it. */
export async function releaseHoldings(
  config: Config,
  wanted: readonly { readonly source: string; readonly name: string }[],
  { signal, log }: Options,
): Promise<readonly Released[]> {
  const results: Released[] = [];
  for (const [sourceName, own] of Map.groupBy(wanted, ({ source }) => source)) {
    await using source = createSource(config, sourceName, log);
    for (const { name } of own) {
      try {
        await source.release(name, signal);
        results.push({ source: sourceName, name, problem: null });
      } catch (error) {
        signal.throwIfAborted();
        const { message, code } = TailraceError.from(error);
        results.push({ source: sourceName, name, problem: `${message} (${code})` });
      }
    }
  }
  return results;
}

/** Those that this configuration does not use and nobody reads. */
export function orphansOf(
  sources: readonly SourceHoldings[],
): readonly { readonly source: string; readonly name: string }[] {
  return onceEach(
    sources.flatMap(({ source, holdings }) =>
      holdings.filter(({ used, active }) => !used && !active).map(({ name }) => ({ source, name })),
    ),
    sources,
  );
}

/** Two sources of one database list the same slots: each once, and not where the other one uses it. */
function onceEach(
  found: readonly { readonly source: string; readonly name: string }[],
  sources: readonly SourceHoldings[],
): readonly { readonly source: string; readonly name: string }[] {
  const usedNames = new Set(
    sources.flatMap(({ holdings }) => holdings.filter(({ used }) => used).map(({ name }) => name)),
  );
  const seen = new Set<string>();
  return found.filter(({ name }) => {
    if (usedNames.has(name) || seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
