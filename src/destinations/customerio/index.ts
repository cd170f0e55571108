import { TailraceError } from "../../contracts/errors.ts";
import { basic } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import type { VendorField } from "../../kit/vendor/definition.ts";
import { events, objects, people, relationships } from "./entities.ts";
import { objectPlace, personFields, personPlace } from "./identifiers.ts";
import { options, settings } from "./settings.ts";

const OBJECT_ID: VendorField = { name: "object_id", type: "string", unique: true };
const BATCH = "1000 rows a request, of every operation";

export default defineVendor({
  type: "customerio",
  title: "Customer.io",
  settings,
  sync: options,
  origin: ({ region }) => (region === "eu" ? "https://track-eu.customer.io" : "https://track.customer.io"),
  auth: ({ site_id, api_key }, context) => basic(site_id, context.secret(api_key, "api_key")),
  idempotencyKey: true,
  // Customer.io takes 500 KB; the items' own words are not counted in what a row takes.
  limits: { rows: 1000, bytes: 400_000, concurrency: 8, perSecond: 100 },
  errors: {
    codes: (body) => memberList(body, "errors").flatMap((error) => memberText(error, "reason") ?? []),
  },
  async ping(session, { region }) {
    const answer = await session.request({ method: "GET", path: "/api/v1/accounts/region" });
    const theirs = memberText(answer.object(), "region");
    if (theirs !== undefined && theirs !== region)
      throw new TailraceError("destination.config", `The account's region is another one: set \`region: ${theirs}\``);
  },
  objects: [
    {
      name: "people",
      modes: ["upsert", "mirror", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "`id`, `email`, `phone` or `cio_id`",
      batch: BATCH,
      fields({ target }) {
        personPlace(target);
        return { fields: personFields(target), open: true };
      },
      operations: people,
    },
    {
      name: "events",
      modes: ["event"],
      deletes: [],
      match: "the person's `id`, `email`, `phone` or `cio_id`",
      batch: BATCH,
      fields({ target, options: { event } }) {
        personPlace(target);
        const name: VendorField = { name: "name", type: "string", required: event === undefined };
        const time: VendorField = { name: "timestamp", type: "datetime" };
        return { fields: [...personFields(target), name, time], open: true };
      },
      operations: events,
    },
    {
      name: "relationships/1, relationships/2, …",
      accepts: (name) => /^relationships\/[1-9]\d*$/.test(name),
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "the person's `id`, `email`, `phone` or `cio_id`, and `object_id`",
      matchFields: 2,
      batch: BATCH,
      fields({ target }) {
        personPlace(target);
        objectPlace(target);
        return { fields: [...personFields(target), OBJECT_ID], open: true };
      },
      operations: relationships,
    },
    {
      name: "objects/1, objects/2, …",
      accepts: (name) => /^objects\/[1-9]\d*$/.test(name),
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "`object_id`, or `cio_object_id` of objects that are there",
      batch: BATCH,
      fields: ({ target }) => ({
        fields: [
          OBJECT_ID,
          { name: "cio_object_id", type: "string", unique: true, readOnly: !target.match.includes("cio_object_id") },
        ],
        open: true,
      }),
      operations: objects,
    },
  ],
  guide: {
    summary: "People, their events, objects and the relationships between them, in Customer.io Journeys.",
    credentials: `1. In Customer.io: Settings → Account settings → API credentials → Track API keys → Create Track API key, for the workspace that is to be written.
2. Put its API key where \`\${CUSTOMERIO_API_KEY}\` is read from; the Site ID beside it is no secret.
3. \`region: eu\` where the account's data is in the EU; \`tailrace check\` says so.`,
    example: `destinations:
  journeys:
    type: customerio
    site_id: 0123456789abcdef0123
    api_key: \${CUSTOMERIO_API_KEY}
    region: eu
syncs:
  users_to_people:
    model: users
    destination: journeys
    object: people
    mode: mirror
    match: id
    map:
      id: id
      email: email
      plan: plan
      created_at: created_at
  orders_to_events:
    model: orders
    destination: journeys
    object: events
    mode: event
    on: [insert]
    match: id
    map:
      id: user_id
      total: total
    options: { event: order placed }
  accounts_to_objects:
    model: accounts
    destination: journeys
    object: objects/1               # the number of the object type
    mode: mirror
    match: object_id
    map: { object_id: id, name: name }
  members_to_relationships:
    model: members                  # its key: user_id, account_id
    destination: journeys
    object: relationships/1
    mode: mirror
    map: { id: user_id, object_id: account_id, role: role }`,
    limits: `1,000 rows and 500 KB a request, 32 KB for one person, object or event; 100 requests a second (Customer.io's fair use), 8 at a time.
A larger row is a failure before it is sent.`,
    notes: `- Customer.io accepts requests and works through them in its own time. What it refuses at once (a name, an identifier, a size) is a failure of that
  row; what it drops later (a suppressed person, an identifier that another person has, an attribute that has another type) is only in its activity log.
- A null removes the attribute. So does an empty text, for objects and relationships by Customer.io's description: they are the same there.
- Columns with a time of day are sent as seconds since the epoch, which is what Customer.io's conditions take for a time; a template
  sends any other form. Dates are sent as they are.
- In mode \`update\`, and for \`archive\` and \`clear\`, people who are not there are left alone. \`match: cio_id\` and \`cio_object_id\` never create.
- Each event has an id made of its place in the source's log, by which Customer.io drops repeats. Its time is the field \`timestamp\`, else the time
  of the change.
- A relationship's row has both identifiers as its key: when either changes, the old relationship is removed. Attributes of the relationship
  are the other fields.
- E-mail addresses that differ only in case are one person. Whether \`email\` and \`phone\` identify people is a setting of the workspace.
- Not covered: devices, merging, suppressing, pages and screens (send them as events), anonymous events.`,
  },
});
