import type { Delivery, Field, Outcome } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import type { FieldText } from "../../kit/vendor/record-text.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { isTimestamp, isoTime } from "../../kit/vendor/times.ts";

/** Times are ISO 8601 there; all else is as it is. */
export function propertyValue({ type }: Field): FieldText["value"] {
  return isTimestamp(type) ? (text) => jsonString(isoTime(text)) : "json";
}

export interface FailedRecord {
  readonly index: number;
  readonly said: string;
}

export function failedRecords(body: unknown): readonly FailedRecord[] {
  return memberList(body, "failed_records").map((failed) => ({
    index: Number(memberText(failed, "index") ?? NaN),
    said: [memberText(failed, "field"), memberText(failed, "message")].filter(Boolean).join(": "),
  }));
}

/**
 * Mixpanel lists those that failed, and counts those that were taken: only when both account for every row is what is not listed delivered.
 * `placeOf`: the row of a record of the request.
 */
export function imported(
  body: unknown,
  failures: readonly FailedRecord[],
  rows: readonly Delivery[],
  placeOf: (index: number) => number | undefined,
  session: Session,
): readonly Outcome[] {
  const outcomes = new Outcomes(rows);
  for (const { index, said } of failures) {
    const place = placeOf(index);
    const row = (place === undefined ? undefined : rows[place]) ?? rows[0]!;
    outcomes.set(place, session.outcome(row, [], said));
  }
  const failed = new Set(failures.map(({ index }) => index)).size;
  const taken = member(body, "num_records_imported");
  return taken === rows.length - failed ? outcomes.unlessSaid() : outcomes.whereSaid();
}
