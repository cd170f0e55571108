import { apiKey } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { errors } from "./errors.ts";
import { EVENT_FIELDS, eventOperations } from "./events.ts";
import { JSON_API } from "./import-job.ts";
import { PROFILE_FIELDS } from "./profile-text.ts";
import { listOperations, profileOperations } from "./profiles.ts";
import { options, settings } from "./settings.ts";
import { SUBSCRIPTION_FIELDS, subscriptionOperations } from "./subscriptions.ts";

const PROFILES = { fields: () => ({ fields: PROFILE_FIELDS, open: true }) };

export default defineVendor({
  type: "klaviyo",
  title: "Klaviyo",
  settings,
  sync: options,
  origin: () => "https://a.klaviyo.com",
  auth: ({ key }, context) => apiKey("authorization", context.secret(key, "key"), "Klaviyo-API-Key "),
  headers: () => ({ revision: "2026-07-15", accept: JSON_API }),
  limits: { rows: 10_000, bytes: 4_500_000, concurrency: 4, perSecond: 10 },
  errors,
  idempotencyKey: true,
  // A key without the scope for accounts is a key all the same.
  ping: async (session) => void (await session.request({ method: "GET", path: "/api/accounts", accept: [403] })),
  objects: [
    {
      ...PROFILES,
      name: "profiles",
      modes: ["upsert", "mirror", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "`email`, `phone_number`, `external_id` or `id`",
      batch: "10,000 rows a job; up to 5 rows: one a request, at once",
      operations: profileOperations,
    },
    {
      ...PROFILES,
      name: "lists/ID",
      accepts: (name) => /^lists\/\w+$/.test(name),
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "`email`, `phone_number`, `external_id` or `id`",
      batch: "10,000 rows a job; up to 5 rows: one a request, at once; 1,000 that leave the list",
      operations: listOperations,
    },
    {
      name: "subscriptions/ID",
      accepts: (name) => /^subscriptions\/\w+$/.test(name),
      modes: ["insert"],
      deletes: [],
      match: "none is needed",
      batch: "1,000 rows a request",
      fields: () => ({ fields: SUBSCRIPTION_FIELDS, open: false }),
      operations: subscriptionOperations,
    },
    {
      name: "events",
      modes: ["event"],
      deletes: [],
      match: "none is needed",
      batch: "1,000 rows a request",
      fields: () => ({ fields: EVENT_FIELDS, open: true }),
      operations: eventOperations,
    },
  ],
  guide: {
    summary: "Profiles, members of lists, consents to marketing, and events in Klaviyo.",
    credentials: `1. In Klaviyo: your account's name → Settings → API keys → Create Private API Key.
2. Access, for each object that you sync: \`profiles\` full; \`lists\` full (also for profiles: jobs are read by it); \`events\` full;
   \`subscriptions\` full; \`data-privacy\` full for \`on_delete: delete\` of profiles. \`accounts\` read lets \`check\` say more.
3. Put the key (\`pk_…\`) where \`\${KLAVIYO_KEY}\` is read from. A list's id is in its address: \`klaviyo.com/list/ID/…\`.`,
    example: `destinations:
  mail:
    type: klaviyo
    key: \${KLAVIYO_KEY}
syncs:
  users_to_profiles:
    model: users
    destination: mail
    object: profiles
    mode: mirror
    on_delete: ignore
    match: email
    map:
      email: email
      first_name: first_name
      location.city: city
      plan: plan                    # a custom property
  trials_to_list:
    model: trial_users
    destination: mail
    object: lists/Y6nRLr
    mode: mirror                    # who is no trial user any more leaves the list
    match: email
    map: { email: email }
  orders_to_events:
    model: orders
    destination: mail
    object: events
    mode: event
    map:
      metric: { value: Ordered }
      email: email
      value: total
      time: ordered_at
      sku: sku                      # a property of the event`,
    limits: `10 requests a second, which is the burst of most of Klaviyo's endpoints; their limits a minute (150 for jobs, lists and events) are waited
for as Klaviyo says. A job has at most 10,000 profiles and 5 MB, a profile 100 KB. Profiles are deleted one a request, 60 a minute.`,
    notes: `- Up to 5 rows are sent one by one and are there at once. More become an import job, whose errors are read row by row; Klaviyo takes seconds to
  minutes for it, and nothing newer of these rows is sent in the meantime.
- A null empties a field of Klaviyo's own, and removes a custom property. Klaviyo describes this for single profiles; for jobs it says nothing else.
- Custom properties are made by their first value: a misspelt one is made, too.
- \`on_delete: delete\` of profiles is Klaviyo's deletion for privacy: the person is forgotten for good, with all events. It is done in Klaviyo's own
  time after it has been asked for, and there is no way to see when; a row that comes back in between may be deleted with the old one.
- \`lists/ID\`: a row that is gone leaves the list, and its profile stays. Being on a list is not a consent.
- \`subscriptions/ID\` gives consent (e-mail where \`email\` has a value, text messages where \`phone_number\` has) and adds to the list, once for each
  new row, also for those that a backfill reads. It undoes an earlier unsubscription, and is therefore never done again for rows that change.
  With \`consented_at\` it is a consent of before: nobody is asked to confirm it. Unsubscribing is not covered.
- \`events\`: \`metric\` is its name; one of \`email\`, \`phone_number\`, \`external_id\`, \`anonymous_id\`, \`profile_id\` says whose it is. What is not one of
  Klaviyo's own names is a property. Repeats are dropped by \`unique_id\`, which is the delivery's own unless mapped. \`time\` is the
  time of the commit unless mapped. Events of a backfill set off no flows (\`backfill: true\`).
- A job whose answer was lost is submitted again; Klaviyo has no way to say that it is the same. Both write the same.
- Not covered: catalogs, coupons, push tokens, appending to list properties, OAuth apps.`,
  },
});
