import { DELIVERED, type Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place, VendorFields } from "../../kit/vendor/definition.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import { seconds, valueOf } from "./attributes.ts";
import { eachRow } from "./records.ts";
import type { IntercomOptions, IntercomSettings } from "./settings.ts";

/** Intercom ignores what is beyond, without a word. */
const MOST_METADATA = 10;
/** As contacts are found, and as events call it. */
const BY: Readonly<Record<string, string>> = { external_id: "user_id", email: "email", id: "id" };

export function events({ target, options }: Place<IntercomSettings, IntercomOptions>): Operations {
  const by = eventBy(target);
  const own = ownFields(target, options);
  const metadata = new RecordText((field) => (own.includes(field.name) ? null : { value: valueOf(field), null: null }));
  const names = new RecordText(({ name }) => (name === "event_name" ? { value: "text", null: '""' } : null));
  const times = new RecordText(({ name }) => (name === "created_at" ? { value: seconds, null: null } : null));
  const always = options.event === undefined ? null : `"event_name":${jsonString(options.event)}`;
  const event = eachRow(async (row, session) => {
    const { record, committedAt } = row;
    const name = always ?? names.members(record);
    const time = times.members(record) || (committedAt === null ? "" : `"created_at":${committedAt / 1_000_000n}`);
    const more = [name, time].filter((member) => member !== "").join(",");
    const body = `{"${by}":${jsonString(matchText(row))},${more},"metadata":${metadata.object(record)}}`;
    const answer = await session.request({ method: "POST", path: "/events", body, accept: [404] });
    if (answer.status === 202) return DELIVERED;
    const message =
      answer.status === 404
        ? "The contact of this event is not there (yet)"
        : "The answer does not say that the event was taken";
    return { status: "retry", error: new TailraceError("destination.unavailable", message) };
  });
  return { event };
}

export function eventFields({ target, options }: Place<IntercomSettings, IntercomOptions>): VendorFields {
  eventBy(target);
  const own = ownFields(target, options);
  const metadata = target.shape.fields.filter(({ name }) => !own.includes(name));
  if (metadata.length > MOST_METADATA)
    throw new TailraceError(
      "destination.config",
      `Intercom keeps ${MOST_METADATA} metadata of an event, and \`map\` has ${metadata.length}`,
    );
  return {
    fields: [
      { name: target.match[0]!, type: "string" },
      { name: "event_name", type: "string", required: options.event === undefined },
      { name: "created_at", type: "datetime" },
    ],
    open: true,
  };
}

function ownFields({ match }: Target, { event }: IntercomOptions): string[] {
  return [...match, "created_at", ...(event === undefined ? ["event_name"] : [])];
}

function eventBy({ match }: Target): string {
  const by = BY[match[0] ?? ""];
  if (by !== undefined) return by;
  throw new TailraceError(
    "destination.config",
    "Intercom finds the contact of an event by `external_id`, `email` or `id`: set `match` to one of them",
  );
}
