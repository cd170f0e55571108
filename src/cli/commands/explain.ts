import { configOf, oneSync } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../json.ts";
import { renderExplanation } from "../render/explain.ts";
import { painter } from "../render/paint.ts";

export const explain: Command = {
  name: "explain",
  summary: "how a sync is captured and why, its latency and cost, the SQL used",
  usage: "SYNC",
  help: `
How the sync's model is captured, why so, what latency and cost to expect, and the statements that are used; what its mode does
with each kind of change; its key, match, condition and fields, and the old values that it needs. Changes nothing.

  --json             the same as one object
`,
  options: {},
  async run(context, { positionals }) {
    const config = await configOf(context);
    const sync = oneSync(config, positionals);
    const { explain: explainSync } = await import("../../app/explain.ts");
    const explanation = await explainSync(config, sync, {
      signal: context.signal,
      log: context.log("silent", "err"),
    });
    context.out(context.json ? jsonLine(explanation) : renderExplanation(explanation, painter(context.color)));
    return EXIT.ok;
  },
};
