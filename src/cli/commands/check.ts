import { chosenSyncs, configOf } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../json.ts";
import { renderCheck } from "../render/check.ts";
import { painter } from "../render/paint.ts";

export const check: Command = {
  name: "check",
  summary: "configuration, connections, privileges, settings: what is wrong, and the fix",
  usage: "[SYNC…]",
  help: `
Reads the configuration, then looks at every source and destination (or only those of the syncs that are named), at how each
sync fits both of its ends, and at the state file. Changes nothing anywhere. One report; each finding comes with what to run or
to change.

  --json             {"findings":[{"level","code","message","fix","subject","about":{"kind","name"}}],"ok":…}

Exits with 1 when a finding is an error; warnings and notes do not count.
`,
  options: {},
  async run(context, { positionals }) {
    const config = await configOf(context);
    const syncs = chosenSyncs(config, positionals);
    const { check: checkAll } = await import("../../app/check.ts");
    const report = await checkAll(config, { syncs, signal: context.signal, log: context.log("silent", "err") });
    if (context.json) context.out(jsonLine({ findings: report.findings, ok: report.ok }));
    else context.out(renderCheck(report, painter(context.color)));
    return report.ok ? EXIT.ok : EXIT.attention;
  },
};
