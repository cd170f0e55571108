import { TailraceError } from "../../contracts/errors.ts";
import type { Delivery } from "../../contracts/destination.ts";
import type { Operations, Place, VendorField, VendorFields } from "../../kit/vendor/definition.ts";
import { memberText } from "../../kit/vendor/json.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { allDelivered, matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import { IDENTIFIERS, IdentityText, checkMatch, deletion, isIdentifier } from "./identity.ts";
import { track, valueOf } from "./track.ts";

const DELETE_ROWS = 50;

const TEXTS = ["first_name", "last_name", "country", "home_city", "language", "time_zone", "gender", "image_url"];
const PROFILE: readonly VendorField[] = [
  ...TEXTS.map((name): VendorField => ({ name, type: "string" })),
  { name: "dob", type: "date" },
  { name: "email_subscribe", type: "enum" },
  { name: "push_subscribe", type: "enum" },
  { name: "date_of_first_session", type: "datetime" },
  { name: "date_of_last_session", type: "datetime" },
];

/** Braze's own; any other name is a custom attribute. */
export function userFields({ target }: Place): VendorFields {
  checkMatch(target.match);
  return { fields: [...IDENTIFIERS, ...PROFILE], open: true };
}

export function userOperations({ target }: Place): Operations {
  const { match } = target;
  checkMatch(match);
  // Addresses that do not identify are attributes, which a null empties.
  const identity = new IdentityText(["email", "phone"].filter((name) => !match.includes(name)));
  const attributes = new RecordText((field) =>
    isIdentifier(field.name) ? null : { value: valueOf(field), null: "null" },
  );
  const objectOf = (row: Delivery, existingOnly: boolean): string => {
    const own = [identity.members(row.record), attributes.members(row.record)].filter((members) => members !== "");
    // Said in any case: for an alias, Braze has the other default.
    return `{${own.join(",")},"_update_existing_only":${existingOnly}}`;
  };
  const existing = track("attributes", (row) => objectOf(row, true));
  const { list, item } = deletion(match);
  return {
    // Braze's own id is made by Braze alone.
    upsert: match[0] === "braze_id" ? existing : track("attributes", (row) => objectOf(row, false)),
    update: existing,
    archive: existing,
    clear: existing,
    delete: oneRequest({
      rows: DELETE_ROWS,
      call: (rows) => ({
        method: "POST",
        path: "/users/delete",
        body: `{"${list}":[${rows.map((row) => item(match.map((_, at) => matchText(row, at)))).join(",")}]}`,
      }),
      read(answer, rows) {
        // How many users there were; what is not there is deleted.
        if (memberText(answer.object(), "deleted") !== undefined) return allDelivered(rows);
        throw new TailraceError("destination.unknown", "Braze does not say that it deletes");
      },
    }),
  };
}
