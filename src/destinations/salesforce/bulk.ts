import type { Delivery } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { JobSteps } from "../../kit/vendor/job.ts";
import { memberText } from "../../kit/vendor/json.ts";
import { Outcomes, matchText, placesBy } from "../../kit/vendor/outcomes.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { readCsv } from "./csv.ts";
import { codesOfText } from "./errors.ts";

/** So many records Salesforce itself works on at a time. */
export const JOB_ROWS = 10_000;

/**
 * Upserts as jobs of Bulk API 2.0. A job does nothing before it is closed, and it is closed by the first look at it, when its id is kept
 * already: none is ever on its way that we do not know of.
 *
 * https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/bulk_api_2_0_ingest.htm
 */
export function bulkUpsert(
  path: string,
  object: string,
  match: string,
  csvOf: (rows: readonly Delivery[], session: Session) => Promise<string>,
): JobSteps {
  const jobs = `${path}/jobs/ingest`;
  const jobOf = (id: string): string => `${jobs}/${encodeURIComponent(id)}`;
  return {
    rows: JOB_ROWS,
    everyMs: { first: 100, longest: 30_000 },
    async submit(rows, session) {
      const csv = await csvOf(rows, session);
      const job = `"object":${jsonString(object)},"operation":"upsert","externalIdFieldName":${jsonString(match)}`;
      const body = `{${job},"contentType":"CSV","columnDelimiter":"COMMA","lineEnding":"LF"}`;
      const id = memberText((await session.request({ method: "POST", path: jobs, body })).object(), "id");
      if (id === undefined)
        throw new TailraceError("destination.unknown", "Salesforce made a job, and did not say which");
      await session.request({ method: "PUT", path: `${jobOf(id)}/batches`, body: csv, contentType: "text/csv" });
      return id;
    },
    async poll(id, session) {
      const answer = await session.request({ method: "GET", path: jobOf(id), accept: [404] });
      if (answer.status === 404) return { kind: "lost" };
      switch (memberText(answer.object(), "state")) {
        case "Open":
          await session.request({ method: "PATCH", path: jobOf(id), body: '{"state":"UploadComplete"}' });
          return { kind: "running" };
        // A job that failed or was aborted may have done a part of its rows, and says which.
        case "JobComplete":
        case "Failed":
        case "Aborted":
          return { kind: "ended" };
        default:
          return { kind: "running" };
      }
    },
    async results(id, rows, session) {
      const places = placesBy(rows, (row) => matchText(row));
      const outcomes = new Outcomes(rows);
      const placeOf = (result: ReadonlyMap<string, string>): number | undefined => places.get(result.get(match) ?? "");
      for (const result of readCsv((await csvAnswer(`${jobOf(id)}/successfulResults`, session)).text))
        if ((result.get("sf__Id") ?? "") !== "") outcomes.delivered(placeOf(result));
      for (const result of readCsv((await csvAnswer(`${jobOf(id)}/failedResults`, session)).text)) {
        const place = placeOf(result);
        const said = result.get("sf__Error");
        if (place !== undefined && said !== undefined)
          outcomes.set(place, session.outcome(rows[place]!, codesOfText(said), said));
      }
      // What it did not come to (`unprocessedrecords`) is in neither, and is sent again.
      return outcomes.whereSaid();
    },
  };
}

function csvAnswer(path: string, session: Session): Promise<Answer> {
  return session.request({ method: "GET", path, headers: { accept: "text/csv" } });
}
