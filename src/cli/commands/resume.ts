import type { SyncRequest } from "../../contracts/state.ts";
import { configOf, oneSync } from "../arguments.ts";
import { type Command, UsageError } from "../command.ts";
import { request } from "../request.ts";

export const resume: Command = {
  name: "resume",
  summary: "let a paused or stopped sync go on",
  usage: "SYNC [--approve-deletes] [--approve-resend]",
  help: `
Ends a pause, and clears a stop once its reason is dealt with; the sync goes on where it was. Asks the process that runs the
sync and waits up to 10 seconds for it; if nobody runs it, the next run does it first.

  --approve-deletes  the removals that \`max_deletes\` stopped are to be made: those of this resync, or of the rows
                     that had been deleted by then. \`tailrace status\` says how many of how many
  --approve-resend   rows that were sent are to be sent again, as the mapping makes something else of them now:
                     what the sync stopped with. \`tailrace plan\` says how many
  --json             {"sync","request","outcome":"taken" | "slow" | "next run"}
`,
  options: { "approve-deletes": { type: "boolean" }, "approve-resend": { type: "boolean" } },
  async run(context, { positionals, values }) {
    const config = await configOf(context);
    const sync = oneSync(config, positionals);
    const deletes = values["approve-deletes"] === true;
    const resend = values["approve-resend"] === true;
    if (deletes || resend) {
      const { openState } = await import("../../app/project.ts");
      await using store = await openState(config, context.log("silent", "err"));
      const state = await store.load(sync.name);
      const held = state?.heldDeletes ?? null;
      if (deletes && (held === null || held.approved))
        throw new UsageError(`${sync.name} has stopped no removals to approve of.`);
      if (resend && state?.stopped?.code !== "delivery.mapping_changed")
        throw new UsageError(`${sync.name} has not stopped before sending rows again; \`tailrace resync\` sends them.`);
    }
    const wanted: SyncRequest = {
      kind: "resume",
      ...(deletes ? { approveDeletes: true } : {}),
      ...(resend ? { approveResend: true } : {}),
    };
    const done = [...(deletes ? ["removes what was stopped"] : []), ...(resend ? ["sends the rows again"] : [])];
    return request(context, config, sync.name, wanted, {
      taken: `${["goes on", ...done].join(", and ")}.`,
      "next run": "it will go on when it is run.",
    });
  },
};
