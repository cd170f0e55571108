import { TailraceError } from "../../contracts/errors.ts";
import type { Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import type { Session } from "../../kit/vendor/session.ts";

type Type = VendorField["type"];

/** One of Zendesk's objects, as its API has it. */
export interface Kind {
  /** `users`: in paths and bodies. */
  readonly plural: "users" | "organizations" | "tickets";
  /** Where the account's own fields are listed, and how a mapped field names one: `user_fields.KEY`. */
  readonly own: { readonly path: string; readonly list: string; readonly prefix: string; readonly by: "key" | "id" };
  readonly fields: Readonly<Record<string, Type>>;
  /** Must be given, and cannot be emptied. */
  readonly required: readonly string[];
  readonly notCleared: readonly string[];
  /** What finds a record where it is made if it is not there; `external_id` and `id` find one that is. */
  readonly upsertBy: readonly string[];
}

const common = { external_id: "string", tags: "array" } as const;

export const USERS: Kind = {
  plural: "users",
  own: { path: "/api/v2/user_fields", list: "user_fields", prefix: "user_fields.", by: "key" },
  fields: {
    ...common,
    name: "string",
    email: "string",
    phone: "string",
    role: "enum",
    organization_id: "number",
    alias: "string",
    details: "string",
    notes: "string",
    signature: "string",
    time_zone: "string",
    locale: "string",
    suspended: "boolean",
    verified: "boolean",
    skip_verify_email: "boolean",
    moderator: "boolean",
    ticket_restriction: "enum",
    only_private_comments: "boolean",
    shared_phone_number: "boolean",
    custom_role_id: "number",
    default_group_id: "number",
    remote_photo_url: "string",
  },
  required: ["name"],
  notCleared: [
    "email",
    "role",
    "time_zone",
    "locale",
    "suspended",
    "verified",
    "skip_verify_email",
    "moderator",
    "only_private_comments",
    "remote_photo_url",
  ],
  upsertBy: ["external_id", "email"],
};

export const ORGANIZATIONS: Kind = {
  plural: "organizations",
  own: { path: "/api/v2/organization_fields", list: "organization_fields", prefix: "organization_fields.", by: "key" },
  fields: {
    ...common,
    name: "string",
    details: "string",
    notes: "string",
    domain_names: "array",
    group_id: "number",
    shared_tickets: "boolean",
    shared_comments: "boolean",
  },
  required: ["name"],
  notCleared: ["shared_tickets", "shared_comments"],
  upsertBy: ["external_id"],
};

export const TICKETS: Kind = {
  plural: "tickets",
  own: { path: "/api/v2/ticket_fields", list: "ticket_fields", prefix: "custom_fields.", by: "id" },
  fields: {
    ...common,
    subject: "string",
    "comment.body": "string",
    "comment.html_body": "string",
    "comment.public": "boolean",
    "comment.author_id": "number",
    "requester.name": "string",
    "requester.email": "string",
    requester_id: "number",
    submitter_id: "number",
    assignee_id: "number",
    assignee_email: "string",
    group_id: "number",
    organization_id: "number",
    brand_id: "number",
    ticket_form_id: "number",
    problem_id: "number",
    custom_status_id: "number",
    priority: "enum",
    status: "enum",
    type: "enum",
    due_at: "datetime",
  },
  required: [],
  notCleared: [
    "status",
    "comment.body",
    "comment.html_body",
    "comment.public",
    "comment.author_id",
    "requester.name",
    "requester.email",
    "requester_id",
  ],
  upsertBy: [],
};

const OWN_TYPES: Readonly<Record<string, Type>> = {
  text: "string",
  textarea: "string",
  regexp: "string",
  partialcreditcard: "string",
  checkbox: "boolean",
  integer: "number",
  decimal: "number",
  lookup: "number",
  date: "date",
  dropdown: "enum",
  tagger: "enum",
  multiselect: "array",
};

/** Zendesk ignores names that it does not know, so that none but these are let through. */
export async function fieldsOf(kind: Kind, { target }: Place, session: Session): Promise<VendorFields> {
  checkMatch(kind, target);
  const unique = target.mode === "upsert" || target.mode === "mirror" ? kind.upsertBy : ["external_id", "id"];
  const standard = Object.entries(kind.fields).map(([name, type]): VendorField => {
    const required = kind.required.includes(name);
    return {
      name,
      type,
      required,
      clearable: !required && !kind.notCleared.includes(name),
      unique: unique.includes(name),
    };
  });
  // It is mapped to find records, and never written.
  const id: VendorField = {
    name: "id",
    type: "number",
    unique: unique.includes("id"),
    readOnly: !target.match.includes("id"),
  };
  return { fields: [...standard, id, ...(await ownFields(kind, session))], open: false };
}

async function ownFields({ own }: Kind, session: Session): Promise<VendorField[]> {
  const fields: VendorField[] = [];
  for (let after: string | undefined = ""; after !== undefined;) {
    const page = after === "" ? "" : `&page[after]=${encodeURIComponent(after)}`;
    const body = (await session.request({ method: "GET", path: `${own.path}?page[size]=100${page}` })).object();
    for (const field of memberList(body, own.list)) {
      const name = memberText(field, own.by);
      const type = OWN_TYPES[memberText(field, "type") ?? ""];
      // Of tickets the list has the standard ones too, which have types of their own.
      if (name !== undefined && (type !== undefined || own.by === "key"))
        fields.push({ name: own.prefix + name, type: type ?? "any" });
    }
    const meta = member(body, "meta");
    after = member(meta, "has_more") === true ? memberText(meta, "after_cursor") : undefined;
  }
  return fields;
}

/** @throws TailraceError `destination.config`: what is searched for by address is found late, so that nothing may hang on its not being there. */
export function checkMatch({ plural }: Kind, { mode, match, onDelete }: Place["target"]): void {
  const [by] = match;
  if (by !== "email") return;
  if (mode === "update" || (mode === "mirror" && onDelete.kind !== "ignore"))
    throw new TailraceError(
      "destination.config",
      `Zendesk ${plural}: \`match: email\` can only create and update; for mode \`update\` and for what is deleted set \`match: external_id\``,
    );
}
