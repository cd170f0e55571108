import { overlay } from "../../contracts/values.ts";
import type { Entry } from "./entry.ts";

/**
 * Takes `newer` into `older`, which has not been sent, so that one delivery says both; false when they must stay two.
 * Only for the modes that send state. Field by field: a column that did not change keeps the earlier value, which
 * the destination has not seen yet.
 */
export function merge(older: Entry, newer: Entry): boolean {
  // One record, and another row's turn to be it: two things to say.
  if (older.rowKey !== newer.rowKey) return false;
  // An attempt may have been taken: its id must keep meaning what was sent. Other columns mean other places.
  if (older.attempts > 0 || older.mapping !== newer.mapping || newer.waits > 0 || older.followedBy !== null)
    return false;
  // A delete that was not sent yet must be sent: the record that comes after it may be another one.
  if (older.op !== newer.op && !(newer.op === "delete" || newer.op === "archive" || newer.op === "clear")) return false;
  if (older.op === "delete" || older.op === "archive" || older.op === "clear") return false;
  if (newer.after === null) {
    older.before = overlay(newer.before, older.after);
    older.after = null;
  } else {
    older.after = overlay(newer.after, older.after);
    older.before ??= newer.before;
  }
  older.op = newer.op;
  older.event = newer.event;
  older.half = newer.half;
  older.followedBy = newer.followedBy;
  older.change = newer.change;
  older.transaction = newer.transaction;
  older.readId = newer.readId;
  older.readAt = newer.readAt;
  older.fill = newer.after !== null && (older.fill || newer.fill) && older.mapping.incomplete(older.after!);
  older.refilter ||= newer.refilter;
  older.bytes = Math.max(older.bytes, newer.bytes);
  older.live ||= newer.live;
  older.observed ||= newer.observed;
  older.also ??= [];
  older.also.push(newer);
  if (newer.also !== null) older.also.push(...newer.also);
  return true;
}
