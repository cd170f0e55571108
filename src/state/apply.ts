import { TailraceError } from "../contracts/errors.ts";
import type { StateChange, SyncState } from "../contracts/state.ts";

/** The state of a sync that has never stored anything. */
export const NOTHING_YET: SyncState = {
  checkpoint: null,
  paused: false,
  stopped: null,
  generation: 0,
  counts: { delivered: 0, rejected: 0 },
  heldDeletes: null,
  writerMemory: null,
};

/** The state after `change`. Throws when it would move a position backwards without `reset`: a defect of the caller. */
export function apply(before: SyncState, change: StateChange): SyncState {
  const reset = change.reset === true;
  const checkpoint = change.checkpoint === undefined ? before.checkpoint : change.checkpoint;
  if (!reset && before.checkpoint !== null) {
    if (checkpoint === null) throw backwards("to nothing");
    if (checkpoint.position < before.checkpoint.position) throw backwards(`to ${checkpoint.position}`);
  }
  return {
    checkpoint,
    paused: change.paused ?? before.paused,
    stopped: change.stopped === undefined ? before.stopped : change.stopped,
    generation: before.generation + (reset ? 1 : 0),
    counts: {
      delivered: before.counts.delivered + (change.counts?.delivered ?? 0),
      rejected: before.counts.rejected + (change.counts?.rejected ?? 0),
    },
    heldDeletes: change.heldDeletes === undefined ? (reset ? null : before.heldDeletes) : change.heldDeletes,
    writerMemory: change.writerMemory === undefined ? before.writerMemory : change.writerMemory,
  };
}

function backwards(where: string): TailraceError {
  return new TailraceError("internal.defect", `a checkpoint must not move backwards ${where} without a reset`);
}
