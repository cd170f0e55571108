import type { Operations, VendorField } from "../../kit/vendor/definition.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import { isoTime } from "../../kit/vendor/times.ts";
import { IDENTIFIERS, IdentityText, isIdentifier } from "./identity.ts";
import { track, valueOf } from "./track.ts";

const WHOSE = IDENTIFIERS.map(({ name }): VendorField => ({ name, type: "string" }));

export const EVENT_FIELDS: readonly VendorField[] = [
  ...WHOSE,
  { name: "name", type: "string", required: true },
  { name: "time", type: "datetime", required: true },
  { name: "app_id", type: "string" },
];

export const PURCHASE_FIELDS: readonly VendorField[] = [
  ...WHOSE,
  { name: "product_id", type: "string", required: true },
  { name: "currency", type: "string", required: true },
  { name: "price", type: "number", required: true },
  { name: "quantity", type: "number" },
  { name: "time", type: "datetime", required: true },
  { name: "app_id", type: "string" },
];

/** Events or purchases, of whichever users they name; other fields are their properties. */
export function happenings(array: "events" | "purchases", fields: readonly VendorField[]): Operations {
  const types = new Map(fields.map(({ name, type }) => [name, type]));
  const identity = new IdentityText();
  const own = new RecordText(({ name }) => {
    const type = types.get(name);
    if (type === undefined || isIdentifier(name)) return null;
    if (type === "datetime") return { value: (text) => jsonString(isoTime(text)), null: null };
    return { value: type === "number" ? "json" : "text", null: null };
  });
  const properties = new RecordText((field) =>
    types.has(field.name) ? null : { value: valueOf(field), null: "null" },
  );
  return {
    event: track(array, ({ record }) => {
      const members = [identity.members(record), own.members(record), `"properties":${properties.object(record)}`];
      return `{${members.filter((each) => each !== "").join(",")}}`;
    }),
  };
}
