import { configOf, oneSync } from "../arguments.ts";
import type { Command } from "../command.ts";
import { request } from "../request.ts";

export const resume: Command = {
  name: "resume",
  summary: "let a paused or stopped sync go on",
  usage: "SYNC",
  help: `
Ends a pause, and clears a stop once its reason is dealt with; the sync goes on where it was. Asks the process that runs the
sync and waits up to 10 seconds for it; if nobody runs it, the next run does it first.

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
      { kind: "resume" },
      {
        taken: "goes on.",
        "next run": "it will go on when it is run.",
      },
    );
  },
};
