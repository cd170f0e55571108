// https://developer.zendesk.com/api-reference/ticketing/ticket-management/job_statuses/
import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { JobSteps } from "../../kit/vendor/job.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import type { Call, Session } from "../../kit/vendor/session.ts";

export const JOB_ROWS = 100;

/** Of one account, queued or running. */
const MOST_JOBS = 30;

/** The place of the row that a result is of; undefined: it cannot be told. */
export type PlaceOf = (result: unknown) => number | undefined;

/** A request that answers with a job. `placesOf`: how its results name their rows, where they have no `index`. */
export function zendeskJob(
  call: (rows: readonly Delivery[], session: Session) => Promise<Call>,
  placesOf: (rows: readonly Delivery[], session: Session) => Promise<PlaceOf>,
): JobSteps {
  // The look that finds a job ended has its results already.
  const ended = new Map<string, unknown>();
  return {
    rows: JOB_ROWS,
    everyMs: { first: 500, longest: 15_000 },
    async submit(rows, session) {
      const answer = await session.request(await call(rows, session));
      const id = memberText(member(answer.object(), "job_status"), "id");
      if (id === undefined)
        throw new TailraceError("destination.unknown", "Zendesk began a job, and did not say which");
      return id;
    },
    async poll(id, session) {
      const path = `/api/v2/job_statuses/${encodeURIComponent(id)}`;
      const answer = await session.request({ method: "GET", path, accept: [404] });
      // It is known for an hour after its end.
      if (answer.status === 404) return { kind: "lost" };
      const status = member(answer.object(), "job_status");
      switch (memberText(status, "status")) {
        case "completed":
        case "failed":
        case "killed":
          if (ended.size >= MOST_JOBS) ended.clear();
          ended.set(id, status);
          return { kind: "ended" };
        default:
          return { kind: "running" };
      }
    },
    async results(id, rows, session) {
      let status = ended.get(id);
      ended.delete(id);
      if (status === undefined) {
        const path = `/api/v2/job_statuses/${encodeURIComponent(id)}`;
        status = member((await session.request({ method: "GET", path })).object(), "job_status");
      }
      return readResults(memberList(status, "results"), rows, session, await placesOf(rows, session));
    },
  };
}

function readResults(
  results: readonly unknown[],
  rows: readonly Delivery[],
  session: Session,
  placeOf: PlaceOf,
): readonly Outcome[] {
  const outcomes = new Outcomes(rows);
  let succeeded = 0;
  for (const result of results) {
    const index = member(result, "index");
    const place = typeof index === "number" ? index : placeOf(result);
    const error = memberText(result, "error");
    const failed =
      error !== undefined || member(result, "success") === false || memberText(result, "status") === "Failed";
    if (!failed) {
      succeeded += 1;
      outcomes.delivered(place);
      continue;
    }
    const row = place === undefined ? undefined : rows[place];
    const outcome = session.outcome(row ?? rows[0]!, [error ?? "Failed"], memberText(result, "details") ?? "");
    // Whose it is comes to light when there are fewer.
    if (row === undefined && rows.length > 1 && outcome.status === "rejected")
      throw new TailraceError("destination.refused", "Zendesk refused a row, and did not say which");
    outcomes.set(row === undefined ? 0 : place, outcome);
  }
  // All of them, in whatever order.
  return succeeded === rows.length && results.length === rows.length ? outcomes.unlessSaid() : outcomes.whereSaid();
}
