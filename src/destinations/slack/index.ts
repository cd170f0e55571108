import { TailraceError } from "../../contracts/errors.ts";
import { bearer } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { member } from "../../kit/vendor/json.ts";
import { errors } from "./errors.ts";
import { fields, operations } from "./messages.ts";
import { options, settings } from "./settings.ts";

export default defineVendor({
  type: "slack",
  title: "Slack",
  settings,
  sync: options,
  origin: () => "https://slack.com/api",
  auth: ({ token }, context) => bearer(context.secret(token, "token")),
  // One message a second in a channel; 200 rows are the largest digest.
  limits: { rows: 200, bytes: 400_000, concurrency: 4, perSecond: 1 },
  errors,
  async ping(session) {
    const answer = await session.request({ method: "POST", path: "/auth.test" });
    if (member(answer.object(), "ok") !== true)
      throw new TailraceError("destination.unknown", "Slack's answer does not say who we are");
  },
  objects: [
    {
      name: "messages",
      modes: ["event", "insert"],
      deletes: [],
      match: "nothing: every row is a message of its own",
      batch: "a message a request, for one row or for a digest of up to 200",
      fields,
      operations,
    },
  ],
  guide: {
    summary:
      "Messages to Slack's channels and people, one for each row or a digest of several: alerts, lead routing, reports.",
    credentials: `1. At https://api.slack.com/apps: Create New App → From scratch, in your workspace.
2. OAuth & Permissions → Bot Token Scopes: \`chat:write\`; \`chat:write.public\` to write to public channels that the app is not in;
   \`chat:write.customize\` for \`username\`, \`icon_emoji\` and \`icon_url\`.
3. Install to Workspace, and put the Bot User OAuth Token (\`xoxb-…\`) where \`\${SLACK_TOKEN}\` is read from.
4. In each private channel: \`/invite @your-app\`.`,
    example: `destinations:
  team:
    type: slack
    token: \${SLACK_TOKEN}
syncs:
  big_orders_to_sales:
    model: orders
    destination: team
    mode: event
    on: [insert]
    where: total > 10000
    backfill: false
    map:
      channel: region_channel       # a channel's id, from the row
      text: { template: "New order {{ id }}: {{ total }}" }
      blocks:
        as: json
        template: >-
          [{"type": "section", "text": {"type": "plain_text", "text": {{ summary | json }}}}]
  signups_digest:
    model: users
    destination: team
    mode: event
    on: [insert]
    backfill: false
    batch: { age: 5m }
    map:
      text: email
    options:
      channel: C0123456789
      digest: { title: "*New sign-ups*" }`,
    limits: `One request a second unless \`rate\` says otherwise: Slack takes about one message a second in a channel, with short bursts, and more over
several channels. \`Retry-After\` is kept to. A text of more than 40,000 characters, which Slack would cut off, is refused (a digest is split);
so is a message of more than 50 blocks, by Slack.`,
    notes: `- Fields are those of \`chat.postMessage\`: \`channel\`, \`text\`, \`blocks\`, \`attachments\`, \`thread_ts\`, \`reply_broadcast\`, \`username\`, \`icon_emoji\`,
  \`icon_url\`, \`mrkdwn\`, \`unfurl_links\`, \`unfurl_media\`. A null is left out.
- A column as \`text\` is shown as it is: \`&\`, \`<\` and \`>\` are escaped, so that nobody's name calls \`<!channel>\`. A template is Slack's markup:
  escape what others wrote in it with \`{{ name | replace: "&", "&amp;" | replace: "<", "&lt;" | replace: ">", "&gt;" }}\`.
- In \`blocks\`, write texts with the filter \`json\`, and \`as: json\`: else a quotation mark ends the block. Text of kind \`plain_text\` needs no escaping.
- Slack has no key that would drop a repeat: a message whose answer was lost is sent again, and can be there twice.
- A channel that is not there is a failure of the row when the row names it, and stops the sync when \`options.channel\` does.
- \`backfill: false\` keeps the rows that exist from being told.
- In a digest, an update and a delete are lines like any other: \`on\` says which there are.
- Not covered: changing and deleting messages, files, scheduled messages, incoming webhooks (use the destination \`webhook\`).`,
  },
});
