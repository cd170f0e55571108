import { loadConfig } from "../../app/config/load.ts";
import { run as runSyncs } from "../../app/run.ts";
import { type Command, EXIT } from "../command.ts";

export const run: Command = {
  name: "run",
  summary: "deliver, always on",
  usage: "[--once]",
  help: `
Reads every source's changelog and delivers, until it is stopped. Ctrl-C or SIGTERM lets what is on its way end, stores
where each sync came to, and exits: nothing is sent twice after a clean stop. A second Ctrl-C exits at once.

  --once             deliver what is committed now (and the rows that exist, for a new sync), then exit; for cron and CI
  --log-level LEVEL  debug, info, warn or error (default: the configuration's, or info)
`,
  options: { once: { type: "boolean" }, "log-level": { type: "string" } },
  async run(context, { values }) {
    const config = await loadConfig({
      path: context.configPath,
      env: context.env,
      workingDirectory: context.workingDirectory,
    });
    const level = (values["log-level"] as typeof config.log.level | undefined) ?? config.log.level;
    const log = context.log(level, "out");
    const once = values["once"] === true;
    log.info("started", { syncs: config.syncs.length, once });
    const { problems } = await runSyncs(config, { once, signal: context.signal, log });
    log.info("ended", { stopped: problems.length });
    return problems.length > 0 ? EXIT.attention : EXIT.ok;
  },
};
