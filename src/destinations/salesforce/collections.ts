// Records in requests of at most 200: sObject Collections.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections.htm
import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { codesOf } from "./errors.ts";

export const COLLECTION_ROWS = 200;

/** `{"allOrNone":false,"records":[…]}`; `membersOf`: of a record, beside its type. */
export function collection(type: string, rows: readonly Delivery[], membersOf: (row: Delivery) => string): string {
  const records = rows.map((row) => {
    const members = membersOf(row);
    return `{"attributes":{"type":${type}}${members === "" ? "" : `,${members}`}}`;
  });
  return `{"allOrNone":false,"records":[${records.join(",")}]}`;
}

/** Results are in the order of the records. `gone`: codes by which a record is said not to be there, and that is all right. */
export function readResults(
  answer: Answer,
  rows: readonly Delivery[],
  session: Session,
  gone: ReadonlySet<string> = new Set(),
): readonly Outcome[] {
  const results = answer.list();
  const outcomes = new Outcomes(rows);
  // Were one missing, it would be unknown which.
  if (results.length !== rows.length) return outcomes.whereSaid();
  for (const [place, result] of results.entries()) {
    const failures = memberList(result, "errors");
    const codes = failures.flatMap((failure) => codesOf(failure, "statusCode"));
    if (member(result, "success") === true || codes.some((code) => gone.has(code))) outcomes.delivered(place);
    else if (codes.length > 0) {
      const said = failures.map((failure) => memberText(failure, "message") ?? "").join(" ");
      outcomes.set(place, session.outcome(rows[place]!, codes, said));
    }
  }
  return outcomes.whereSaid();
}

/** As many requests as it takes. Once one was answered, what is wrong with a later one is of its rows, which are sent again. */
export async function inCollections(
  rows: readonly Delivery[],
  send: (rows: readonly Delivery[]) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let at = 0; at < rows.length; at += COLLECTION_ROWS) {
    try {
      outcomes.push(...(await send(rows.slice(at, at + COLLECTION_ROWS))));
    } catch (error) {
      if (at === 0 || !(error instanceof TailraceError)) throw error;
      return [...outcomes, ...rows.slice(at).map((): Outcome => ({ status: "retry", error, afterMs: error.afterMs }))];
    }
  }
  return outcomes;
}
