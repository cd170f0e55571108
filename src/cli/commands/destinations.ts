import { refuseMore, subcommand } from "../arguments.ts";
import { type Command, EXIT, UsageError } from "../command.ts";
import { jsonLine } from "../json.ts";
import { painter } from "../render/paint.ts";
import { renderSettings, renderTypes } from "../render/settings.ts";

export const destinations: Command = {
  name: "destinations",
  summary: "the types of destination, and the settings of one",
  usage: "[show TYPE]",
  help: `
Lists the types that a destination of the configuration may have; with \`show TYPE\`, what one can do (objects, how records are found, modes, what becomes
of rows that are gone), every setting of it, and the \`options\` that a sync may have there.

  --json             {"types":[…]}; show: {"type","title","settings":[…],"options":[…],"guide":{…}|null}
`,
  options: {},
  async run(context, { positionals: [word, type, extra] }) {
    const what = subcommand(word, ["list", "show"], "list");
    refuseMore(what === "show" ? extra : type);
    const { destinationSettings, destinationTypes } = await import("../../app/settings.ts");
    if (what === "list") {
      const types = await destinationTypes();
      context.out(context.json ? jsonLine({ types }) : renderTypes(types));
      return EXIT.ok;
    }
    if (type === undefined) throw new UsageError("Which type? `tailrace destinations` lists them.");
    const settings = await destinationSettings(type);
    context.out(context.json ? jsonLine(settings) : renderSettings(settings, painter(context.color)));
    return EXIT.ok;
  },
};
