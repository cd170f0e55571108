import type { Delivery, Field } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { VendorField } from "../../kit/vendor/definition.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import { isoTime, isTimestamp } from "../../kit/vendor/times.ts";

export const IDENTIFIERS = ["id", "email", "phone_number", "external_id"] as const;
const NAMES = ["first_name", "last_name", "organization", "locale", "title", "image"];
const LOCATION = ["address1", "address2", "city", "country", "region", "zip", "timezone", "ip"];
const COORDINATES = ["latitude", "longitude"];

const ATTRIBUTES = new Set<string>([...IDENTIFIERS, ...NAMES]);
const IN_LOCATION = /^location\.(\w+)$/;

/** Klaviyo's own; any other name is a custom property. */
export const PROFILE_FIELDS: readonly VendorField[] = [
  ...IDENTIFIERS.map((name): VendorField => ({ name, type: "string", unique: true })),
  ...NAMES.map((name): VendorField => ({ name, type: "string" })),
  ...LOCATION.map((name): VendorField => ({ name: `location.${name}`, type: "string" })),
  ...COORDINATES.map((name): VendorField => ({ name: `location.${name}`, type: "number" })),
];

/** Profiles as JSON:API resources: `{"type":"profile","id":…,"attributes":{…},"meta":{…}}`. */
export class ProfileText {
  readonly #attributes = new RecordText(({ name }) =>
    name !== "id" && ATTRIBUTES.has(name) ? { value: "text", null: "null" } : null,
  );
  readonly #location = new RecordText(({ name }) => {
    const within = IN_LOCATION.exec(name)?.[1];
    return within === undefined
      ? null
      : { name: within, value: COORDINATES.includes(within) ? "json" : "text", null: "null" };
  });
  readonly #properties = new RecordText((field) => (isProperty(field) ? { value: valueOf(field), null: null } : null));

  resource({ record }: Delivery): string {
    const { fields } = record.shape;
    const own = record.values[fields.findIndex(({ name }) => name === "id")];
    const id = typeof own === "string" ? `"id":${jsonString(own)},` : "";
    const location = this.#location.members(record);
    const properties = this.#properties.members(record);
    const attributes = [
      this.#attributes.members(record),
      location === "" ? "" : `"location":{${location}}`,
      properties === "" ? "" : `"properties":{${properties}}`,
    ].filter((members) => members !== "");
    // A custom property is removed by its name: a null would be a value of it.
    const removed = fields.filter((field, at) => record.values[at] === null && isProperty(field));
    const names = removed.map(({ name }) => jsonString(name)).join(",");
    const meta = removed.length === 0 ? "" : `,"meta":{"patch_properties":{"unset":[${names}]}}`;
    return `{"type":"profile",${id}"attributes":{${attributes.join(",")}}${meta}}`;
  }
}

function isProperty({ name }: Field): boolean {
  return !ATTRIBUTES.has(name) && !IN_LOCATION.test(name);
}

export function valueOf({ type }: Field): FieldText["value"] {
  return isTimestamp(type) ? (text) => jsonString(isoTime(text)) : "json";
}
