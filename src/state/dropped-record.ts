import type { DroppedFailure, FailureDrop } from "../contracts/failures.ts";
import type { DeadLetter } from "../contracts/state.ts";

/** What is kept of a dead letter that is dropped: why it failed, and who gave it up; not what its row held. */
export function recordOf(letter: DeadLetter, drop: FailureDrop): DroppedFailure {
  const { payload: _, ...rest } = letter;
  return { ...rest, droppedBy: drop.by, why: drop.why, droppedAtMs: drop.atMs };
}
