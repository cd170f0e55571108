import type { Log } from "../../contracts/log.ts";
import type { DbtProject } from "../config/config.ts";
import { Manifest, readManifest } from "./manifest.ts";
import { waysOf } from "./model.ts";
import { type DbtRun, dbtRuns } from "./runs.ts";

/**
 * Says, until `signal`, which models have other rows because dbt has built something: their names in the configuration. First that
 * of the last run, which nobody may have seen.
 */
export async function followDbt(
  dbt: DbtProject,
  options: {
    readonly signal: AbortSignal;
    readonly log: Log;
    readonly pollMs?: number;
    readonly onBuilt: (models: ReadonlySet<string>) => void;
  },
): Promise<void> {
  const { signal, log, pollMs, onBuilt } = options;
  for await (const run of dbtRuns(dbt.runResults, { signal, ...(pollMs === undefined ? {} : { pollMs }) })) {
    const models = builtModels(dbt, run);
    log.debug("dbt has run", { run: run.invocation, ended: run.endedAt, models: [...models].join(", ") });
    await compareManifest(dbt, run, log);
    if (models.size > 0) onBuilt(models);
  }
}

function builtModels(dbt: DbtProject, run: DbtRun): ReadonlySet<string> {
  return new Set(
    [...dbt.models]
      .filter(([, { builtWith }]) => [...builtWith.keys()].some((id) => run.built.has(id)))
      .map(([name]) => name),
  );
}

/** Warns where what was read of the project when this process began is not what dbt has now. */
async function compareManifest(dbt: DbtProject, run: DbtRun, log: Log): Promise<void> {
  const manifest = await readManifest(dbt.manifest, "manifest.json");
  if (!(manifest instanceof Manifest)) {
    log.warn(`dbt has run, but its manifest cannot be read: it ${manifest.problem}`, { run: run.invocation });
    return;
  }
  if (manifest.invocation !== run.invocation && manifest.generatedAt < run.endedAt) {
    log.warn("dbt's manifest.json is older than its run_results.json: bring both from the same run", {
      manifest: manifest.generatedAt,
      run: run.endedAt,
    });
  }
  for (const [model, { builtWith }] of dbt.models) {
    for (const [id, ways] of builtWith) {
      const node = manifest.node(id);
      if (node !== null && waysOf(node) === ways) continue;
      log.warn("this model has changed in dbt since its project was read: restart Tailrace to read it anew", {
        model,
        dbt: id,
      });
    }
  }
}
