import type { Field } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { VendorField } from "../../kit/vendor/definition.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { isTimestamp, unixSeconds } from "../../kit/vendor/times.ts";

const TEXT = "string";

export const CONTACT: readonly VendorField[] = [
  { name: "external_id", type: TEXT, unique: true },
  { name: "email", type: TEXT, unique: true },
  { name: "phone", type: TEXT },
  { name: "name", type: TEXT },
  { name: "role", type: "enum" },
  { name: "avatar", type: TEXT },
  { name: "signed_up_at", type: "datetime" },
  { name: "last_seen_at", type: "datetime" },
  { name: "owner_id", type: "number" },
  { name: "unsubscribed_from_emails", type: "boolean" },
];

export const COMPANY: readonly VendorField[] = [
  { name: "company_id", type: TEXT, unique: true },
  { name: "name", type: TEXT },
  { name: "plan", type: TEXT },
  { name: "size", type: "number" },
  { name: "website", type: TEXT },
  { name: "industry", type: TEXT },
  { name: "monthly_spend", type: "number" },
  { name: "remote_created_at", type: "datetime" },
];

/** A record as Intercom has it: its own attributes, and the workspace's beside them. `left`: fields that are no attributes. */
export function attributeText(own: readonly VendorField[], left: readonly string[]) {
  const names = new Set(own.map(({ name }) => name));
  const text = (ofOwn: boolean): RecordText =>
    new RecordText((field) =>
      left.includes(field.name) || names.has(field.name) !== ofOwn
        ? null
        : {
            value: valueOf(
              field,
              own.find(({ name }) => name === field.name),
            ),
            null: "null",
          },
    );
  const standard = text(true);
  const custom = text(false);
  return (record: Parameters<RecordText["members"]>[0]): string => {
    const others = custom.members(record);
    const members = standard.members(record);
    if (others === "") return members;
    return `${members}${members === "" ? "" : ","}"custom_attributes":{${others}}`;
  };
}

/** Times are in seconds. */
export function valueOf({ type }: Field, theirs?: VendorField): FieldText["value"] {
  return isTimestamp(type) || theirs?.type === "datetime" ? seconds : "json";
}

export function seconds(text: string): string {
  return unixSeconds(text) ?? jsonString(text);
}

const TYPES: Readonly<Record<string, VendorField["type"]>> = {
  string: TEXT,
  integer: "number",
  float: "number",
  boolean: "boolean",
  date: "datetime",
};

/** The attributes that the workspace has made for contacts or companies. */
export async function customFields(model: "contact" | "company", session: Session): Promise<VendorField[]> {
  const answer = await session.request({ method: "GET", path: `/data_attributes?model=${model}` });
  const made = memberList(answer.object(), "data").filter(
    (attribute) => member(attribute, "custom") === true && member(attribute, "archived") !== true,
  );
  return made.map((attribute) => ({
    name: memberText(attribute, "name") ?? "",
    type:
      memberList(attribute, "options").length > 0 ? "enum" : (TYPES[memberText(attribute, "data_type") ?? ""] ?? "any"),
    readOnly: member(attribute, "api_writable") === false,
  }));
}
