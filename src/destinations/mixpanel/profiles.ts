import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place, VendorFields } from "../../kit/vendor/definition.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import { Outcomes, allDelivered, matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { failedRecords, propertyValue } from "./records.ts";
import type { MixpanelOptions, MixpanelSettings } from "./settings.ts";

/** A row whose fields are set and emptied is two updates, of which a request takes 2000. */
export const PROFILE_ROWS = 1000;

export type ProfilePlace = Place<MixpanelSettings, MixpanelOptions>;

const USERS = "users";
/** Every update is looked at, and the answer is told in JSON; no user is where we are. */
const QUERY = "strict=1&verbose=1&ip=0";

export function profileFields(place: ProfilePlace): VendorFields {
  tokenOf(place);
  const id = place.object === USERS ? "distinct_id" : "group_id";
  return { fields: [{ name: id, type: "string", unique: true }], open: true };
}

/** https://docs.mixpanel.com/reference/profile-batch-update and …/group-batch-update */
export function profiles(place: ProfilePlace): Operations {
  const { object, target } = place;
  const who = `"$token":${jsonString(tokenOf(place))}`;
  // `groups/company` are those of the group key `company`.
  const group = object === USERS ? null : object.slice(object.indexOf("/") + 1);
  const [path, identity] =
    group === null
      ? ["/engage", `${who},"$distinct_id":`]
      : ["/groups", `${who},"$group_key":${jsonString(group)},"$group_id":`];
  const properties = new RecordText((field) =>
    target.match.includes(field.name) ? null : { value: propertyValue(field), null: null },
  );

  const updates = (of: (row: Delivery, identified: string) => readonly string[]): Operation => ({
    rows: PROFILE_ROWS,
    async send(rows, session) {
      /** The row of each update. */
      const places: number[] = [];
      let body = "";
      for (const [place, row] of rows.entries()) {
        for (const update of of(row, `${identity}${jsonString(matchText(row))}`)) {
          body += `${body === "" ? "" : ","}{${update}}`;
          places.push(place);
        }
      }
      const answer = await session.request({
        method: "POST",
        path: `${path}?${QUERY}`,
        body: `[${body}]`,
        accept: [400],
      });
      return readUpdates(answer, rows, places, session);
    },
  });
  const upsert = updates((row, identified) => {
    const emptied = emptiedOf(row, target.match);
    const set = `${identified},"$set":{${properties.members(row.record)}}`;
    return emptied === "" ? [set] : [set, `${identified},"$unset":[${emptied}]`];
  });
  const ignoreAlias = group === null ? `,"$ignore_alias":true` : "";
  const remove = updates((_row, identified) => [`${identified},"$delete":null${ignoreAlias}`]);
  return { upsert, delete: remove };
}

/** The names of the fields that are null, as JSON. */
function emptiedOf({ record: { shape, values } }: Delivery, match: readonly string[]): string {
  const names = shape.fields.filter(({ name }, at) => values[at] === null && !match.includes(name));
  return names.map(({ name }) => jsonString(name)).join(",");
}

/** Of one row all its updates are taken, or it is not delivered. */
function readUpdates(
  answer: Answer,
  rows: readonly Delivery[],
  places: readonly number[],
  session: Session,
): readonly Outcome[] {
  const body = answer.object();
  const failures = failedRecords(body);
  if (failures.length > 0) {
    const outcomes = new Outcomes(rows);
    for (const { index, said } of failures) {
      const place = places[index];
      outcomes.set(place, session.outcome(rows[place ?? 0]!, [], said));
    }
    return outcomes.unlessSaid();
  }
  const status = member(body, "status");
  const error = memberText(body, "error");
  if (answer.status === 400 || status === 0 || status === "error" || (error !== undefined && error !== "")) {
    // It says of none which: the batch is halved until it is found.
    throw new TailraceError("destination.refused", `Mixpanel answered ${answer.status} and names no update`);
  }
  const taken = status === 1 || (status === "OK" && member(body, "code") === 200);
  return taken ? allDelivered(rows) : new Outcomes(rows).whereSaid();
}

/** @throws TailraceError `destination.config` */
function tokenOf({ object, settings }: ProfilePlace): string {
  if (settings.project_token !== undefined) return settings.project_token;
  throw new TailraceError("destination.config", `Mixpanel ${object}: profiles need the setting \`project_token\``);
}
