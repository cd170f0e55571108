import { jwtBearer } from "../../kit/vendor/auth/jwt.ts";
import { clientCredentials, refreshToken } from "../../kit/vendor/auth/token.ts";
import type { Place, VendorFields } from "../../kit/vendor/definition.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { errors } from "./errors.ts";
import { operations } from "./records.ts";
import { ObjectSchema, apiPath, relatedField, vendorField } from "./schema.ts";
import { type SalesforceOptions, type SalesforceSettings, options, settings } from "./settings.ts";

export default defineVendor({
  type: "salesforce",
  title: "Salesforce",
  settings,
  sync: options,
  origin: ({ login_url }) => login_url,
  auth(given, context) {
    const url = `${context.baseUrl}/services/oauth2/token`;
    const secret = given.client_secret === undefined ? null : context.secret(given.client_secret, "client_secret");
    if (given.private_key !== undefined) {
      return jwtBearer(context, context.secret(given.private_key, "private_key"), (privateKey) => ({
        url,
        claims: { iss: given.client_id, sub: given.username!, aud: given.audience },
        lastsSeconds: 180,
        privateKey,
      }));
    }
    if (given.refresh_token === undefined)
      return clientCredentials(context, url, { id: given.client_id, secret: secret! });
    const granted = context.secret(given.refresh_token, "refresh_token");
    return refreshToken(context, url, { id: given.client_id, secret }, granted);
  },
  limits: { rows: 10_000, bytes: 8_000_000, concurrency: 5, perSecond: null },
  errors,
  ping: async (session, given) => void (await session.request({ method: "GET", path: apiPath(given) })),
  objects: [
    {
      name: "any object",
      accepts: (name) => /^[A-Za-z]\w*$/.test(name),
      modes: ["upsert", "mirror", "insert", "update"],
      deletes: ["delete", "archive", "clear", "ignore"],
      match: "a field that is an external id or `idLookup`, or `Id`",
      batch: "200 rows a request, or up to 10,000 a job",
      fields,
      operations,
    },
  ],
  guide: {
    summary:
      "Any standard or custom object of Salesforce: upserts by external id, in requests of 200 rows or by Bulk API 2.0.",
    credentials: `1. Setup → App Manager → New External Client App (or Connected App). Enable OAuth, scopes *Manage user data via APIs* (\`api\`) and, for a refresh
   token, *Perform requests at any time* (\`refresh_token\`).
2. One of:
   - **Client credentials**: enable the flow, and choose the user it runs as. \`client_id\` and \`client_secret\` are the app's consumer key and secret.
   - **JWT bearer**: make a key and a certificate (\`openssl req -x509 -nodes -newkey rsa:2048 -keyout key.pem -out cert.pem\`), give the app the certificate,
     and let the user in by a permission set. \`private_key: { file: key.pem }\`, \`username\`; for a sandbox also \`audience\`.
   - **Refresh token**: what your own authorization of the app has brought.
3. The user needs *API Enabled*, and to see and edit the object and its fields: fields that it cannot see are unknown here.
4. \`login_url\` is your My Domain (Setup → My Domain). Where tokens name another instance, requests go there.
5. To upsert, the object needs a field that is an *External ID* (better: *Unique* too), with the value that your rows are known by.`,
    example: `destinations:
  sales:
    type: salesforce
    login_url: https://acme.my.salesforce.com
    client_id: 3MVG9…
    client_secret: \${SALESFORCE_SECRET}
syncs:
  accounts:
    model: accounts
    destination: sales
    object: Account
    mode: mirror
    match: Account_Id__c
    map:
      Account_Id__c: id
      Name: name
      AnnualRevenue: revenue
      Owner.Email: owner_email          # the user with this address
    options:
      bulk_from: 5000`,
    limits: `200 records a request; from \`bulk_from\` rows on (2,000), a job of at most 10,000. An Enterprise org has 100,000 requests in 24 hours and 1,000 more a
licence; when they are used up (\`REQUEST_LIMIT_EXCEEDED\`) Salesforce is asked again every quarter of an hour. Set \`rate\` to leave some to others.`,
    notes: `- Rows that meet a record lock (\`UNABLE_TO_LOCK_ROW\`) are sent again. Locks of parents are common where children of one parent are written at once: a \`concurrency\` of 1 avoids them.
- Updates, removals, \`archive\` and \`clear\` look the record's id up first, and leave records alone that are not there. Records that have the same value in
  \`match\` are refused, row by row. \`match: Id\` never creates.
- A null empties the field; fields that cannot be empty (checkboxes among them) keep their value. Salesforce cuts blanks at both ends of a text, and keeps an empty one as none.
- \`Account.External__c: column\` sets a lookup by a field of the other record. The value goes as its column's type has it: cast a number to text where that field is
  text. A null there leaves the lookup as it is; lookups to several objects are set by id.
- \`on_delete: delete\` moves the record to the recycle bin.
- Values that differ in case alone are one record, unless the field is case-sensitive: the later row waits for the earlier.
- In mode \`insert\` a request whose answer was lost is sent again, and may create a second record.
- Jobs are used for upserts only. A job that is stopped by somebody in Setup has its remaining rows sent again.
- Duplicate rules apply: \`DUPLICATES_DETECTED\` is a failure of its row.
- Files (\`ContentVersion\` and other binary fields) and platform events are not covered.`,
  },
});

async function fields(
  { object, target, settings: given }: Place<SalesforceSettings, SalesforceOptions>,
  session: Session,
): Promise<VendorFields> {
  const described = await new ObjectSchema(given, object).fields(session);
  const related = target.shape.fields.filter(
    ({ name }) => !described.has(name) && relatedField(name, described) !== null,
  );
  return {
    fields: [
      ...[...described.values()].map((field) => vendorField(field, target.mode, target.match.includes(field.name))),
      ...related.map(({ name }) => ({ name, type: "any", clearable: false }) as const),
    ],
    open: false,
  };
}
