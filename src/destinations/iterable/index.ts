import { apiKey } from "../../kit/vendor/auth/static.ts";
import type { VendorField } from "../../kit/vendor/definition.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { catalogFields, catalogs } from "./catalogs.ts";
import { errors } from "./errors.ts";
import { events } from "./events.ts";
import { options, settings } from "./settings.ts";
import { userBy, userFields, users } from "./users.ts";

export default defineVendor({
  type: "iterable",
  title: "Iterable",
  settings,
  sync: options,
  origin: ({ region }) => (region === "eu" ? "https://api.eu.iterable.com" : "https://api.iterable.com"),
  auth: ({ api_key }, context) => apiKey("api-key", context.secret(api_key, "api_key")),
  idempotencyKey: true,
  // Of bulk updates of users: 4 MB, 5 requests a second.
  limits: { rows: 1000, bytes: 3_000_000, concurrency: 4, perSecond: 5 },
  errors,
  ping: async (session) => void (await session.request({ method: "GET", path: "/api/channels" })),
  objects: [
    {
      name: "users",
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "`email` or `userId`, as the project does",
      batch: "1000 rows a request; a request for each that is deleted",
      fields: userFields,
      operations: users,
    },
    {
      name: "events",
      modes: ["event"],
      deletes: [],
      match: "the user's `email` or `userId`",
      batch: "1000 rows a request",
      fields({ target, options: { event } }) {
        const by = userBy(target);
        const fields: VendorField[] = [
          { name: by, type: "string" },
          { name: "eventName", type: "string", required: event === undefined },
          { name: "createdAt", type: "datetime" },
        ];
        return { fields, open: true };
      },
      operations: events,
    },
    {
      name: "catalogs/NAME",
      accepts: (name) => /^catalogs\/[A-Za-z0-9-]{1,255}$/.test(name),
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "the field that is to be the item's id",
      batch: "1000 rows a request",
      fields: catalogFields,
      operations: catalogs,
    },
  ],
  guide: {
    summary: "Users, custom events and catalogs of an Iterable project.",
    credentials: `1. In Iterable: Integrations → API Keys → New API key, of type Server-side, in the project that is to be written.
2. Put the key where \`\${ITERABLE_API_KEY}\` is read from. It is shown once.
3. \`region: eu\` for a project in the European data center (\`app.eu.iterable.com\`).`,
    example: `destinations:
  iterable:
    type: iterable
    api_key: \${ITERABLE_API_KEY}
syncs:
  users_to_iterable:
    model: users
    destination: iterable
    object: users
    mode: mirror
    match: email                    # userId in a project that identifies users by id
    map:
      email: email
      firstName: first_name
      plan: plan
      lastSeen: last_seen
  orders_to_events:
    model: orders
    destination: iterable
    object: events
    mode: event
    on: [insert]
    match: email
    map:
      email: email
      total: total
      createdAt: ordered_at
    options: { event: order placed }
  products_to_catalog:
    model: products
    destination: iterable
    object: catalogs/Products
    mode: mirror
    match: sku
    map: { sku: sku, name: name, price: price }`,
    limits: `1,000 rows and 4 MB a request, 5 requests a second: what Iterable allows for bulk updates of users. It allows 10 for events and 100 for
catalogs and for deleting users, which is a request for each: a sync or a resync that does much of these can have a destination of its own with a
higher \`rate\`. A 429 slows it down by itself.`,
    notes: `- A field's type cannot be changed in Iterable. A value of another type is a failure of its row; \`check\` compares the types before.
- A field that the project does not have is refused by \`check\`; where the project drops what it does not know, the sync stops instead of losing it. With
  \`create_fields: true\` it is added.
- A null removes the value. Times are sent in milliseconds; an object or a list takes the place of the one before.
- With \`match: userId\`, also in a project whose users are known by e-mail, a user who is not there is made.
- Iterable deletes users in its own time: a user who is deleted and made again within a minute may be deleted after that.
- Each event has its place in the source's log as its id: a repeat replaces it. An event of a user who is not there yet is tried again, up to
  \`attempts\`. Events need the names of their fields to have one type each, for each event's name.
- A catalog has to be there. Its items' ids are letters, digits and dashes; an item is at most 30 KB.
- E-mail addresses are not told apart by case. \`emailListIds\` and subscriptions that are set here make no subscribe events.
- Not covered: modes \`insert\` and \`update\`, \`archive\` and \`clear\` (Iterable cannot update only users who are there), purchases, lists, merging, forgetting.`,
  },
});
