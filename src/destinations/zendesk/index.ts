import { TailraceError } from "../../contracts/errors.ts";
import { basic, bearer } from "../../kit/vendor/auth/static.ts";
import { clientCredentials } from "../../kit/vendor/auth/token.ts";
import type { VendorObject } from "../../kit/vendor/definition.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import { errors } from "./errors.ts";
import { type Kind, ORGANIZATIONS, TICKETS, USERS, fieldsOf } from "./fields.ts";
import { operationsOf } from "./records.ts";
import { type ZendeskSettings, options, settings } from "./settings.ts";

const object = (
  kind: Kind,
): Pick<VendorObject<ZendeskSettings, unknown>, "name" | "batch" | "fields" | "operations"> => ({
  name: kind.plural,
  batch: "100 rows a job",
  fields: (place, session) => fieldsOf(kind, place, session),
  operations: (place) => operationsOf(kind, place),
});

export default defineVendor({
  type: "zendesk",
  title: "Zendesk",
  settings,
  sync: options,
  origin: ({ subdomain }) => `https://${subdomain}.zendesk.com`,
  auth({ email, api_token, access_token, oauth }, context) {
    if (api_token !== undefined) return basic(`${email}/token`, context.secret(api_token, "api_token"));
    if (access_token !== undefined) return bearer(context.secret(access_token, "access_token"));
    const secret = context.secret(oauth!.client_secret, "oauth.client_secret");
    const url = `${context.baseUrl}/oauth/tokens`;
    return clientCredentials(context, url, { id: oauth!.client_id, secret }, { scope: oauth!.scope });
  },
  // The Team plan's 200 requests a minute. 30 jobs may be queued or running, of all that work there.
  limits: { rows: 100, bytes: 1_000_000, concurrency: 5, perSecond: 3 },
  errors,
  async ping(session) {
    const answer = await session.request({ method: "GET", path: "/api/v2/users/me" });
    // Whoever it does not know is told to be nobody.
    if (memberText(member(answer.object(), "user"), "id") === undefined)
      throw new TailraceError("destination.auth", "Zendesk does not know these credentials");
  },
  objects: [
    {
      ...object(USERS),
      modes: ["upsert", "mirror", "insert", "update"],
      deletes: ["delete", "archive", "ignore"],
      match:
        "`external_id`, `id` (mode `update`), `email` (without updates of what is there alone, and without deletes)",
    },
    {
      ...object(ORGANIZATIONS),
      modes: ["upsert", "mirror", "insert", "update"],
      deletes: ["delete", "archive", "ignore"],
      match: "`external_id`, or `id` (mode `update`)",
    },
    { ...object(TICKETS), modes: ["insert", "update"], deletes: [], match: "`id` or `external_id`" },
  ],
  guide: {
    summary: "Users, organizations and tickets of Zendesk Support, 100 a job, with the result of each row.",
    credentials: `1. Admin Center → Apps and integrations → APIs → API tokens: add one, and put it where \`\${ZENDESK_TOKEN}\` is read from. It acts for the
   person in \`email\`, who is to be an administrator (bulk imports and deletes are for administrators).
2. Or an OAuth client (Admin Center → APIs → OAuth clients, of the kind *confidential*): \`oauth: { client_id, client_secret }\`, whose tokens are asked for by
   the client credentials grant; or a token that you have: \`access_token\`.`,
    example: `destinations:
  support:
    type: zendesk
    subdomain: acme
    email: admin@acme.example
    api_token: \${ZENDESK_TOKEN}
    rate: 400/min                      # Professional: 400 requests a minute
syncs:
  customers:
    model: customers
    destination: support
    object: users
    mode: mirror
    match: external_id
    map:
      external_id: id
      name: full_name
      email: email
      user_fields.plan: plan           # a user field that you made, by its key`,
    limits: `100 records a job, and some seconds a job; a job takes three requests or more. 3 requests a second unless \`rate\` says otherwise (Team 200 a minute, Growth and
Professional 400, Enterprise 700). At most 30 jobs are queued or running in an account (\`TooManyJobs\`), those of others included.`,
    notes: `- Own fields: \`user_fields.KEY\` of users, \`organization_fields.KEY\`, and \`custom_fields.ID\` of tickets. Zendesk ignores names that it does not know; \`check\` does not.
- It does not tell the case of an \`external_id\`: rows that differ in case alone are one record, and the later waits for the earlier.
- A name, an address, a role and flags cannot be emptied: a null leaves what is there. So there is no \`on_delete: clear\`; to keep users and stop their tickets use
  \`archive\` with \`suspended: true\`.
- Deleted users and organizations are kept by Zendesk for a while, and a user's tickets stay. Users with open tickets cannot be deleted: that is a failure of the row.
- \`match: email\` creates and updates; it cannot delete, because Zendesk's search finds what is new only after a while.
- Tickets have no upsert at Zendesk: mode \`insert\` creates one a row (\`comment.body\` is its first comment; an answer that was lost may make a second), mode \`update\` changes those
  with this \`id\` or \`external_id\`, the latter looked up one by one. A mapped \`comment.body\` is a new comment with every update.
- Where a job does not say which row it refused, the batch is halved until it is found.
- Where the answer to a job's beginning is lost, the job may still run, and its rows are sent again at once: of a row that changes in these seconds the older version may win,
  until it changes again.
- Identities beyond the first address, group memberships, and custom objects are not covered.`,
  },
});
