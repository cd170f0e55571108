import type { Checkpoint } from "../../contracts/state.ts";

/** A checkpoint as a transactional destination stores it beside the rows. */
export function printProgress(checkpoint: Checkpoint, generation: number): string {
  return JSON.stringify({ generation, ...checkpoint });
}

/** The checkpoint in what a destination returned; null when there is none, or it is from before the last resync. */
export function parseProgress(progress: string | null | undefined, generation: number): Checkpoint | null {
  if (progress === null || progress === undefined) return null;
  const stored = JSON.parse(progress) as Checkpoint & { readonly generation: number };
  if (stored.generation !== generation) return null;
  return { position: stored.position, incarnation: stored.incarnation, backfill: stored.backfill };
}
