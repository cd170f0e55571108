import { refuseMore } from "../arguments.ts";
import { type Command, EXIT } from "../command.ts";

export const schema: Command = {
  name: "schema",
  summary: "print the configuration's JSON Schema, for editors",
  usage: "",
  help: `
The JSON Schema of tailrace.yml, with every connector's settings in it, on standard output: \`tailrace schema > tailrace.schema.json\`.
Editors find it by the first line of the starter: \`# yaml-language-server: $schema=./tailrace.schema.json\`.
`,
  options: {},
  async run(context, { positionals }) {
    refuseMore(positionals[0]);
    const { configJsonSchema } = await import("../../app/config/json-schema.ts");
    context.out(`${JSON.stringify(await configJsonSchema(), null, context.json ? undefined : 2)}\n`);
    return EXIT.ok;
  },
};
