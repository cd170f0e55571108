import { hash } from "node:crypto";
import type { Delivery } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place, VendorFields } from "../../kit/vendor/definition.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import { isoTime } from "../../kit/vendor/times.ts";
import { failedRecords, imported, propertyValue } from "./records.ts";
import type { MixpanelOptions, MixpanelSettings } from "./settings.ts";

export const EVENT_ROWS = 2000;

type EventPlace = Place<MixpanelSettings, MixpanelOptions>;

export function eventFields({ options: { event } }: EventPlace): VendorFields {
  return {
    fields: [
      ...(event === undefined ? [{ name: "event", type: "string" as const, required: true }] : []),
      { name: "distinct_id", type: "string", required: true },
      { name: "time", type: "datetime" },
      { name: "$insert_id", type: "string", readOnly: true },
    ],
    open: true,
  };
}

/** https://docs.mixpanel.com/reference/import-events; with `strict=1` each event is taken or named. */
export function events({ settings: { project_id: project }, options }: EventPlace): Operations {
  const named = options.event === undefined ? "event" : null;
  const properties = new RecordText((field) => {
    if (field.name === named || field.name === "$insert_id") return null;
    if (field.name === "distinct_id") return { value: "text", null: '""' };
    if (field.name === "time") return { value: milliseconds, null: null };
    return { value: propertyValue(field), null: "null" };
  });
  const names = new RecordText(({ name }) => (name === named ? { value: "text", null: '""' } : null));
  const always = options.event === undefined ? null : `"event":${jsonString(options.event)}`;

  const imports = oneRequest({
    rows: EVENT_ROWS,
    call: (rows) => ({
      method: "POST",
      path: `/import?strict=1&project_id=${project}`,
      body: `[${rows.map(eventOf).join(",")}]`,
      // With what became of each event.
      accept: [400],
    }),
    read(answer, rows, session) {
      const body = answer.object();
      const failures = failedRecords(body);
      if (answer.status === 400 && failures.length === 0) {
        throw new TailraceError("destination.refused", "Mixpanel answered 400 and names no event");
      }
      return imported(body, failures, rows, (place) => place, session);
    },
  });

  function eventOf(row: Delivery): string {
    // Without a time of its own it is when the change was committed.
    const time = hasTime(row) || row.committedAt === null ? "" : `"time":${row.committedAt / 1000n}`;
    const parts = [`"$insert_id":"${insertId(row)}"`, time, properties.members(row.record)];
    const members = parts.filter((part) => part !== "").join(",");
    return `{${always ?? names.members(row.record)},"properties":{${members}}}`;
  }

  return { create: imports, event: imports };
}

/** At most 36 characters, by which Mixpanel drops repeats. */
export function insertId({ id }: Delivery): string {
  return hash("sha256", id, "hex").slice(0, 32);
}

function hasTime({ record: { shape, values } }: Delivery): boolean {
  return typeof values[shape.fields.findIndex(({ name }) => name === "time")] === "string";
}

/** Digits are seconds or milliseconds already, as Mixpanel itself tells them apart. */
function milliseconds(text: string): string {
  if (/^-?\d{1,16}$/.test(text)) return text;
  const ms = Date.parse(isoTime(text));
  return Number.isNaN(ms) ? jsonString(text) : String(ms);
}
