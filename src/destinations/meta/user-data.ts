import { hash } from "node:crypto";
import type { Field } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { flatItems } from "../../kit/vendor/json.ts";
import type { FieldText } from "../../kit/vendor/record-text.ts";

/** A text as Meta wants it before it is hashed; empty: it is none. */
type Normalize = (text: string) => string;

const SHA256 = /^[0-9a-f]{64}$/i;

/** https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters */
const HASHED: Readonly<Record<string, Normalize>> = {
  em: (text) => text.trim().toLowerCase(),
  ph: (text) => text.replaceAll(/\D/g, "").replace(/^0+/, ""),
  fn: name,
  ln: name,
  ct: letters,
  st: letters,
  zp: zip,
  country: letters,
  db: birthday,
  ge: (text) => /^[fm]/i.exec(text.trim())?.[0].toLowerCase() ?? "",
  external_id: (text) => text.trim(),
};

const PLAIN = [
  "anon_id",
  "client_ip_address",
  "client_user_agent",
  "ctwa_clid",
  "fb_login_id",
  "fbc",
  "fbp",
  "ig_account_id",
  "ig_sid",
  "lead_id",
  "madid",
  "page_id",
  "page_scoped_user_id",
  "subscription_id",
];

export const USER_FIELDS: ReadonlySet<string> = new Set([...Object.keys(HASHED), ...PLAIN]);

/** How a field of `user_data` is written; nothing that would say nothing is sent. */
export function userField({ name: field, json }: Field): FieldText {
  const normalize = Object.hasOwn(HASHED, field) ? HASHED[field]! : null;
  if (normalize === null) return { value: "text", null: null };
  return {
    null: null,
    value(text, record, index) {
      const texts = json === "array" ? flatItems(record.fieldJson(index)) : [text];
      const hashes = texts.flatMap((each) => hashed(each ?? "", normalize));
      return hashes.length === 0 ? null : `[${hashes.map(jsonString).join(",")}]`;
    },
  };
}

/** What is a SHA-256 already is sent as it is. */
function hashed(text: string, normalize: Normalize): readonly string[] {
  const given = text.trim();
  if (SHA256.test(given)) return [given.toLowerCase()];
  const normal = normalize(text);
  return normal === "" ? [] : [hash("sha256", normal, "hex")];
}

/** Lower case without punctuation; letters of every script stay. */
function name(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[\p{P}\p{S}]/gu, "")
    .trim();
}

/** As a name, and without spaces. */
function letters(text: string): string {
  return text.toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N}]/gu, "");
}

/** Of a US code with its four digits more, the first five. */
function zip(text: string): string {
  const [, five] = /^\s*(\d{5})-\d{4}\s*$/.exec(text) ?? [];
  return five ?? text.toLowerCase().replaceAll(/[\s-]/g, "");
}

/** `19970216` of a date or a time. */
function birthday(text: string): string {
  const [, year = "", month = "", day = ""] = /^\s*(\d{4})-?(\d\d)-?(\d\d)(?!\d)/.exec(text) ?? [];
  return year + month + day;
}
