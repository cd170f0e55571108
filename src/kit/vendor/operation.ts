import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Operation } from "./definition.ts";
import type { Answer, Call, Session } from "./session.ts";

/** All rows of the batch in one request. `read` makes an outcome of each row from what came back, with {@link Outcomes} or `allDelivered`. */
export function oneRequest(options: {
  readonly rows: number;
  call(rows: readonly Delivery[]): Call;
  read(answer: Answer, rows: readonly Delivery[], session: Session): readonly Outcome[];
}): Operation {
  return {
    rows: options.rows,
    async send(rows, session) {
      return options.read(await session.request(options.call(rows)), rows, session);
    },
  };
}

/** A request a row, for vendors without a batch API: as many at a time as the engine finds that it takes. */
export function requestEach(options: {
  call(row: Delivery, session: Session): Call | Promise<Call>;
  read(answer: Answer, row: Delivery, session: Session): Outcome;
}): Operation {
  return {
    rows: 1,
    async send(rows, session) {
      const row = rows[0]!;
      try {
        return [options.read(await session.request(await options.call(row, session)), row, session)];
      } catch (error) {
        if (error instanceof TailraceError && error.consequence === "row-permanent") {
          return [{ status: "rejected", error }];
        }
        throw error;
      }
    },
  };
}
