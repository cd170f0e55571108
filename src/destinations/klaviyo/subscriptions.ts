import type { Delivery } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place, VendorField } from "../../kit/vendor/definition.ts";
import { allDelivered } from "../../kit/vendor/outcomes.ts";
import { isoTime } from "../../kit/vendor/times.ts";
import { JSON_API } from "./import-job.ts";
import { pointedRequest, withoutRefused } from "./pointed.ts";
import { expectStatus } from "./profiles.ts";

const ROWS = 1000;

export const SUBSCRIPTION_FIELDS: readonly VendorField[] = [
  { name: "email", type: "string" },
  { name: "phone_number", type: "string" },
  { name: "consented_at", type: "datetime" },
];

/** Consent to marketing by e-mail, text message or both, given once for each new row. */
export function subscriptionOperations({ object, target }: Place): Operations {
  const list = object.slice(object.indexOf("/") + 1);
  const placeOf = (name: string): number => target.shape.fields.findIndex((field) => field.name === name);
  const places = { email: placeOf("email"), phone: placeOf("phone_number"), at: placeOf("consented_at") };
  // With the time of the consent it is one of before: no message asks for it again.
  const historical = places.at === -1 ? "" : `"historical_import":true,`;
  const profileOf = ({ record: { values } }: Delivery): string => {
    const text = (place: number): string | null => {
      const value = values[place];
      return typeof value === "string" ? value : null;
    };
    const [email, phone, at] = [text(places.email), text(places.phone), text(places.at)];
    const consent = `{"marketing":{"consent":"SUBSCRIBED"${at === null ? "" : `,"consented_at":${jsonString(isoTime(at))}`}}}`;
    const channels = [email === null ? "" : `"email":${consent}`, phone === null ? "" : `"sms":${consent}`];
    const attributes = [
      email === null ? "" : `"email":${jsonString(email)}`,
      phone === null ? "" : `"phone_number":${jsonString(phone)}`,
      `"subscriptions":{${channels.filter((each) => each !== "").join(",")}}`,
    ];
    return `{"type":"profile","attributes":{${attributes.filter((each) => each !== "").join(",")}}}`;
  };
  return {
    create: {
      rows: ROWS,
      send: (rows, session) =>
        withoutRefused(rows, async (left) => {
          const call = {
            method: "POST",
            path: "/api/profile-subscription-bulk-create-jobs",
            contentType: JSON_API,
            body: `{"data":{"type":"profile-subscription-bulk-create-job","attributes":{${historical}"profiles":{"data":[${left.map(profileOf).join(",")}]}},"relationships":{"list":{"data":{"type":"list","id":${jsonString(list)}}}}}}`,
          } as const;
          expectStatus((await pointedRequest(call, left, session)).status, 202);
          return allDelivered(left);
        }),
    },
  };
}
