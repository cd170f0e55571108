import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation } from "../../kit/vendor/definition.ts";
import type { JobState, Jobs } from "../../kit/vendor/job.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes, matchText, placesBy } from "../../kit/vendor/outcomes.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { pointedRequest } from "./pointed.ts";

/** Rows of one job. Klaviyo takes 10,000 of 100 KB each, and 5 MB in all. */
export const JOB_ROWS = 10_000;
export const JSON_API = "application/vnd.api+json";

interface Counts {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
}

/** Creates or updates profiles, and adds them to a list; `resource` is a row's profile. */
export function importJob(
  jobs: Jobs,
  options: {
    readonly list: string | null;
    readonly match: string;
    resource(row: Delivery): string;
  },
): Operation {
  const { list, match } = options;
  /** Of jobs that have ended, until their results are read. */
  const counts = new Map<string, Counts>();
  const relationships =
    list === null ? "" : `,"relationships":{"lists":{"data":[{"type":"list","id":${jsonString(list)}}]}}`;
  return jobs.operation({
    rows: JOB_ROWS,
    everyMs: { first: 250, longest: 10_000 },
    async submit(rows, session) {
      const profiles = rows.map((row) => options.resource(row)).join(",");
      const call = {
        method: "POST",
        path: "/api/profile-bulk-import-jobs",
        contentType: JSON_API,
        body: `{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[${profiles}]}}${relationships}}}`,
      } as const;
      const answer = await pointedRequest(call, rows, session);
      const id = memberText(member(answer.object(), "data"), "id");
      if (id === undefined) throw new TailraceError("destination.unknown", "Klaviyo's answer has no job in it");
      return id;
    },
    async poll(id, session): Promise<JobState> {
      const path = `/api/profile-bulk-import-jobs/${encodeURIComponent(id)}`;
      const answer = await session.request({ method: "GET", path, accept: [404] });
      if (answer.status === 404) return { kind: "lost" };
      const attributes = member(member(answer.object(), "data"), "attributes");
      const status = memberText(attributes, "status");
      if (status === "cancelled") return { kind: "lost" };
      if (status !== "complete") return { kind: "running" };
      const count = (name: string): number => Number(memberText(attributes, name) ?? NaN);
      counts.set(id, {
        total: count("total_count"),
        completed: count("completed_count"),
        failed: count("failed_count"),
      });
      return { kind: "ended" };
    },
    async results(id, rows, session) {
      const ended = counts.get(id);
      const outcomes = await importErrors(id, rows, match, session, ended?.failed ?? 1);
      counts.delete(id);
      const all = ended?.total === rows.length && ended.completed + ended.failed >= rows.length;
      return all ? outcomes.unlessSaid() : outcomes.whereSaid();
    },
  });
}

/** The outcomes of rows that failed. `failed`: so many there must be; of those that cannot be told apart, {@link Outcomes.someRow}. */
async function importErrors(
  id: string,
  rows: readonly Delivery[],
  match: string,
  session: Session,
  failed: number,
): Promise<Outcomes> {
  const outcomes = new Outcomes(rows);
  const placeOf = placesBy(rows, (row) => folded(match, matchText(row)));
  const named = new Set<number>();
  let cursor: string | null = null;
  do {
    const page: string = cursor === null ? "" : `&page[cursor]=${encodeURIComponent(cursor)}`;
    const path = `/api/profile-bulk-import-jobs/${encodeURIComponent(id)}/import-errors?page[size]=100${page}`;
    const answer = (await session.request({ method: "GET", path })).object();
    for (const error of memberList(answer, "data")) {
      const attributes = member(error, "attributes");
      const pointer = memberText(member(attributes, "source"), "pointer") ?? "";
      const place = placeOf.get(keyOf(member(attributes, "original_payload"), match)) ?? placeIn(pointer);
      if (place !== undefined) named.add(place);
      const code = memberText(attributes, "code") ?? "";
      const said = `${pointer} ${memberText(attributes, "detail") ?? ""}`;
      outcomes.set(place, session.outcome(rows[place ?? 0] ?? rows[0]!, [code], said));
    }
    cursor = cursorOf(memberText(member(answer, "links"), "next"));
  } while (cursor !== null);
  if (named.size < failed) outcomes.someRow(UNNAMED);
  return outcomes;
}

const UNNAMED: Outcome = {
  status: "retry",
  error: new TailraceError("destination.unavailable", "Klaviyo counts more failures than it names"),
};

/** What a refused profile is known by: it is quoted as a resource, or its attributes alone. */
function keyOf(payload: unknown, match: string): string {
  const own = memberText(payload, match) ?? memberText(member(payload, "attributes"), match);
  return own === undefined ? "" : folded(match, own);
}

function placeIn(pointer: string): number | undefined {
  const [, place] = /\/profiles\/data\/(\d+)(?:\/|$)/.exec(pointer) ?? [];
  return place === undefined ? undefined : Number(place);
}

function folded(match: string, key: string): string {
  return match === "email" ? key.toLowerCase() : key;
}

function cursorOf(next: string | undefined): string | null {
  return next !== undefined && URL.canParse(next) ? new URL(next).searchParams.get("page[cursor]") : null;
}
