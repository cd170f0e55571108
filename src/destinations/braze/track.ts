import type { Delivery, Field, Outcome } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation } from "../../kit/vendor/definition.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import type { FieldText } from "../../kit/vendor/record-text.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { isoTime, isTimestamp } from "../../kit/vendor/times.ts";

/** Objects of one request. */
const TRACK_ROWS = 75;

type TrackArray = "attributes" | "events" | "purchases";

/** `/users/track` with objects of one kind: an error has the place of its object. */
export function track(array: TrackArray, objectOf: (row: Delivery) => string): Operation {
  return oneRequest({
    rows: TRACK_ROWS,
    call: (rows) => ({
      method: "POST",
      path: "/users/track",
      body: `{"${array}":[${rows.map(objectOf).join(",")}]}`,
    }),
    read: (answer, rows, session) => readTrack(array, answer, rows, session),
  });
}

function readTrack(array: TrackArray, answer: Answer, rows: readonly Delivery[], session: Session): readonly Outcome[] {
  const body = answer.object();
  const outcomes = new Outcomes(rows);
  const failed = new Set<number | undefined>();
  for (const failure of memberList(body, "errors")) {
    const ours = memberText(failure, "input_array") === array;
    const place = ours ? Number(memberText(failure, "index") ?? NaN) : undefined;
    const said = memberText(failure, "type") ?? "";
    failed.add(place);
    outcomes.set(place, session.outcome(rows[place ?? 0] ?? rows[0]!, [], said));
  }
  // It counts what it has taken; what was not counted and has no error is unknown.
  const taken = Number(memberText(body, `${array}_processed`) ?? NaN);
  const all = memberText(body, "message") === "success" && taken + failed.size >= rows.length;
  return all ? outcomes.unlessSaid() : outcomes.whereSaid();
}

export function valueOf({ type }: Field): FieldText["value"] {
  return isTimestamp(type) ? (text) => jsonString(isoTime(text)) : "json";
}
