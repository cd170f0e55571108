import type { Delivery } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, VendorField } from "../../kit/vendor/definition.ts";
import { allDelivered } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import { isoTime } from "../../kit/vendor/times.ts";
import { JSON_API } from "./import-job.ts";
import { pointedRequest, withoutRefused } from "./pointed.ts";
import { valueOf } from "./profile-text.ts";
import { expectStatus } from "./profiles.ts";

const ROWS = 1000;

const OF_PROFILE = ["email", "phone_number", "external_id", "anonymous_id"];
const OF_EVENT = ["time", "value", "value_currency", "unique_id"];

export const EVENT_FIELDS: readonly VendorField[] = [
  { name: "metric", type: "string", required: true },
  ...OF_PROFILE.map((name): VendorField => ({ name, type: "string" })),
  { name: "profile_id", type: "string" },
  { name: "time", type: "datetime" },
  { name: "value", type: "number" },
  { name: "value_currency", type: "string" },
  { name: "unique_id", type: "string" },
];
const OWN = new Set(EVENT_FIELDS.map(({ name }) => name));

export function eventOperations(): Operations {
  const profile = new RecordText(({ name }) => (OF_PROFILE.includes(name) ? { value: "text", null: null } : null));
  const attributes = new RecordText(({ name }) => {
    if (name === "time") return { value: (text) => jsonString(isoTime(text)), null: null };
    if (name === "value") return { value: "json", null: null };
    return OF_EVENT.includes(name) ? { value: "text", null: null } : null;
  });
  const properties = new RecordText((field) => (OWN.has(field.name) ? null : { value: valueOf(field), null: "null" }));

  const event = (row: Delivery): string => {
    const { record } = row;
    const { fields } = record.shape;
    const has = (name: string): boolean => typeof valueIn(row, name) === "string";
    const own = [
      `"properties":${properties.object(record)}`,
      // Named by its place in the log: Klaviyo keeps one of each name.
      has("unique_id") ? "" : `"unique_id":"${row.id}"`,
      has("time") || row.committedAt === null ? "" : `"time":"${microseconds(row.committedAt)}"`,
      // A row that is read for no change is history: it must not set off a flow.
      row.committedAt === null ? `"backfill":true` : "",
      attributes.members(record),
    ];
    const metric = fields.findIndex(({ name }) => name === "metric");
    const name = metric === -1 ? "null" : record.fieldJson(metric);
    const id = valueIn(row, "profile_id");
    const profileId = typeof id === "string" ? `"id":${jsonString(id)},` : "";
    return `{"type":"event-bulk-create","attributes":{"profile":{"data":{"type":"profile",${profileId}"attributes":${profile.object(record)}}},"events":{"data":[{"type":"event","attributes":{${own.filter((each) => each !== "").join(",")},"metric":{"data":{"type":"metric","attributes":{"name":${name}}}}}}]}}}`;
  };

  return {
    event: {
      rows: ROWS,
      send: (rows, session) =>
        withoutRefused(rows, async (left) => {
          const call = {
            method: "POST",
            path: "/api/event-bulk-create-jobs",
            contentType: JSON_API,
            body: `{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":[${left.map(event).join(",")}]}}}}`,
          } as const;
          expectStatus((await pointedRequest(call, left, session)).status, 202);
          return allDelivered(left);
        }),
    },
  };
}

function valueIn({ record }: Delivery, field: string): unknown {
  return record.values[record.shape.fields.findIndex(({ name }) => name === field)];
}

/** µs since the epoch as ISO 8601. */
function microseconds(at: bigint): string {
  const fraction = String(at % 1_000_000n).padStart(6, "0");
  return new Date(Number(at / 1000n)).toISOString().replace(/\.\d{3}Z$/, `.${fraction}Z`);
}
