import { configOf, refuseMore } from "../arguments.ts";
import { type Command, EXIT, UsageError } from "../command.ts";
import { keepHeapSmall } from "../heap.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

export const run: Command = {
  name: "run",
  summary: "deliver, always on",
  usage: "[--once]",
  help: `
Reads every source's changelog and delivers, until it is stopped. Ctrl-C or SIGTERM lets what is on its way end, stores
where each sync came to, and exits: nothing is sent twice after a clean stop. A second Ctrl-C exits at once.

  --once             deliver what is committed now (and the rows that exist, for a new sync), then exit; for cron and CI
  --log-level LEVEL  debug, info, warn or error (default: the configuration's, or info)

The log goes to standard output: as text on a terminal, as JSON lines elsewhere and with --json. Exits with 1 when a sync
stopped and needs attention.
`,
  options: { once: { type: "boolean" }, "log-level": { type: "string" } },
  async run(context, { values, positionals }) {
    refuseMore(positionals[0]);
    const wanted = values["log-level"];
    const known = LEVELS.find((level) => level === wanted);
    if (wanted !== undefined && known === undefined)
      throw new UsageError(`--log-level is one of ${LEVELS.join(", ")}.`);
    const config = await configOf(context);
    const log = context.log(known ?? config.log.level, "out");
    const once = values["once"] === true;
    log.info("started", { syncs: config.syncs.length, once });
    const { run: runSyncs } = await import("../../app/run.ts");
    keepHeapSmall();
    const { problems } = await runSyncs(config, { once, signal: context.signal, log });
    log.info("ended", { stopped: problems.length });
    return problems.length > 0 ? EXIT.attention : EXIT.ok;
  },
};
