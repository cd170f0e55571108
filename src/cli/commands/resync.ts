import { configOf, oneSync } from "../arguments.ts";
import type { Command } from "../command.ts";
import { request } from "../request.ts";

export const resync: Command = {
  name: "resync",
  summary: "send every row again, from the present state",
  usage: "SYNC",
  help: `
Gives up the sync's place in the log and sends every row of its model as it is now, beside the live changes; also after a stop
because continuity was lost. Asks the process that runs the sync and waits up to 10 seconds for it; if nobody runs it, the next
run begins with it.

  --json             {"sync","request","outcome":"taken" | "slow" | "next run"}
`,
  options: {},
  async run(context, { positionals }) {
    const config = await configOf(context);
    const sync = oneSync(config, positionals);
    return request(
      context,
      config,
      sync.name,
      { kind: "resync" },
      {
        taken: "begins again with the rows that exist.",
        "next run": "the next run begins with a resync.",
      },
    );
  },
};
