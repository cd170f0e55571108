import type { Log } from "../contracts/log.ts";
import { Alerts } from "./alerts/alerts.ts";
import { followDbt } from "./dbt/follow.ts";
import { Timetable } from "../engine/rows/timetable.ts";
import { UNOBSERVED } from "../engine/observer.ts";
import type { Config } from "./config/load.ts";
import { History } from "./history/history.ts";
import { createSource, openState } from "./project.ts";
import { Destinations } from "./running/destinations.ts";
import { readersOf } from "./running/readers.ts";
import { SourceRunner } from "./running/source-runner.ts";

export interface RunResult {
  /** Syncs that stopped and need a person. */
  readonly problems: readonly { readonly sync: string; readonly message: string }[];
}

/**
 * Runs every sync of a configuration until `signal` aborts, then drains: what is on its way ends, and where each sync came to is
 * stored, so that nothing is sent twice after a clean stop. With `once`: catches up with what is committed now, and ends.
 */
export async function run(
  config: Config,
  options: { readonly once: boolean; readonly signal: AbortSignal; readonly log: Log },
): Promise<RunResult> {
  const { log } = options;
  await using store = await openState(config, log);
  await using destinations = new Destinations(config, log);
  // What `run --once` comes to, its exit code says.
  await using alerts = options.once ? null : new Alerts(config, log);
  await using history = config.history === null ? null : new History(config.history, log);
  await using sources = new AsyncDisposableStack();
  const timetables = new Map(
    config.syncs.map((sync) => [sync.name, new Timetable(sync.model.diff.schedule, Date.now())]),
  );
  const runners = readersOf(config).map(
    ({ source: name, syncs }) =>
      new SourceRunner({
        name,
        source: sources.use(createSource(config, name, log)),
        syncs,
        destinations,
        store,
        failures: config.failures,
        observer: (sync) => history?.observer(sync) ?? UNOBSERVED,
        timetable: (sync) => timetables.get(sync.name)!,
        log,
        onReport: alerts?.see.bind(alerts),
        once: options.once,
      }),
  );
  await using dbt = new AsyncDisposableStack();
  if (config.dbt !== null && !options.once) {
    const over = new AbortController();
    const following = followDbt(config.dbt, {
      signal: AbortSignal.any([options.signal, over.signal]),
      log,
      onBuilt: (models) => {
        for (const { name, model } of config.syncs) if (models.has(model.name)) timetables.get(name)!.ask();
      },
    });
    dbt.defer(async () => {
      over.abort();
      await following;
    });
  }
  // A source that fails for good must not take the others with it: all are waited for, then the first failure is told.
  const results = await Promise.allSettled(runners.map((runner) => runner.run(options.signal)));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return { problems: runners.flatMap((runner) => runner.problems) };
}
