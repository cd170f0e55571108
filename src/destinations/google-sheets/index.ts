import { TailraceError } from "../../contracts/errors.ts";
import { jwtBearer } from "../../kit/vendor/auth/jwt.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { memberText } from "../../kit/vendor/json.ts";
import { errors } from "./errors.ts";
import { BATCH_ROWS, operations } from "./rows.ts";
import { options, settings } from "./settings.ts";
import { Tab } from "./tab.ts";

export default defineVendor({
  type: "google-sheets",
  title: "Google Sheets",
  settings,
  sync: options,
  origin: () => "https://sheets.googleapis.com",
  auth: ({ service_account: key }, context) =>
    jwtBearer(context, context.secret(key, "service_account"), (text) => {
      const { url, email, privateKey } = serviceAccount(text);
      const claims = { iss: email, scope: "https://www.googleapis.com/auth/spreadsheets", aud: url };
      return { url, claims, privateKey };
    }),
  // A tab is read and then written: two at a time would not see each other. 60 reads and 60 writes a minute, one of each a batch.
  limits: { rows: BATCH_ROWS, bytes: 1_000_000, concurrency: 1, perSecond: 2, ageMs: 1000 },
  errors,
  async ping(session, { spreadsheet_id: id }) {
    await session.request({ method: "GET", path: `/v4/spreadsheets/${id}?fields=spreadsheetId` });
  },
  objects: [
    {
      name: "any tab",
      accepts: () => true,
      modes: ["upsert", "mirror", "update", "insert", "event"],
      deletes: ["delete", "clear", "ignore"],
      match: "any column",
      batch: `${BATCH_ROWS} rows a request`,
      async fields({ object, settings: { spreadsheet_id: id } }, session) {
        const names = await new Tab(id, object, null).header(session);
        return { fields: names.map((name) => ({ name, type: "any" as const })), open: false };
      },
      operations,
    },
  ],
  guide: {
    summary: "Rows of a tab in Google Sheets, kept as the source has them.",
    credentials: `1. In the Google Cloud console, in a project of yours: APIs & Services → Library → Google Sheets API → Enable.
2. IAM & Admin → Service Accounts → Create service account; it needs no role. Keys → Add key → Create new key → JSON.
3. Keep the file where \`service_account: { file: … }\` says, or its JSON in one line in a variable.
4. Share the spreadsheet with the account's address (\`…@….iam.gserviceaccount.com\`) as an Editor.
5. Write the names of the fields into row 1 of the tab; they may be in any order, beside columns of your own.`,
    example: `destinations:
  sheets:
    type: google-sheets
    spreadsheet_id: 1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgVE2upms
    service_account: { file: secrets/sheets.json }
syncs:
  accounts_to_sheet:
    model: accounts
    destination: sheets
    object: Accounts                  # the tab
    mode: mirror
    match: id
    map: { id: id, name: name, plan: plan, mrr: mrr }`,
    limits: `500 rows a request, one request at a time. Google allows 60 reads and 60 writes a minute for an account, and each batch takes one of both; a batch
waits up to a second for more rows. A spreadsheet has at most 10 million cells: when they are used up the sync stops and says so. A cell has at
most 50,000 characters: a row with more is a failure to look at.`,
    notes: `- Row 1 has the names. Columns that are not mapped are left alone, and so are formats. Columns may be moved and rows sorted while Tailrace runs: the
  names and the match column are read before each write. Somebody who sorts in the very moment between may still have a row written over.
- The changes of a batch, updates, deletions and new rows, are one request that Google does whole or not at all.
- Texts stay as they are: none becomes a number, a date or a formula. Numbers of up to 15 digits are numbers; with more, which Sheets would round,
  they are texts. The match column is always text. Times are texts as the source prints them.
- A null, and an empty text, is an empty cell. Of two rows with the same match value the first is written to.
- New rows come after the last row that has anything in it. \`on_delete: delete\` removes the whole row, your own columns in it too. Google does not
  delete every row below a frozen one: keep an empty row at the end.
- In the modes \`insert\` and \`event\` rows are only appended; where an answer was lost they are appended again.
- Writes to a spreadsheet are done one after the other, whatever \`concurrency\` says. Of several processes, or several destinations of one
  spreadsheet, neither knows what the other is about to write: have one.
- A large tab is slow, because its match column is read for each batch.
- Not covered: making tabs and names, archiving, formulas, formats, OAuth of a person.`,
  },
});

/** @throws TailraceError `destination.auth`; what is said does not quote the key. */
function serviceAccount(text: string): { readonly url: string; readonly email: string; readonly privateKey: string } {
  let key: unknown;
  try {
    key = JSON.parse(text);
  } catch {
    key = undefined;
  }
  const [email, privateKey] = [memberText(key, "client_email"), memberText(key, "private_key")];
  const url = memberText(key, "token_uri") ?? "https://oauth2.googleapis.com/token";
  if (email === undefined || privateKey === undefined || !URL.canParse(url))
    throw new TailraceError("destination.auth", "`service_account` is not the JSON of a service account's key");
  return { url, email, privateKey };
}
