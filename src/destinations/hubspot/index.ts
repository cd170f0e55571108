import { bearer } from "../../kit/vendor/auth/static.ts";
import { refreshToken } from "../../kit/vendor/auth/token.ts";
import type { VendorObject } from "../../kit/vendor/definition.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { errors } from "./errors.ts";
import { fields, isCustom } from "./properties.ts";
import { operations } from "./records.ts";
import { type HubSpotOptions, type HubSpotSettings, options, settings } from "./settings.ts";

const OTHERS =
  /^(tickets|products|line_items|quotes|leads|orders|carts|invoices|appointments|courses|listings|services)$/;

const record: Omit<VendorObject<HubSpotSettings, HubSpotOptions>, "name"> = {
  modes: ["upsert", "mirror", "insert", "update"],
  deletes: ["delete", "archive", "clear", "ignore"],
  match: "any property with unique values, or `hs_object_id`",
  batch: "100 rows a request",
  fields,
  operations,
};

export default defineVendor({
  type: "hubspot",
  title: "HubSpot",
  settings,
  sync: options,
  origin: () => "https://api.hubapi.com",
  auth({ token, oauth }, context) {
    if (oauth === undefined) return bearer(context.secret(token!, "token"));
    const client = { id: oauth.client_id, secret: context.secret(oauth.client_secret, "oauth.client_secret") };
    const granted = context.secret(oauth.refresh_token, "oauth.refresh_token");
    return refreshToken(context, `${context.baseUrl}/oauth/v1/token`, client, granted);
  },
  // A private app of a Free or Starter account: 100 requests in 10 s.
  limits: { rows: 100, bytes: 2_000_000, concurrency: 4, perSecond: 10 },
  errors,
  ping: async (session) => void (await session.request({ method: "GET", path: "/account-info/v3/details" })),
  objects: [
    { ...record, name: "contacts", match: "`email`, another property with unique values, or `hs_object_id`" },
    { ...record, name: "companies" },
    { ...record, name: "deals" },
    { ...record, name: "other and custom objects", accepts: (name) => OTHERS.test(name) || isCustom(name) },
  ],
  guide: {
    summary: "Contacts, companies, deals, custom objects and their associations in HubSpot's CRM.",
    credentials: `1. In HubSpot: Settings → Integrations → Private Apps → Create a private app (newer accounts: Development → Legacy apps).
2. Scopes, for each object that you sync: \`crm.objects.contacts.read\` and \`.write\`, \`crm.schemas.contacts.read\`; likewise for companies, deals, custom.
3. Create the app, show its access token (\`pat-…\`), and put it where \`\${HUBSPOT_TOKEN}\` is read from.

An app of your own works too: \`oauth: { client_id, client_secret, refresh_token }\`; its access tokens are renewed by themselves.`,
    example: `destinations:
  crm:
    type: hubspot
    token: \${HUBSPOT_TOKEN}
    rate: 19/s                      # Professional and Enterprise: 190 requests in 10 s
syncs:
  users_to_contacts:
    model: users
    destination: crm
    object: contacts
    mode: mirror
    match: email
    map:
      email: email
      firstname: first_name
      plan: plan                    # a property that you made
      company_domain: company_domain
    options:
      associate:
        - { to: companies, by: domain, field: company_domain }`,
    limits: `100 records a request; 10 requests a second unless \`rate\` says otherwise (Free and Starter accounts allow 100 in 10 s,
Professional and Enterprise 190). A daily limit that is used up (\`DAILY\`) is waited for, and looked at every quarter of an hour.`,
    notes: `- A null empties the property: HubSpot takes an empty string for that, so an empty text and a null are the same there.
- \`on_delete: delete\` moves the record to HubSpot's recycle bin, from which it can be restored for 90 days.
- In mode \`update\`, and for \`archive\` and \`clear\`, records that are not there are left alone. \`match: hs_object_id\` never creates.
- An association that is asked for is part of the row's delivery: while the other record is not there, the row is tried again, up to \`attempts\`.
  Associations are added and never removed.
- In mode \`insert\` a request whose answer was lost is sent again; where the object has a unique property, HubSpot refuses the repeat, and it is
  a failure to look at.
- An e-mail address is kept in lower case. Two rows whose match values differ only in case are one contact; each batch with both is refused until it is halved.`,
  },
});
