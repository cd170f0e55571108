import { basic } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { EVENT_ROWS, eventFields, events } from "./events.ts";
import { PROFILE_ROWS, profileFields, profiles } from "./profiles.ts";
import { options, settings } from "./settings.ts";

const ORIGINS = {
  us: "https://api.mixpanel.com",
  eu: "https://api-eu.mixpanel.com",
  in: "https://api-in.mixpanel.com",
};

export default defineVendor({
  type: "mixpanel",
  title: "Mixpanel",
  settings,
  sync: options,
  origin: ({ region }) => ORIGINS[region],
  auth: ({ service_account: user, secret }, context) => basic(user, context.secret(secret, "secret")),
  // Mixpanel takes 2 MB; what stands around a row's values is not counted in what a row takes.
  limits: { rows: EVENT_ROWS, bytes: 1_500_000, concurrency: 10, perSecond: null },
  idempotencyKey: true,
  errors: {},
  async ping(session, { project_id: project }) {
    await session.request({ method: "GET", path: `/lookup-tables?project_id=${project}` });
  },
  objects: [
    {
      name: "events",
      modes: ["event", "insert"],
      deletes: [],
      match: "nothing: every row is an event of its own",
      batch: `${EVENT_ROWS} rows a request`,
      fields: eventFields,
      operations: events,
    },
    {
      name: "users",
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "`distinct_id`",
      batch: `${PROFILE_ROWS} rows a request`,
      fields: profileFields,
      operations: profiles,
    },
    {
      name: "groups/KEY",
      accepts: (name) => /^groups\/./.test(name),
      modes: ["upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "`group_id`",
      batch: `${PROFILE_ROWS} rows a request`,
      fields: profileFields,
      operations: profiles,
    },
  ],
  guide: {
    summary: "Events, and the profiles of users and groups, in Mixpanel.",
    credentials: `1. In Mixpanel: Settings → Organization Settings → Service Accounts → Add Service Account, with the role Admin or Owner in the project.
2. Put its secret, which is shown once, where \`\${MIXPANEL_SECRET}\` is read from; its user name is \`service_account\`.
3. Settings → Project Settings → Overview: the Project ID, the Project Token (for profiles), and where the data is (\`region\`).`,
    example: `destinations:
  product:
    type: mixpanel
    project_id: "1234567"
    service_account: tailrace.a1b2c3.mp-service-account
    secret: \${MIXPANEL_SECRET}
    project_token: 0123456789abcdef0123456789abcdef
    region: eu
syncs:
  orders_to_events:
    model: orders
    destination: product
    object: events
    mode: event
    on: [insert]
    map:
      distinct_id: user_id
      time: ordered_at
      total: total
    options: { event: Order placed }
  users_to_profiles:
    model: users
    destination: product
    object: users
    mode: mirror
    match: distinct_id
    map: { distinct_id: id, $email: email, $name: name, plan: plan }
  accounts_to_groups:
    model: accounts
    destination: product
    object: groups/company          # the group key of Project Settings
    mode: mirror
    match: group_id
    map: { group_id: id, $name: name, seats: seats }`,
    limits: `2,000 events or updates of profiles a request, and 2 MB; ten requests at a time. A row that is both set and emptied is two updates, so a request
has 1,000 rows. Mixpanel takes about 30,000 events a second and answers 429 beyond that, which slows down what is sent.`,
    notes: `- Events are imported with \`strict=1\`: each is taken, or is a failure with Mixpanel's reason (an unusable \`distinct_id\` such as \`null\`, a time before
  1971 or in the future, more than 255 properties). Each has an \`$insert_id\` made of its place in the source's log, by which Mixpanel drops repeats.
- An event's time is the field \`time\`, else the time of the change. Map \`time\` when the rows that exist are sent too: of those no change is known, and
  Mixpanel refuses an event without a time.
- A null in an event is a property without a value. In a profile it removes the property (\`$unset\`).
- Columns with a time of day are sent as ISO 8601.
- Mixpanel answers the updates of profiles together unless it names those that failed, and does not look at \`project_token\`: with another project's
  token the profiles go there.
- \`on_delete: delete\` deletes the profile; the user's events stay.
- Mixpanel's own properties begin with \`$\`: \`$email\`, \`$name\`, \`$avatar\`.
- Not covered: set once, add, append and union, lookup tables, identity merging, archiving and clearing of profiles.`,
  },
});
