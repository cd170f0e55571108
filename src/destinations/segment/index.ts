import { TailraceError } from "../../contracts/errors.ts";
import { basic } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { memberText } from "../../kit/vendor/json.ts";
import type { VendorObject } from "../../kit/vendor/definition.ts";
import { BATCH_ROWS, fields, operations } from "./calls.ts";
import { type SegmentOptions, type SegmentSettings, options, settings } from "./settings.ts";

const call: Pick<VendorObject<SegmentSettings, SegmentOptions>, "deletes" | "batch" | "fields" | "operations"> = {
  deletes: [],
  batch: `up to ${BATCH_ROWS} rows a request`,
  fields,
  operations,
};

export default defineVendor({
  type: "segment",
  title: "Segment",
  settings,
  sync: options,
  origin: ({ region }) => (region === "eu" ? "https://events.eu1.segmentapis.com/v1" : "https://api.segment.io/v1"),
  auth: ({ write_key: key }, context) => basic(context.secret(key, "write_key"), null),
  // 500 KB a batch; what stands around a row's values is not counted in what a row takes.
  limits: { rows: BATCH_ROWS, bytes: 250_000, concurrency: 8, perSecond: 50 },
  idempotencyKey: true,
  errors: {
    codes: (body) => (/write.?key/i.test(memberText(body, "message") ?? "") ? ["write key"] : []),
    byCode: { "write key": "auth" },
  },
  async ping(session) {
    // Only a key that cannot be one is refused; an empty batch need not be to Segment's liking.
    const answer = await session.request({ method: "POST", path: "/batch", body: '{"batch":[]}', accept: [400] });
    if (answer.status === 400 && /write.?key/i.test(answer.text))
      throw new TailraceError("destination.auth", "Segment answered 400: write key");
  },
  objects: [
    { ...call, name: "track", modes: ["event", "insert"], match: "nothing: every row is an event of its own" },
    { ...call, name: "identify", modes: ["upsert"], match: "`userId` or `anonymousId`" },
    {
      ...call,
      name: "group",
      modes: ["upsert"],
      match: "`groupId`, or `groupId` and `userId` of a membership",
      matchFields: 2,
    },
  ],
  guide: {
    summary: "Events, users and groups into Segment, from where they go on to whatever is connected there.",
    credentials: `1. In Segment: Connections → Sources → Add source → HTTP API.
2. Its Settings → API Keys show the write key: put it where \`\${SEGMENT_WRITE_KEY}\` is read from.
3. \`region: eu\` where the source's Regional Settings say Dublin.
4. Send one row and look for it in the source's Debugger: **Segment answers 200 to a wrong key too**, and to the other region's.`,
    example: `destinations:
  cdp:
    type: segment
    write_key: \${SEGMENT_WRITE_KEY}
    region: eu
syncs:
  orders_to_events:
    model: orders
    destination: cdp
    object: track
    mode: event
    on: [insert]
    map:
      userId: user_id
      timestamp: ordered_at
      total: total
      currency: currency
    options: { event: Order Completed }
  users_to_identify:
    model: users
    destination: cdp
    object: identify
    mode: upsert
    match: userId
    map: { userId: id, email: email, plan: plan }
  members_to_groups:
    model: members                  # its key: account_id, user_id
    destination: cdp
    object: group
    mode: upsert
    map: { groupId: account_id, userId: user_id, name: account_name }`,
    limits: `500 KB a batch and 32 KB for each call: a larger one is a failure before it is sent. 50 requests a second, 8 at a time. Beyond 1,000 events a second
in a workspace Segment may queue.`,
    notes: `- **Segment answers 200 before it looks at what it was sent.** Delivered means that Segment has taken the request. What it is known to drop is a failure here
  instead, before it is sent: a call without \`userId\` and \`anonymousId\`, a track call without a name, a group call without \`groupId\`, more than 32 KB.
  What a tracking plan blocks, or a destination behind Segment refuses, is only seen there.
- A track call's \`messageId\` is made of its place in the source's log; Segment drops repeats by it. Identify and group
  calls tell a state, and may be repeated.
- \`timestamp\` is the field of that name, else the time of the change. \`context\` and \`integrations\` are taken as JSON; all other fields are
  properties or traits. Columns with a time of day are ISO 8601.
- A null is sent as null; what that does is for the destinations behind Segment.
- Not covered: page, screen and alias calls, deleting users (Segment's Privacy Portal), sources with OAuth.`,
  },
});
