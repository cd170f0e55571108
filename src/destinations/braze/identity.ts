import type { MappedRecord } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { VendorField } from "../../kit/vendor/definition.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";

const ALIAS = ["alias_name", "alias_label"] as const;

/** What a user is found by. An alias has two parts. */
export const IDENTIFIERS: readonly VendorField[] = ["external_id", "braze_id", "email", "phone", ...ALIAS].map(
  (name): VendorField => ({ name, type: "string", unique: true }),
);
const NAMES = new Set(IDENTIFIERS.map(({ name }) => name));

export function isIdentifier(name: string): boolean {
  return NAMES.has(name);
}

/** Whose an event, a purchase or attributes are: `"external_id":"1","user_alias":{…}`; those that are null are left out, but for `emptied`. */
export class IdentityText {
  readonly #single: RecordText;

  constructor(emptied: readonly string[] = []) {
    this.#single = new RecordText(({ name }): FieldText | null => {
      if (!isIdentifier(name) || (ALIAS as readonly string[]).includes(name)) return null;
      return { value: "text", null: emptied.includes(name) ? "null" : null };
    });
  }

  members(record: MappedRecord): string {
    const single = this.#single.members(record);
    const [name, label] = ALIAS.map((field) => textOf(record, field));
    if (name === undefined || label === undefined) return single;
    const alias = `"user_alias":${aliasObject(name, label)}`;
    return single === "" ? alias : `${single},${alias}`;
  }
}

/** An identity of those to be deleted, in the list that is for its kind: Braze takes one kind a request. */
export function deletion(match: readonly string[]): {
  readonly list: string;
  readonly item: (match: readonly string[]) => string;
} {
  const [field] = match;
  if (field === "alias_name" || field === "alias_label") {
    const at = match.indexOf("alias_name");
    return { list: "user_aliases", item: (texts) => aliasObject(texts[at]!, texts[1 - at]!) };
  }
  if (field === "email" || field === "phone") {
    // Of several users that share it, one.
    const item = ([text]: readonly string[]): string =>
      `{"${field}":${jsonString(text!)},"prioritization":["most_recently_updated"]}`;
    return { list: field === "email" ? "email_addresses" : "phone_numbers", item };
  }
  const list = field === "braze_id" ? "braze_ids" : "external_ids";
  return { list, item: ([text]) => jsonString(text!) };
}

/** @throws TailraceError `destination.config`: half of an alias finds nobody. */
export function checkMatch(match: readonly string[]): void {
  const parts = match.filter((name) => name.startsWith("alias_"));
  if (match.length !== (parts.length === 0 ? 1 : 2) || parts.length === 1)
    throw new TailraceError(
      "destination.config",
      "Braze users are found by one field, or by `[alias_name, alias_label]`: set `match`",
    );
}

function aliasObject(name: string, label: string): string {
  return `{"alias_name":${jsonString(name)},"alias_label":${jsonString(label)}}`;
}

function textOf({ shape, values }: MappedRecord, field: string): string | undefined {
  const value = values[shape.fields.findIndex(({ name }) => name === field)];
  return typeof value === "string" ? value : undefined;
}
