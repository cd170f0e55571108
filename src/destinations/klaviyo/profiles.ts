import { DELIVERED, type Delivery, type Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place } from "../../kit/vendor/definition.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { JOB_ROWS, JSON_API, importJob } from "./import-job.ts";
import { withoutRefused } from "./pointed.ts";
import { profileIds } from "./profile-ids.ts";
import { ProfileText } from "./profile-text.ts";
import type { KlaviyoOptions, KlaviyoSettings } from "./settings.ts";

type ProfilesPlace = Place<KlaviyoSettings, KlaviyoOptions>;

/** So few are sent one by one: Klaviyo takes these at once, and a job in its own time. */
const FEW = 5;
/** Profiles that are taken off a list in one request. */
const LIST_ROWS = 1000;

export function profileOperations(place: ProfilesPlace): Operations {
  const { match, upsert, existing } = operationsOf(place, null);
  return {
    // An id is Klaviyo's own: there is nothing to create.
    upsert: match === "id" ? existing : upsert,
    update: existing,
    archive: existing,
    clear: existing,
    delete: deletion(match),
  };
}

/** A row is a member of the list; its profile is created or updated, too. */
export function listOperations(place: ProfilesPlace): Operations {
  const list = place.object.slice(place.object.indexOf("/") + 1);
  const { match, upsert, existing } = operationsOf(place, list);
  const ids = profileIds(match);
  const remove: Operation = {
    rows: LIST_ROWS,
    async send(rows, session) {
      const known = await ids.ids(
        rows.map((row) => matchText(row)),
        session,
      );
      if (known.size > 0) await membership("DELETE", list, [...new Set(known.values())], session);
      return rows.map(() => DELIVERED);
    },
  };
  return { upsert: match === "id" ? existing : upsert, delete: remove };
}

function operationsOf({ target, jobs }: ProfilesPlace, list: string | null) {
  const match = target.match[0] ?? "email";
  const profile = new ProfileText();
  const resource = (row: Delivery): string => profile.resource(row);
  const job = importJob(jobs, { list, match, resource });
  const ids = profileIds(match);

  const send = async (rows: readonly Delivery[], session: Session): Promise<readonly Outcome[]> => {
    if (rows.length > FEW) return withoutRefused(rows, (left) => job.send(left, session));
    const { outcomes, taken } = await importFew(rows, resource, session);
    if (list !== null && taken.length > 0) await membership("POST", list, taken, session);
    return outcomes;
  };
  const upsert: Operation = { rows: JOB_ROWS, send };
  /** Of profiles that are there: what is not is left alone, and that is all right. */
  const existing: Operation = {
    rows: JOB_ROWS,
    async send(rows, session) {
      const known = await ids.ids(
        rows.map((row) => matchText(row)),
        session,
      );
      const there = rows.filter((row) => known.has(matchText(row)));
      const outcomes = there.length === 0 ? [] : await send(there, session);
      const byRow = new Map(there.map((row, at) => [row, outcomes[at]!]));
      return rows.map((row) => byRow.get(row) ?? DELIVERED);
    },
  };
  return { match, upsert, existing };
}

/** A request for each; `taken`: Klaviyo's ids of those that it has. */
async function importFew(
  rows: readonly Delivery[],
  resource: (row: Delivery) => string,
  session: Session,
): Promise<{ readonly outcomes: readonly Outcome[]; readonly taken: readonly string[] }> {
  const outcomes: Outcome[] = [];
  const taken: string[] = [];
  for (const row of rows) {
    try {
      const answer = await session.request({
        method: "POST",
        path: "/api/profile-import",
        contentType: JSON_API,
        body: `{"data":${resource(row)}}`,
      });
      const id = memberText(member(answer.object(), "data"), "id");
      if (id === undefined) throw new TailraceError("destination.unknown", "Klaviyo's answer has no profile in it");
      taken.push(id);
      outcomes.push(DELIVERED);
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error;
      if (error.consequence === "row-permanent") {
        outcomes.push({ status: "rejected", error });
        continue;
      }
      if (outcomes.length === 0) throw error;
      // Some were taken; this one and those after it come again.
      const later: Outcome = { status: "retry", error, afterMs: error.afterMs };
      return { outcomes: [...outcomes, ...rows.slice(outcomes.length).map(() => later)], taken };
    }
  }
  return { outcomes, taken };
}

async function membership(method: "POST" | "DELETE", list: string, ids: readonly string[], session: Session) {
  const answer = await session.request({
    method,
    path: `/api/lists/${encodeURIComponent(list)}/relationships/profiles`,
    contentType: JSON_API,
    body: `{"data":[${ids.map((id) => `{"type":"profile","id":${jsonString(id)}}`).join(",")}]}`,
  });
  expectStatus(answer.status, 204);
}

/** For good, by Klaviyo's way of fulfilling a person's wish to be forgotten: one a request, done in its own time. */
function deletion(match: string): Operation {
  const ids = profileIds(match);
  return {
    rows: 1,
    async send([row], session) {
      const key = matchText(row!);
      // It takes no external id.
      const id = match === "external_id" ? (await ids.ids([key], session)).get(key) : match === "id" ? key : null;
      if (id === undefined) return [DELIVERED];
      const profile =
        id === null ? `"attributes":{"${match}":${jsonString(key)}}` : `"id":${jsonString(id)},"attributes":{}`;
      const answer = await session.request({
        method: "POST",
        path: "/api/data-privacy-deletion-jobs",
        contentType: JSON_API,
        body: `{"data":{"type":"data-privacy-deletion-job","attributes":{"profile":{"data":{"type":"profile",${profile}}}}}}`,
        accept: [404],
      });
      if (answer.status !== 404) expectStatus(answer.status, 202);
      return [DELIVERED];
    },
  };
}

/** Of requests that are taken or refused as a whole. @throws TailraceError `destination.unknown` */
export function expectStatus(status: number, wanted: number): void {
  if (status !== wanted)
    throw new TailraceError("destination.unknown", `Klaviyo answered ${status} in the place of ${wanted}`);
}
