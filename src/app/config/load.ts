import { dirname, join, resolve } from "node:path";
import { type Connectors, CONNECTORS } from "../connectors.ts";
import type { Config } from "./config.ts";
import { displayed, findFiles, readEnvironment, readSource } from "./files.ts";
import { mergeFiles } from "./merge.ts";
import { isProgram, loadProgram } from "./program.ts";
import type { NamedFiles } from "./model.ts";
import { ConfigError, type Problem } from "./problem.ts";
import { readProject } from "./project.ts";
import { type Shown, withoutHidden } from "./discretion.ts";
import { excerpt, rawExcerpt } from "./excerpt.ts";
import type { StateSettings } from "./schema.ts";
import { SourceText } from "./source-text.ts";
import type { Flaw, MapTree } from "./tree.ts";
import { parseYaml } from "./yaml-tree.ts";

export type { Config, ConfiguredAlert, ConfiguredDestination, ConfiguredSource } from "./config.ts";
export { ConfigError } from "./problem.ts";

export interface LoadOptions {
  /** A file or a folder. By default `tailrace.yml`, `tailrace.yaml`, `tailrace.config.ts` or the folder `tailrace/` in the working directory. */
  readonly path?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly workingDirectory?: string | undefined;
  readonly connectors?: Connectors | undefined;
}

/** Reads, checks and joins the configuration. Throws a {@link ConfigError} that holds every problem found. */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const workingDirectory = options.workingDirectory ?? process.cwd();
  const { baseDirectory, paths } = await findFiles(options.path, workingDirectory);
  const environment = await readEnvironment(baseDirectory, options.env);
  const texts = new Map<string, SourceText>();
  const problems: Problem[] = [];
  const flaws: Flaw[] = [];
  const trees: MapTree[] = [];
  for (const path of paths) {
    if (isProgram(path)) {
      const { tree, flaws: wrong, problem } = await loadProgram(path, displayed(path, workingDirectory), environment);
      if (problem !== null) problems.push(problem);
      flaws.push(...wrong);
      if (tree !== null) trees.push(tree);
      continue;
    }
    const source = await readSource(path, displayed(path, workingDirectory));
    if (!(source instanceof SourceText)) {
      problems.push(source);
      continue;
    }
    texts.set(source.file, source);
    const parsed = parseYaml(source, environment);
    if (parsed.unreadable) problems.push(...parsed.flaws.map((flaw) => rawProblem(flaw, source)));
    else flaws.push(...parsed.flaws);
    if (parsed.tree !== null) trees.push(parsed.tree);
  }
  // What an unreadable file declares is not known: anything said about the rest would be a guess.
  if (problems.length > 0) throw new ConfigError(problems);
  const tree = mergeFiles(trees, flaws);
  const files: NamedFiles = {
    locate: (path) => {
      const full = resolve(baseDirectory, path);
      return { full, shown: displayed(full, workingDirectory) };
    },
    read: async (path) => {
      const { full, shown } = files.locate(path);
      const source = await readSource(full, shown);
      if (source instanceof SourceText) texts.set(source.file, source);
      return source;
    },
  };
  const result = await readProject(tree, { connectors: options.connectors ?? CONNECTORS, files, flaws });
  if (flaws.length > 0) throw new ConfigError(toProblems(flaws, texts, result.shown));
  const { project, sources, destinations, models, dbt, syncs, alerts } = result;
  const state: StateSettings =
    project.state.type === "sqlite"
      ? { ...project.state, path: resolve(baseDirectory, project.state.path) }
      : project.state;
  return {
    name: project.name,
    baseDirectory,
    files: paths,
    sources,
    destinations,
    models,
    dbt: dbt === null ? null : { ...runFiles(files.locate(dbt.manifest).full), models: dbt.models },
    syncs,
    state,
    log: { level: project.log.level },
    alerts,
    failures: { keepMs: project.failures.keep ?? null, most: project.failures.most },
    history:
      project.history === "off"
        ? null
        : {
            bytes: project.history.bytes,
            path: resolve(baseDirectory, project.history.path ?? historyBeside(state)),
          },
  };
}

function runFiles(manifest: string): { manifest: string; runResults: string } {
  return { manifest, runResults: join(dirname(manifest), "run_results.json") };
}

function historyBeside(state: StateSettings): string {
  return state.type === "sqlite" ? join(dirname(state.path), "history") : ".tailrace/history";
}

function toProblems(flaws: readonly Flaw[], texts: ReadonlyMap<string, SourceText>, shown: Shown): readonly Problem[] {
  const order = [...texts.keys()];
  const sorted = [...flaws].sort(
    (a, b) => order.indexOf(a.place.file) - order.indexOf(b.place.file) || a.place.start - b.place.start,
  );
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const flaw of sorted) {
    // An anchored value is read once for each alias; what is wrong in it is said once.
    const id = `${flaw.place.file}:${flaw.place.key ?? flaw.place.start}:${flaw.message}`;
    const source = texts.get(flaw.place.file);
    if (seen.has(id) || (source === undefined && flaw.place.line > 0)) continue;
    seen.add(id);
    const problem = bare(flaw);
    if (source === undefined) {
      problems.push(problem);
      continue;
    }
    // A key that the message names may be shown, too: a repeated one is not in the tree.
    const key = String(flaw.path.at(-1) ?? "");
    const isKey = source.text.slice(flaw.place.start, flaw.place.end) === key && !shown.hiddenKeys.has(key);
    const places = isKey ? [...shown.places, flaw.place] : shown.places;
    problems.push({
      ...problem,
      message: withoutHidden(problem.message, shown.hiddenKeys),
      fix: problem.fix === undefined ? undefined : withoutHidden(problem.fix, shown.hiddenKeys),
      key: withoutHidden(problem.key, shown.hiddenKeys),
      excerpt: excerpt(source, flaw.place, places),
    });
  }
  return problems;
}

function rawProblem(flaw: Flaw, source: SourceText): Problem {
  return { ...bare(flaw), excerpt: rawExcerpt(source, flaw.place) ?? undefined };
}

function bare({ place, path, message, fix }: Flaw): Problem {
  return { file: place.file, line: place.line, column: place.column, key: path.join("."), message, fix };
}
