import { bearer } from "../../kit/vendor/auth/static.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import { MOST_MAILS, fields, operations } from "./mails.ts";
import { options, settings } from "./settings.ts";

/** What is wrong for every mail of the sync, in SendGrid's words: its names of fields hold no values. */
const OF_THE_SYNC = /^(from|reply_to|template_id|categories|asm|ip_pool_name|mail_settings)\b/;

export default defineVendor({
  type: "sendgrid",
  title: "SendGrid",
  settings,
  sync: options,
  origin: ({ region }) => (region === "eu" ? "https://api.eu.sendgrid.com" : "https://api.sendgrid.com"),
  auth: ({ api_key: key }, context) => bearer(context.secret(key, "api_key")),
  // SendGrid takes 20 MB with attachments; what stands around a row's values is not counted in what a row takes.
  limits: { rows: MOST_MAILS, bytes: 11_000_000, concurrency: 8, perSecond: null },
  errors: {
    codes: (body) =>
      memberList(body, "errors").flatMap((error) => {
        const [root] = OF_THE_SYNC.exec(memberText(error, "field") ?? "") ?? [];
        return root === undefined ? [] : [root];
      }),
    byCode: {
      from: "config",
      reply_to: "config",
      categories: "config",
      asm: "config",
      ip_pool_name: "config",
      mail_settings: "config",
    },
    afterMs({ status, headers }) {
      const atS = Number(headers["x-ratelimit-reset"] ?? NaN);
      return status === 429 && !Number.isNaN(atS) ? Math.max(0, atS * 1000 - Date.now()) : undefined;
    },
  },
  ping: async (session) => void (await session.request({ method: "GET", path: "/v3/scopes" })),
  objects: [
    {
      name: "mails",
      modes: ["event", "insert"],
      deletes: [],
      match: "nothing: every row is a mail of its own",
      batch: `${MOST_MAILS} mails a request with \`options.template\`, else one`,
      fields,
      operations,
    },
  ],
  guide: {
    summary: "Transactional and onboarding mails by SendGrid, from its dynamic templates or of text and HTML.",
    credentials: `1. In SendGrid: Settings → API Keys → Create API Key → Restricted Access: Mail Send (full access). It is shown once.
2. Put it where \`\${SENDGRID_API_KEY}\` is read from.
3. Settings → Sender Authentication: authenticate the domain of \`from\`, or verify it as a single sender.
4. Email API → Dynamic Templates: the id of the template (\`d-…\`).`,
    example: `destinations:
  mail:
    type: sendgrid
    api_key: \${SENDGRID_API_KEY}
syncs:
  welcome:
    model: users
    destination: mail
    mode: event
    on: [insert]
    backfill: false                 # not to those who are there already
    map:
      email: email
      name: full_name
      plan: plan                    # {{plan}} in the template
      first_name: { template: "{{ full_name | split: ' ' | first }}" }
    options:
      from: { email: hello@example.com, name: Example }
      template: d-0123456789abcdef0123456789abcdef
      categories: [onboarding]
  receipts:
    model: payments
    destination: mail
    mode: event
    on: [insert]
    backfill: false
    map:
      email: email
      subject: { template: "Your receipt {{ number }}" }
      text: { template: "Thank you. You have paid {{ amount }}." }
    options:
      from: { email: billing@example.com }`,
    limits: `1,000 mails a request, each with its own recipient and data; without \`options.template\` one mail a request. What SendGrid's plan allows is told by
429 and \`X-RateLimit-Reset\`, which is kept to; \`rate\` sets a limit of your own.`,
    notes: `- **A mail cannot be taken back**: try with \`sandbox: true\`, and set \`backfill: false\` unless the rows that exist are to get mails.
- Delivered means that SendGrid has taken the mail (202). What it does then (bounced, blocked, unsubscribed) is in its event webhook, with
  \`tailrace_id\`, the delivery's id, among the mail's arguments.
- SendGrid has no key that would drop a repeat: a request whose answer was lost is sent again, and its mails can come twice.
- With a template, fields are its data, as they are mapped: numbers as numbers, a null as null. Without one, \`subject\` and \`text\` or \`html\` are the
  mail; a template of the map (\`{{ … | escape }}\`) writes them.
- One refused address refuses the whole request: it is halved until the mail is found. The same recipient twice in one request is
  refused by SendGrid too, and is halved apart.
- Not covered: attachments, several recipients, scheduling, contacts of Marketing Campaigns.`,
  },
});
