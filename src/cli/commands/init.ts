import { resolve } from "node:path";
import { refuseMore } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";
import { jsonLine } from "../json.ts";

export const init: Command = {
  name: "init",
  summary: "write a starter project",
  usage: "[FOLDER] [--typescript]",
  help: `
Writes tailrace.yml, .env.example, tailrace.schema.json (for editors) and .gitignore into FOLDER (default: here), which is made
if it is missing. Nothing that is there is overwritten; where there is a configuration already, nothing is written at all,
and the exit code is 1.

  --typescript       tailrace.config.ts instead of tailrace.yml and its schema
`,
  options: { typescript: { type: "boolean" } },
  async run(context, { positionals: [folder = ".", extra], values }) {
    refuseMore(extra);
    const { init: writeStarter } = await import("../../app/init.ts");
    const { files, existing } = await writeStarter(
      resolve(context.workingDirectory, folder),
      values["typescript"] === true,
    );
    if (context.json) context.out(jsonLine({ folder, files, existing }));
    else if (existing !== null)
      context.err(`${folder} has a configuration already (${existing}); nothing was written.\n`);
    else {
      const list = files.map(({ path, done }) => `  ${path.padEnd(20)}  ${done}\n`).join("");
      const enter = folder === "." ? "" : `  cd ${folder}\n`;
      context.out(
        `${list}\nNext:\n${enter}  cp .env.example .env   and fill in where your database and your receiver are\n` +
          `  edit ${(files[0]?.path ?? "").padEnd(17)} to say which table goes where\n` +
          "  tailrace check         says what is still missing, each with its fix\n" +
          "  tailrace run           delivers\n",
      );
    }
    return existing === null ? EXIT.ok : EXIT.attention;
  },
};
