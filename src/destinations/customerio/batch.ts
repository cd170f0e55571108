import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Operation } from "../../kit/vendor/definition.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";

export const BATCH_ROWS = 1000;
/** Of one item of a batch. */
const ITEM_BYTES = 32_768;

const TOO_LARGE: Outcome = {
  status: "rejected",
  error: new TailraceError("destination.too_large", "Customer.io takes at most 32 KB for one person, object or event"),
};

/** Customer.io's batches hold whatever is to be done with whatever: every kind of delivery shares them. */
export function batchOf(entity: (row: Delivery) => string): Operation {
  return {
    rows: BATCH_ROWS,
    async send(rows, session) {
      const outcomes = new Outcomes(rows);
      /** The place of each item of the request. */
      const places: number[] = [];
      let items = "";
      for (const [place, row] of rows.entries()) {
        const item = entity(row);
        // No UTF-16 unit takes more than three bytes.
        if (item.length * 3 > ITEM_BYTES && Buffer.byteLength(item) > ITEM_BYTES) {
          outcomes.set(place, TOO_LARGE);
          continue;
        }
        items += places.length === 0 ? item : `,${item}`;
        places.push(place);
      }
      if (places.length === 0) return outcomes.whereSaid();

      const answer = await session.request({ method: "POST", path: "/api/v2/batch", body: `{"batch":[${items}]}` });
      const failures = memberList(answer.object(), "errors");
      for (const failure of failures) {
        const place = places[Number(memberText(failure, "batch_index"))];
        const said = [memberText(failure, "field"), memberText(failure, "message")].join(" ");
        const row = rows[place ?? 0]!;
        outcomes.set(place, session.outcome(row, [memberText(failure, "reason") ?? ""], said));
      }
      // 200: all were taken. 207: all that it does not name; when it names none, which were not is unknown.
      const says = answer.status === 200 || (answer.status === 207 && failures.length > 0);
      return says ? outcomes.unlessSaid() : outcomes.whereSaid();
    },
  };
}
