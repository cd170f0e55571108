import { DELIVERED, type Delivery, type Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import type { Answer, Call, Session } from "../../kit/vendor/session.ts";

/** Nothing of the request was taken, and each of its errors points at a row. */
class Refused extends Error {
  readonly byPlace: ReadonlyMap<number, Outcome>;

  constructor(byPlace: ReadonlyMap<number, Outcome>) {
    super("Rows were pointed at.");
    this.byPlace = byPlace;
  }
}

/**
 * A request for many rows, to be made within {@link withoutRefused}. Klaviyo refuses it as a whole when it can tell at once that a row is
 * wrong, and points at each: `/data/attributes/profiles/data/3/attributes/email`.
 */
export async function pointedRequest(call: Call, rows: readonly Delivery[], session: Session): Promise<Answer> {
  const answer = await session.request({ ...call, accept: [400] });
  if (answer.status !== 400) return answer;
  const byPlace = new Map<number, Outcome>();
  const found = memberList(answer.body(), "errors");
  for (const error of found) {
    const code = memberText(error, "code") ?? "";
    const pointer = memberText(member(error, "source"), "pointer") ?? "";
    const place = Number(/\/data\/(\d+)(?:\/|$)/.exec(pointer)?.[1]);
    const row = rows[place];
    if (row === undefined) throw new TailraceError("destination.refused", "Klaviyo answered 400");
    // An event that it has already is one that was sent before, and whose answer was lost.
    const has = pointer.endsWith("/unique_id") && code.startsWith("duplicate");
    const outcome = has ? DELIVERED : session.outcome(row, [code], `${pointer} ${memberText(error, "detail") ?? ""}`);
    if (byPlace.get(place)?.status !== "rejected") byPlace.set(place, outcome);
  }
  if (byPlace.size === 0) throw new TailraceError("destination.refused", "Klaviyo answered 400");
  throw new Refused(byPlace);
}

/** `send`s the rows; when some are pointed at, the others without them: they were not taken. */
export async function withoutRefused(
  rows: readonly Delivery[],
  send: (rows: readonly Delivery[]) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<Delivery, Outcome>();
  let left = rows;
  while (left.length > 0) {
    try {
      const sent = await send(left);
      for (const [place, row] of left.entries()) outcomes.set(row, sent[place]!);
      break;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      for (const [place, outcome] of error.byPlace) outcomes.set(left[place]!, outcome);
      left = left.filter((_, place) => !error.byPlace.has(place));
    }
  }
  return rows.map((row) => outcomes.get(row)!);
}
