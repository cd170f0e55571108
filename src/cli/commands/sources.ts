import { refuseMore, subcommand } from "../arguments.ts";
import { type Command, EXIT, UsageError } from "../command.ts";
import { jsonLine } from "../json.ts";
import { painter } from "../render/paint.ts";
import { renderSettings, renderTypes } from "../render/settings.ts";

export const sources: Command = {
  name: "sources",
  summary: "the types of source, and the settings of one",
  usage: "[show TYPE]",
  help: `
Lists the types that a source of the configuration may have; with \`show TYPE\`, every setting of one.

  --json             {"types":[…]}; show: {"type","title","settings":[…]}
`,
  options: {},
  async run(context, { positionals: [word, type, extra] }) {
    const what = subcommand(word, ["list", "show"], "list");
    refuseMore(what === "show" ? extra : type);
    const { sourceSettings, sourceTypes } = await import("../../app/settings.ts");
    if (what === "list") {
      const types = await sourceTypes();
      context.out(context.json ? jsonLine({ types }) : renderTypes(types));
      return EXIT.ok;
    }
    if (type === undefined) throw new UsageError("Which type? `tailrace sources` lists them.");
    const settings = await sourceSettings(type);
    context.out(context.json ? jsonLine(settings) : renderSettings(settings, painter(context.color)));
    return EXIT.ok;
  },
};
