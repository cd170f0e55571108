// A mark is a timestamp of Materialize: milliseconds since the epoch.
import type { From, Mark } from "../../kit/feed/model-feed.ts";

const DIGITS = 20;

export function markOf(timestamp: bigint): Mark {
  return timestamp.toString().padStart(DIGITS, "0");
}

export function timestampOf(mark: Mark): bigint {
  return BigInt(mark);
}

/** The first timestamp that is not read yet. */
export function firstOf({ mark, side }: From): bigint {
  return timestampOf(mark) + (side === "after" ? 1n : 0n);
}
