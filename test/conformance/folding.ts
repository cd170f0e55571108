import type { ReceivedRow } from "../support/envelope.ts";
import type { RowTexts, State } from "../support/oracle.ts";

/** As a receiver does that drops the repeats of an id. */
export function uniqueRows(rows: readonly ReceivedRow[]): ReceivedRow[] {
  const seen = new Set<string>();
  return rows.filter(({ id }) => !seen.has(id) && seen.add(id));
}

/** As a receiver does that keeps the newest of every field. */
export function foldRows(rows: readonly ReceivedRow[]): State {
  const state = new Map<string, RowTexts>();
  for (const { key, op, record } of rows) {
    if (op === "delete") state.delete(key);
    else state.set(key, { ...state.get(key), ...record });
  }
  return state;
}
