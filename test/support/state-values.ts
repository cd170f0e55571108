// Checkpoints and dead letters for tests of state. Imports no test runner, so that a child process may use it.
import type { Checkpoint, DeadLetter } from "../../src/contracts/state.ts";

export function checkpointAt(position: number, more: Partial<Checkpoint> = {}): Checkpoint {
  return { position: String(position).padStart(16, "0"), incarnation: "cluster 1", backfill: null, ...more };
}

export function letterOf(id: string, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id,
    key: ["1"],
    op: "upsert",
    position: `p-${id}`,
    code: "destination.refused",
    message: "no",
    answer: null,
    attempts: 1,
    failedAtMs: 1_700_000_000_000,
    payload: null,
    ...more,
  };
}
