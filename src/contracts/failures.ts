import type { DeadLetter } from "./state.ts";
import type { Position } from "./change.ts";

/** Which dead letters: those that all of it holds for; `{}`: every one. */
export interface FailureQuery {
  /** One of these error codes. */
  readonly codes?: readonly string[] | undefined;
  /** One of these operations, as a {@link DeadLetter} names them. */
  readonly ops?: readonly string[] | undefined;
  /** A part of the message or of the destination's answer; capitals do not matter. */
  readonly text?: string | undefined;
  /** The row's whole key. */
  readonly key?: readonly string[] | undefined;
  /** Failed at this time or later; ms since the epoch. */
  readonly sinceMs?: number | undefined;
  /** Failed before this time; ms since the epoch. */
  readonly untilMs?: number | undefined;
}

/** A place in the order of a sync's dead letters. */
export interface FailurePlace {
  readonly position: Position;
  readonly id: string;
}

export interface FailurePage {
  readonly where?: FailureQuery | undefined;
  /** Only those behind this place: whoever goes on from the last one of a page misses none, whatever was removed meanwhile. */
  readonly after?: FailurePlace | undefined;
  readonly limit: number;
  readonly offset?: number | undefined;
}

export interface FailureDrop {
  readonly id: string;
  /** Who: `user@host`, or the rule of the configuration. */
  readonly by: string;
  readonly why: string | null;
  /** ms since the epoch. */
  readonly atMs: number;
}

/** What is kept of a dead letter that was dropped: never the values of its row. */
export interface DroppedFailure extends Omit<DeadLetter, "payload"> {
  readonly droppedBy: string;
  readonly why: string | null;
  readonly droppedAtMs: number;
}

export interface DroppedFailures {
  /** How many this sync ever dropped, also those whose record is gone. */
  readonly total: number;
  /** Newest first. */
  readonly records: readonly DroppedFailure[];
}

export function matchesQuery(letter: DeadLetter, query: FailureQuery): boolean {
  const { codes, ops, text, key, sinceMs, untilMs } = query;
  if (codes !== undefined && !codes.includes(letter.code)) return false;
  if (ops !== undefined && !ops.includes(letter.op)) return false;
  if (sinceMs !== undefined && letter.failedAtMs < sinceMs) return false;
  if (untilMs !== undefined && letter.failedAtMs >= untilMs) return false;
  if (key !== undefined && (key.length !== letter.key.length || key.some((part, place) => part !== letter.key[place])))
    return false;
  if (text === undefined) return true;
  const wanted = text.toLowerCase();
  return [letter.message, letter.answer ?? ""].some((said) => said.toLowerCase().includes(wanted));
}
