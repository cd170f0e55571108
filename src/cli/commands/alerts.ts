import type { Config, ConfiguredAlert } from "../../app/config/config.ts";
import { quotedList } from "../../app/config/suggest.ts";
import { closest } from "../../contracts/did-you-mean.ts";
import { configOf, subcommand } from "../arguments.ts";
import { type Command, EXIT, UsageError } from "../command.ts";
import { jsonLine } from "../json.ts";
import { painter } from "../render/paint.ts";
import { printable } from "../render/printable.ts";
import { table } from "../render/table.ts";

export const alerts: Command = {
  name: "alerts",
  summary: "send a test message to the hooks that alerts go to",
  usage: "test [NAME…]",
  help: `
\`alerts test\` sends a test message to every hook of the configuration's \`alerts\`, or to those that are named, once each, and says
whether it arrived.

  --json             {"alerts":[{"alert","type","problem"}],"ok":…}

Exits with 1 when one did not arrive.
`,
  options: {},
  async run(context, { positionals: [word, ...names] }) {
    subcommand(word, ["test"], null);
    const config = await configOf(context);
    const chosen = chosenAlerts(config, names);
    const { tryHooks } = await import("../../app/alerts/try-hooks.ts");
    const trials = await tryHooks(config, chosen, context.signal);
    const ok = trials.every(({ problem }) => problem === null);
    const paint = painter(context.color);
    if (context.json) context.out(jsonLine({ alerts: trials, ok }));
    else
      context.out(
        table(
          [{ title: "ALERT" }, { title: "TYPE" }, { title: "" }],
          trials.map(({ alert, type, problem }) => [
            alert,
            type,
            problem === null ? paint("green", "arrived") : paint("red", printable(problem)),
          ]),
        ),
      );
    return ok ? EXIT.ok : EXIT.attention;
  },
};

function chosenAlerts({ alerts: all }: Config, names: readonly string[]): readonly ConfiguredAlert[] {
  if (all.length === 0) throw new UsageError("The configuration has no `alerts`.");
  if (names.length === 0) return all;
  const known = all.map(({ name }) => name);
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = closest(name, known);
    const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
    throw new UsageError(`There is no alert \`${name}\`${suggestion} (there are ${quotedList(known)})`);
  }
  return all.filter(({ name }) => names.includes(name));
}
