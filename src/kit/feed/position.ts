// A position is `MARK-OOOOOOOOOO`: a mark, and the ordinal of a change in it in hexadecimal digits, `zzzzzzzzzz` behind all of
// its changes, or `----------` before them. Marks of one model have one length, so string order is log order.
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { From, Mark } from "./model-feed.ts";

const ORDINAL_DIGITS = 10;
/** Behind every hexadecimal number. */
const END = "z".repeat(ORDINAL_DIGITS);
/** Before every hexadecimal number. */
const BEGIN = "-".repeat(ORDINAL_DIGITS);
const SHAPE = /^([0-9A-Za-z_]+)-([0-9a-f]{10}|z{10}|-{10})$/;

export function changeAt(mark: Mark, ordinal: number): Position {
  return `${mark}-${ordinal.toString(16).padStart(ORDINAL_DIGITS, "0")}`;
}

/** Before all changes of the mark. */
export function beginOf(mark: Mark): Position {
  return `${mark}-${BEGIN}`;
}

/** Behind all changes of the mark. */
export function endOf(mark: Mark): Position {
  return `${mark}-${END}`;
}

/** Where to read on from a position. In the midst of a mark: all of it, and what was delivered is left out again. */
export function fromPosition(position: Position): From {
  const [, mark, ordinal] = SHAPE.exec(position) ?? [];
  if (mark === undefined) throw new TailraceError("internal.defect", `${position} is no position of a feed`);
  return { mark, side: ordinal === END ? "after" : "at" };
}
