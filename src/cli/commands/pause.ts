import { configOf, oneSync } from "../arguments.ts";
import type { Command } from "../command.ts";
import { request } from "../request.ts";

export const pause: Command = {
  name: "pause",
  summary: "stop delivering a sync, and keep its place",
  usage: "SYNC",
  help: `
What is on its way ends, the place is stored, and the sync delivers nothing until \`tailrace resume\`, across restarts. Its source
keeps the log from there on: a long pause costs disk there. Asks the process that runs the sync and waits up to 10 seconds for
it; if nobody runs it, the next run begins paused.

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
      { kind: "pause" },
      {
        taken: "paused; its source keeps the log until `tailrace resume`.",
        "next run": "it will be paused when it is run.",
      },
    );
  },
};
