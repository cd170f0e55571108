import { chosenSyncs, configOf } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../json.ts";
import { painter } from "../render/paint.ts";
import { renderPlan } from "../render/plan.ts";

export const plan: Command = {
  name: "plan",
  summary: "what a run would make and send; writes nothing",
  usage: "[SYNC…]",
  help: `
A dry run: what would be made on each source, where each sync stands (never ran, goes on, paused, stopped), about how many rows
would be backfilled, how many that were sent would be sent again because of another mapping, and which fields would be sent. Shows no row's values, and writes nothing: not to a source, not to a
destination, not to the state.

  --json             {"sources":[…],"syncs":[…],"ok":…}

Exits with 1 when something could not be looked at; \`tailrace check\` says what to do about it.
`,
  options: {},
  async run(context, { positionals }) {
    const config = await configOf(context);
    const syncs = chosenSyncs(config, positionals);
    const { plan: planAll } = await import("../../app/plan.ts");
    const result = await planAll(config, { syncs, signal: context.signal, log: context.log("silent", "err") });
    context.out(context.json ? jsonLine(result) : renderPlan(result, painter(context.color)));
    return result.ok ? EXIT.ok : EXIT.attention;
  },
};
