// A position is `TTTTTTTTTTTT-DDDD…-OOOO`, all in hex: when a state of the files was first seen (ms since the epoch, never twice the
// same), which state it was, and the ordinal of a change in it. String order is the order in which states were seen. The state
// is in it so that a start knows whether the files are still as they were.
import { createHash } from "node:crypto";
import type { Position } from "../../contracts/change.ts";

const SHAPE = /^([0-9a-f]{12})-([0-9a-f]{16})-[0-9a-f]{4}$/;
/** Behind every change of a state. */
const END = "ffff";

export interface State {
  readonly seenMs: number;
  readonly digest: string;
}

export function endOf({ seenMs, digest }: State): Position {
  return `${seenMs.toString(16).padStart(12, "0")}-${digest}-${END}`;
}

export function changeIn(end: Position, ordinal: number): Position {
  return end.slice(0, -END.length) + ordinal.toString(16).padStart(4, "0");
}

/** null: it is none of ours. */
export function stateOf(position: Position): State | null {
  const [, seen, digest] = SHAPE.exec(position) ?? [];
  return seen === undefined || digest === undefined ? null : { seenMs: Number.parseInt(seen, 16), digest };
}

/** Of all relations together. */
export function digestOf(relations: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256");
  for (const [id, digest] of [...relations].sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${id}\0${digest}\n`);
  return hash.digest("hex").slice(0, 16);
}
