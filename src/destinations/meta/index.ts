import { bearer } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { errors } from "./errors.ts";
import { EVENT_ROWS, eventFields, events } from "./events.ts";
import { options, settings } from "./settings.ts";

export default defineVendor({
  type: "meta",
  title: "Meta",
  settings,
  sync: options,
  origin: () => "https://graph.facebook.com",
  auth: ({ access_token: token }, context) => bearer(context.secret(token, "access_token")),
  limits: { rows: EVENT_ROWS, bytes: 2_000_000, concurrency: 4, perSecond: null },
  idempotencyKey: true,
  errors,
  // What a token made in Events Manager may see of the pixel itself is not sure.
  async ping(session, { version }) {
    await session.request({ method: "GET", path: `/${version}/me?fields=id` });
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
  ],
  guide: {
    summary: "Conversion events for Facebook and Instagram ads, through the Conversions API.",
    credentials: `1. In Meta's Events Manager: Data sources → your pixel (dataset) → Settings. Its id is \`pixel_id\`.
2. There, under Conversions API → Set up manually, Generate access token. Meta makes a system user for it; put the token, which is shown once,
   where \`\${META_TOKEN}\` is read from. A system user of your own that may manage the dataset works too.
3. Events Manager → Test events shows a code; with \`options: { test_event_code: TEST12345 }\` events are seen there and count nowhere else.`,
    example: `destinations:
  ads:
    type: meta
    pixel_id: "1234567890"
    access_token: \${META_TOKEN}
syncs:
  orders_to_purchases:
    model: orders
    destination: ads
    object: events
    mode: event
    on: [insert]
    match: event_id
    map:
      event_id: checkout_id           # the eventID that the pixel in the browser sends, too
      event_time: paid_at
      em: email
      ph: phone
      external_id: user_id
      client_user_agent: user_agent
      event_source_url: page_url
      custom_data.value: total
      custom_data.currency: currency
    options: { event: Purchase, action_source: website }`,
    limits: `1,000 events a request, which is taken or refused as a whole. Meta names no number of requests; once it answers that there are too many (4, 17,
32, 613, 80004 …) it is waited for as long as \`X-Business-Use-Case-Usage\` or \`X-Ad-Account-Usage\` say.`,
    notes: `- **Hashing.** \`em\`, \`ph\`, \`fn\`, \`ln\`, \`ct\`, \`st\`, \`zp\`, \`country\`, \`db\`, \`ge\` and \`external_id\` are normalised by Meta's rules and sent as
  SHA-256; nothing of them leaves unhashed. What is a SHA-256 already (64 hexadecimal digits) is sent as it is. Lists send each of their items. \`ph\`
  needs its country code, \`country\` and US \`st\` are codes of two letters, \`db\` is a date. \`external_id\` is only trimmed: have it as the pixel has it.
  What is empty after normalising, or null, is left out. The other fields of \`user_data\` (\`client_ip_address\`, \`fbc\`, \`fbp\`, \`lead_id\` …) are sent plainly.
- **Repeats.** An event has the delivery's id as \`event_id\` unless one is mapped, so that Meta drops what is sent again, for 48 hours. Map the
  id that your pixel sends as \`eventID\` and the browser's event and this one are one.
- **Time.** \`event_time\`, else when the change was committed. Meta refuses events of more than 7 days ago (62 for \`physical_store\`): these rows
  become failures to look at. Of rows that exist already no change is known: map \`event_time\`, or have no backfill.
- **Consent.** Leave out those who have not agreed, in the model. \`opt_out\`, \`data_processing_options\` (\`LDU\`) with its country and state are fields;
  \`options: { limited_data_use: {} }\` says it of every event. An empty text in \`data_processing_options\` is an empty list.
- Of a request with a wrong event Meta takes none; it is halved until that event is found, and the others are delivered.
- For \`website\`, Meta wants \`client_user_agent\` and \`event_source_url\` too. An event without anything of a user is refused.
- \`check\` looks at the token, not at whether it may write to the pixel: that is said when the first events are refused, and the sync then waits.
- Everything of your own is named \`custom_data.NAME\`, so that a misspelt \`em\` is an error at \`check\` and not an address that is sent unhashed.
- Not covered: app events (\`app_data\`), \`original_event_data\`, custom audiences.`,
  },
});
