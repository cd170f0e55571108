import { bearer } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { COMPANY, customFields } from "./attributes.ts";
import { companies } from "./companies.ts";
import { contactFields, contacts } from "./contacts.ts";
import { errors } from "./errors.ts";
import { eventFields, events } from "./events.ts";
import { options, settings } from "./settings.ts";

const HOSTS = { us: "https://api.intercom.io", eu: "https://api.eu.intercom.io", au: "https://api.au.intercom.io" };
const EACH = "one row a request";

export default defineVendor({
  type: "intercom",
  title: "Intercom",
  settings,
  sync: options,
  origin: ({ region }) => HOSTS[region],
  auth: ({ access_token }, context) => bearer(context.secret(access_token, "access_token")),
  headers: () => ({ "intercom-version": "2.14" }),
  // 10,000 requests a minute, told in windows of ten seconds.
  limits: { rows: 1, bytes: 1_000_000, concurrency: 16, perSecond: 160 },
  errors,
  ping: async (session) => void (await session.request({ method: "GET", path: "/me" })),
  objects: [
    {
      name: "contacts",
      modes: ["upsert", "mirror", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "`external_id`, or `id`; `email` where nothing is removed",
      batch: EACH,
      fields: contactFields,
      operations: contacts,
    },
    {
      name: "companies",
      modes: ["upsert", "mirror", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "`company_id`",
      batch: EACH,
      fields: async (_place, session) => ({
        fields: [...COMPANY, ...(await customFields("company", session))],
        open: false,
      }),
      operations: companies,
    },
    {
      name: "events",
      modes: ["event"],
      deletes: [],
      match: "the contact's `external_id`, `email` or `id`",
      batch: EACH,
      fields: eventFields,
      operations: events,
    },
  ],
  guide: {
    summary: "Contacts, companies and data events in Intercom.",
    credentials: `1. In Intercom's Developer Hub: New app, in the workspace that is to be written; then Configure → Authentication → Access token.
2. Permissions: read and write users and companies, read and list data attributes, write events.
3. Put the token where \`\${INTERCOM_TOKEN}\` is read from. \`region: eu\` or \`au\` for a workspace that is hosted there.`,
    example: `destinations:
  support:
    type: intercom
    access_token: \${INTERCOM_TOKEN}
syncs:
  accounts_to_companies:
    model: accounts
    destination: support
    object: companies
    mode: mirror
    match: company_id
    map: { company_id: id, name: name, plan: plan }
  users_to_contacts:
    model: users
    destination: support
    object: contacts
    mode: mirror
    match: external_id
    map:
      external_id: id
      email: email
      name: full_name
      signed_up_at: created_at
      seats: seats                  # an attribute that you made
      company: account_id
    options: { company: company, removed: archive }
  orders_to_events:
    model: orders
    destination: support
    object: events
    mode: event
    on: [insert]
    match: external_id
    map: { external_id: user_id, total: total }
    options: { event: placed-order }`,
    limits: `Intercom has no batches for these: a request a row, and one more to find a contact that is not known yet; ids are remembered. 160 requests a
second of the 10,000 a minute that an app has by default, 16 at a time. A 429 is waited for until \`X-RateLimit-Reset\`.`,
    notes: `- Attributes of your own have to be made in Intercom first (Settings → Data); \`check\` compares names and types.
- A null empties the attribute. Times are sent in seconds; Intercom takes an attribute for a date when its name ends with \`_at\`.
- A contact that is made is a user, unless \`role\` is mapped. One whose e-mail address another contact has is a failure (\`conflict\`).
- \`match: email\` can make and write contacts, and not remove them: Intercom's search may not know a contact for minutes. \`match: id\` never creates.
- With \`options: { removed: archive }\` a contact whose row is gone is archived, and comes back with its row. \`on_delete: archive\` is something else: it
  writes fields that you choose. A contact that is not known yet takes one more request then.
- In mode \`update\`, and for \`archive\` and \`clear\`, records that are not there are left alone.
- A contact is attached to its company with each write, and tried again up to \`attempts\` while the company is not there. It is not detached.
- A company is seen in Intercom once a contact is attached to it. Deleting it leaves its contacts.
- Intercom tells events apart by contact, name and second: a second event of that name for the same contact in the same second is dropped by it. An event
  whose contact is not there is tried again, up to \`attempts\`. At most 10 metadata.
- Not covered: leads beyond \`role: lead\`, tags, notes, conversations, custom objects.`,
  },
});
