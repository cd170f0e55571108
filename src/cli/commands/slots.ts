import type { Config } from "../../app/config/config.ts";
import type { SourceHoldings } from "../../app/slots.ts";
import { configOf, subcommand } from "../arguments.ts";
import { type Arguments, type Command, type Context, EXIT, UsageError } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { jsonLine } from "../json.ts";
import { painter } from "../render/paint.ts";
import { renderHoldings } from "../render/slots.ts";

export const slots: Command = {
  name: "slots",
  summary: "what we hold on the sources, and its cost; prune what is left over",
  usage: "[prune NAME…]",
  help: `
A replication slot makes the source keep its log until it was read. Lists every slot of Tailrace on each source: whether somebody
reads it, how much log it keeps, and whether this configuration uses it.

  slots prune NAME…  release these; one that is being read is refused
  --orphans          prune: every one that this configuration does not use and nobody reads. Another project on the same
                     database may own one: look at the list first
  -y, --yes          prune: do not ask; needed where there is no terminal
  --json             {"sources":[…]}; prune: {"released":[…]}

Exits with 1 when a source could not be asked, or one of them could not be released.
`,
  options: { orphans: { type: "boolean" }, yes: { type: "boolean", short: "y" } },
  async run(context, { values, positionals: [word, ...names] }) {
    const what = subcommand(word, ["list", "prune"], "list");
    const config = await configOf(context);
    const { listHoldings } = await import("../../app/slots.ts");
    const options = { signal: context.signal, log: context.log("silent", "err") };
    const sources = await listHoldings(config, options);
    if (what === "prune") return prune(context, config, sources, names, values);
    context.out(context.json ? jsonLine({ sources }) : renderHoldings(sources, painter(context.color)));
    return sources.every(({ problem }) => problem === null) ? EXIT.ok : EXIT.attention;
  },
};

async function prune(
  context: Context,
  config: Config,
  sources: readonly SourceHoldings[],
  names: readonly string[],
  values: Arguments["values"],
): Promise<number> {
  const { orphansOf, releaseHoldings } = await import("../../app/slots.ts");
  const orphans = values["orphans"] === true;
  if (orphans === names.length > 0) throw new UsageError("Give the names of slots, or --orphans.");
  for (const { source, problem } of sources) if (problem !== null) context.err(`source ${source}: ${problem}\n`);
  const wanted = orphans ? orphansOf(sources) : names.map((name) => ({ name, source: holderOf(sources, name) }));
  if (wanted.length === 0) {
    context.out(context.json ? jsonLine({ released: [] }) : "There is nothing to prune.\n");
    return sources.every(({ problem }) => problem === null) ? EXIT.ok : EXIT.attention;
  }
  const list = wanted.map(({ source, name }) => `  ${name} on ${source}${warning(sources, name)}\n`).join("");
  const yes = values["yes"] === true;
  if (!(await confirmed(context, yes, `${list}Release ${wanted.length === 1 ? "it" : "them"}, for good?`))) {
    context.err("Nothing was released.\n");
    return EXIT.attention;
  }
  const options = { signal: context.signal, log: context.log("silent", "err") };
  const released = await releaseHoldings(config, wanted, options);
  if (context.json) context.out(jsonLine({ released }));
  else for (const { name, problem } of released) context.out(`${name}: ${problem ?? "released"}\n`);
  return released.every(({ problem }) => problem === null) ? EXIT.ok : EXIT.attention;
}

function holderOf(sources: readonly SourceHoldings[], name: string): string {
  const found = sources.find(({ holdings }) => holdings.some((holding) => holding.name === name));
  if (found === undefined) throw new UsageError(`No source has a slot \`${name}\`; \`tailrace slots\` lists them.`);
  return found.source;
}

function warning(sources: readonly SourceHoldings[], name: string): string {
  const used = sources.some(({ holdings }) => holdings.some((holding) => holding.name === name && holding.used));
  return used ? ": this project uses it, and its syncs must be resynced afterwards" : "";
}
