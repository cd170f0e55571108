import { bearer } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { catalogFields, catalogOperations } from "./catalogs.ts";
import { errors } from "./errors.ts";
import { EVENT_FIELDS, PURCHASE_FIELDS, happenings } from "./happenings.ts";
import { options, originOf, settings } from "./settings.ts";
import { userFields, userOperations } from "./users.ts";

export default defineVendor({
  type: "braze",
  title: "Braze",
  settings,
  sync: options,
  origin: originOf,
  auth: ({ key }, context) => bearer(context.secret(key, "key")),
  limits: { rows: 75, bytes: 3_500_000, concurrency: 8, perSecond: 250 },
  errors,
  // Of nothing, nothing is tracked: a key that is none is refused before that is.
  ping: async (session) =>
    void (await session.request({ method: "POST", path: "/users/track", body: "{}", accept: [400] })),
  objects: [
    {
      name: "users",
      modes: ["upsert", "mirror", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "`external_id`, `braze_id`, `email`, `phone`, or `[alias_name, alias_label]`",
      matchFields: 2,
      batch: "75 rows a request; 50 to delete",
      fields: userFields,
      operations: userOperations,
    },
    {
      name: "events",
      modes: ["event"],
      deletes: [],
      match: "none is needed",
      batch: "75 rows a request",
      fields: () => ({ fields: EVENT_FIELDS, open: true }),
      operations: () => happenings("events", EVENT_FIELDS),
    },
    {
      name: "purchases",
      modes: ["event"],
      deletes: [],
      match: "none is needed",
      batch: "75 rows a request",
      fields: () => ({ fields: PURCHASE_FIELDS, open: true }),
      operations: () => happenings("purchases", PURCHASE_FIELDS),
    },
    {
      name: "catalogs/NAME",
      accepts: (name) => /^catalogs\/[\w-]+$/.test(name),
      modes: ["upsert", "mirror", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "`id`",
      batch: "50 rows a request",
      fields: catalogFields,
      operations: catalogOperations,
    },
  ],
  guide: {
    summary: "Users with their attributes, events, purchases and the items of catalogs in Braze.",
    credentials: `1. In Braze: Settings → APIs and Identifiers → API keys → Create API key.
2. Permissions: \`users.track\` in any case (\`check\` asks by it, and changes nothing); \`users.delete\` for \`on_delete: delete\`; for catalogs
   \`catalogs.get\`, \`catalogs.replace_items\`, \`catalogs.update_items\`, \`catalogs.delete_items\`.
3. Put the key where \`\${BRAZE_KEY}\` is read from. \`instance\` is in the address of your dashboard: \`dashboard-03.braze.com\` is \`us-03\`,
   \`dashboard-01.braze.eu\` is \`eu-01\`.`,
    example: `destinations:
  engage:
    type: braze
    instance: us-03
    key: \${BRAZE_KEY}
syncs:
  users_to_braze:
    model: users
    destination: engage
    object: users
    mode: mirror
    match: external_id
    map:
      external_id: id
      email: email
      first_name: first_name
      plan: plan                    # a custom attribute
  orders_to_braze:
    model: orders
    destination: engage
    object: events
    mode: event
    map:
      external_id: user_id
      name: { value: ordered }
      time: ordered_at
      total: total                  # a property of the event
  products_to_catalog:
    model: products
    destination: engage
    object: catalogs/products
    mode: mirror
    match: id
    map: { id: sku, Name: name, Price: price }`,
    limits: `75 users, events or purchases a request; 50 to be deleted; 50 items of a catalog. 250 requests a second unless \`rate\` says otherwise
(Braze takes 3,000 in three seconds, less by some contracts); when it is too much, \`X-RateLimit-Reset\` says until when to wait.`,
    notes: `- Each attribute that is sent is a data point of your contract. Rows that do not change are not sent.
- A null empties an attribute. Identifiers that are null are left out. Attributes that are not there are made: a misspelt one, too.
- Braze takes users in, and works them off afterwards: what it refuses then, it tells nobody. What it refuses at once it names row by row.
- \`match: email\` or \`phone\` finds one of several users who share it; deleted is the one that was updated last. \`braze_id\` makes no users.
- \`on_delete: delete\` cannot be undone. Braze queues it, and is done within minutes.
- In mode \`update\`, and for \`archive\` and \`clear\`, users and items that are not there are left alone.
- \`events\` and \`purchases\` are of the user that \`external_id\`, \`braze_id\`, \`email\`, \`phone\` or an alias names. \`time\` must be mapped. What is not
  Braze's own name is a property. Braze does not drop repeats: an event whose answer was lost is there twice.
- \`catalogs/NAME\`: the catalog and its fields must be there. A row that is whole replaces the item, and fields of it that are not mapped are
  emptied; a row of which the source sent only a part edits the item, which must be there.
- Not covered: messages, subscription groups by their own endpoint, merging and identifying users, \`/users/track/bulk\` (a closed beta).`,
  },
});
