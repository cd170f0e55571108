import { closest } from "../contracts/did-you-mean.ts";
import { quotedList } from "../app/config/suggest.ts";
import type { Config } from "../app/config/config.ts";
import type { Sync } from "../contracts/sync.ts";
import { type Arguments, type Context, UsageError } from "./command.ts";

/** The configuration that the command line names. Throws a ConfigError. */
export async function configOf(context: Context): Promise<Config> {
  // Loaded only now: `--help` must not wait for what only a configuration needs.
  const { loadConfig } = await import("../app/config/load.ts");
  return loadConfig({ path: context.configPath, env: context.env, workingDirectory: context.workingDirectory });
}

/** The one sync that is named. */
export function oneSync(config: Config, positionals: readonly string[]): Sync {
  const [name, extra] = positionals;
  if (name === undefined) throw new UsageError(`Which sync? There are ${namesOf(config)}.`);
  refuseMore(extra);
  return syncNamed(config, name);
}

/** The syncs that are named, in the configuration's order; all when none is. */
export function chosenSyncs(config: Config, names: readonly string[]): readonly Sync[] {
  if (names.length === 0) return config.syncs;
  const wanted = new Set(names.map((name) => syncNamed(config, name)));
  return config.syncs.filter((sync) => wanted.has(sync));
}

export function syncNamed(config: Config, name: string): Sync {
  const sync = config.syncs.find((candidate) => candidate.name === name);
  if (sync !== undefined) return sync;
  const near = closest(
    name,
    config.syncs.map((candidate) => candidate.name),
  );
  const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
  throw new UsageError(`There is no sync \`${name}\`${suggestion} (there are ${namesOf(config)})`);
}

function namesOf(config: Config): string {
  return quotedList(config.syncs.map(({ name }) => name));
}

/** For commands that take no more words. */
export function refuseMore(word: string | undefined): void {
  if (word !== undefined) throw new UsageError(`\`${word}\` was not expected here.`);
}

/** One of a few words, which a command has in the place of its own name. */
export function subcommand<W extends string>(word: string | undefined, words: readonly W[], otherwise: W | null): W {
  if (word === undefined && otherwise !== null) return otherwise;
  const found = words.find((candidate) => candidate === word);
  if (found !== undefined) return found;
  if (word === undefined) throw new UsageError(`Say what to do: ${quotedList(words, "or")}.`);
  const near = closest(word, words);
  throw new UsageError(
    `There is no \`${word}\` here${near === null ? "" : `; did you mean \`${near}\`?`} (there are ${quotedList(words)})`,
  );
}

export function wholeNumber(values: Arguments["values"], name: string, otherwise: number, least = 0): number {
  const value = values[name];
  if (value === undefined) return otherwise;
  const parsed = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : NaN;
  if (!Number.isSafeInteger(parsed) || parsed < least) {
    throw new UsageError(`--${name} takes a whole number from ${least}.`);
  }
  return parsed;
}
