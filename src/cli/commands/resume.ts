import { configOf, oneSync } from "../arguments.ts";
import { type Command, UsageError } from "../command.ts";
import { request } from "../request.ts";

export const resume: Command = {
  name: "resume",
  summary: "let a paused or stopped sync go on",
  usage: "SYNC [--approve-deletes]",
  help: `
Ends a pause, and clears a stop once its reason is dealt with; the sync goes on where it was. Asks the process that runs the
sync and waits up to 10 seconds for it; if nobody runs it, the next run does it first.

  --approve-deletes  the removals that \`max_deletes\` stopped are to be made: those of this resync, or of the rows
                     that had been deleted by then. \`tailrace status\` says how many of how many
  --json             {"sync","request","outcome":"taken" | "slow" | "next run"}
`,
  options: { "approve-deletes": { type: "boolean" } },
  async run(context, { positionals, values }) {
    const config = await configOf(context);
    const sync = oneSync(config, positionals);
    const approve = values["approve-deletes"] === true;
    if (approve) {
      const { openState } = await import("../../app/project.ts");
      await using store = await openState(config, context.log("silent", "err"));
      const held = (await store.load(sync.name))?.heldDeletes ?? null;
      if (held === null || held.approved) throw new UsageError(`${sync.name} has stopped no removals to approve of.`);
    }
    return request(
      context,
      config,
      sync.name,
      approve ? { kind: "resume", approveDeletes: true } : { kind: "resume" },
      {
        taken: approve ? "goes on, and removes what was stopped." : "goes on.",
        "next run": "it will go on when it is run.",
      },
    );
  },
};
