import type { Delivery, Field } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { flatItems, member } from "../../kit/vendor/json.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { Outcomes, allDelivered } from "../../kit/vendor/outcomes.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import { unixSeconds } from "../../kit/vendor/times.ts";
import type { MetaOptions, MetaSettings } from "./settings.ts";
import { USER_FIELDS, userField } from "./user-data.ts";

export const EVENT_ROWS = 1000;

/** Any other names are the user's own. */
const CUSTOM = "custom_data.";

type EventPlace = Place<MetaSettings, MetaOptions>;

/** Of the event itself. https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/server-event */
const EVENT_FIELDS: Readonly<
  Record<string, { readonly type: VendorField["type"]; readonly value: FieldText["value"] }>
> = {
  event_name: { type: "string", value: "text" },
  event_time: { type: "datetime", value: (text) => unixSeconds(text) ?? jsonString(text) },
  event_id: { type: "string", value: "text" },
  event_source_url: { type: "string", value: "text" },
  referrer_url: { type: "string", value: "text" },
  action_source: { type: "string", value: "text" },
  opt_out: { type: "boolean", value: "json" },
  data_processing_options: { type: "array", value: list },
  data_processing_options_country: { type: "number", value: "json" },
  data_processing_options_state: { type: "number", value: "json" },
};

export function eventFields({ options, target }: EventPlace): VendorFields {
  const constant = constants(options);
  const own = Object.entries(EVENT_FIELDS).map(([name, { type }]): VendorField => ({
    name,
    type,
    required: (name === "event_name" || name === "action_source") && !constant.has(name),
    // The options have said it.
    readOnly: constant.has(name),
  }));
  const user = [...USER_FIELDS].map((name): VendorField => ({ name, type: "any" }));
  const custom = target.shape.fields
    .filter(({ name }) => isCustom(name))
    .map(({ name }): VendorField => ({ name, type: "any" }));
  return { fields: [...own, ...user, ...custom], open: false };
}

export function events({ settings, options }: EventPlace): Operations {
  const constant = constants(options);
  const always = [...constant].map(([name, json]) => `${jsonString(name)}:${json}`);
  const own = new RecordText(({ name }) => {
    if (constant.has(name) || !Object.hasOwn(EVENT_FIELDS, name)) return null;
    return { value: EVENT_FIELDS[name]!.value, null: null };
  });
  const user = new RecordText((field) => (USER_FIELDS.has(field.name) ? userField(field) : null));
  const custom = new RecordText(({ name }) =>
    isCustom(name) ? { name: name.slice(CUSTOM.length), value: "json", null: null } : null,
  );
  const test = options.test_event_code === undefined ? "" : `,"test_event_code":${jsonString(options.test_event_code)}`;

  const eventOf = (row: Delivery): string => {
    const { record } = row;
    const id = has(row, "event_id") ? "" : `"event_id":${jsonString(row.id)}`;
    // Without a time of its own it is when the change was committed.
    const time =
      has(row, "event_time") || row.committedAt === null ? "" : `"event_time":${row.committedAt / 1_000_000n}`;
    const members = [...always, id, time, own.members(record)].filter((part) => part !== "");
    const data = custom.members(record);
    return `{${members.join(",")},"user_data":${user.object(record)}${data === "" ? "" : `,"custom_data":{${data}}`}}`;
  };

  const send = oneRequest({
    rows: EVENT_ROWS,
    call: (rows) => ({
      method: "POST",
      path: `/${settings.version}/${settings.pixel_id}/events`,
      body: `{"data":[${rows.map(eventOf).join(",")}]${test}}`,
    }),
    read(answer, rows) {
      // All of a request are taken, or none.
      if (member(answer.object(), "events_received") === rows.length) return allDelivered(rows);
      return new Outcomes(rows).whereSaid();
    },
  });
  return { create: send, event: send };
}

/** JSON by the name of what is the same of every event. */
function constants({
  event,
  action_source: source,
  limited_data_use: limited,
}: MetaOptions): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  if (event !== undefined) all.set("event_name", jsonString(event));
  if (source !== undefined) all.set("action_source", jsonString(source));
  if (limited !== undefined) {
    all.set("data_processing_options", `["LDU"]`);
    all.set("data_processing_options_country", String(limited.country));
    all.set("data_processing_options_state", String(limited.state));
  }
  return all;
}

function isCustom(name: string): boolean {
  return name.startsWith(CUSTOM) && name.length > CUSTOM.length;
}

function has({ record: { shape, values } }: Delivery, name: string): boolean {
  const value = values[shape.fields.findIndex((field: Field) => field.name === name)];
  return typeof value === "string" && value !== "";
}

/** A list stays one; a text is the only item of one, and an empty one of none. */
function list(text: string, record: Delivery["record"], index: number): string {
  if (record.shape.fields[index]!.json !== "array") return text === "" ? "[]" : `[${jsonString(text)}]`;
  return `[${flatItems(record.fieldJson(index))
    .flatMap((item) => (item === null ? [] : [jsonString(item)]))
    .join(",")}]`;
}
