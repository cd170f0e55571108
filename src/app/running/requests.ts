import type { Log } from "../../contracts/log.ts";
import type { SyncRequest } from "../../contracts/state.ts";
import type { Member } from "./member.ts";
import { approvedResend } from "./resend.ts";
import type { Round } from "./round.ts";

/** Does what was asked of a sync; what changes how it runs ends the round. A request is taken when it is done, not before. */
export async function obey(
  member: Member,
  { id, request }: { readonly id: number; readonly request: SyncRequest },
  round: Round,
  log: Log,
): Promise<void> {
  // A retry waits until there is something to send it with.
  if (request.kind === "retry" && member.pipeline === null) return;
  // A retry goes on as there is room, and is said once.
  if (request.kind !== "retry" || !member.failures.retrying)
    log.info("request", { sync: member.sync.name, kind: request.kind });
  const { lease } = member;
  const taken = { takenRequests: [id] };
  switch (request.kind) {
    case "pause":
      await lease.commit({ ...taken, paused: true });
      return round.end("again");
    case "resume": {
      const heldDeletes = await member.heldDeletes(request.approveDeletes === true);
      const resend = request.approveResend === true ? approvedResend(member.state) : {};
      await lease.commit({ ...taken, ...resend, paused: false, stopped: null, heldDeletes });
      member.modelIsBroken = false;
      return round.end("again");
    }
    case "resync":
      // What is on its way belongs to the old place in the log: it must be over before the place is given up.
      await member.close(GRACE_MS);
      await lease.commit({ ...taken, reset: true, checkpoint: null, stopped: null });
      member.modelIsBroken = false;
      return round.end("again");
    case "retry":
      return member.failures.retry(id, request.failures, member.pipeline!);
    case "drop":
      return member.failures.drop(id, request, member.pipeline);
  }
}

/** How long what is on its way may take to end. */
export const GRACE_MS = 25_000;
