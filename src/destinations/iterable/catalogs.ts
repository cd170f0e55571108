import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, VendorFields } from "../../kit/vendor/definition.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { Outcomes, allDelivered, matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { BATCH_ROWS, type IterablePlace, fieldsOf, valueOf } from "./users.ts";

/** Items of a catalog, by their ids. */
export function catalogs({ object, target }: IterablePlace): Operations {
  const path = `${pathOf(object)}/items`;
  const fields = new RecordText((field) =>
    target.match.includes(field.name) ? null : { value: valueOf(field), null: "null" },
  );
  const upsert = oneRequest({
    rows: BATCH_ROWS,
    call(rows) {
      const items = rows.map((row) => `${jsonString(matchText(row))}:${fields.object(row.record)}`);
      return {
        method: "POST",
        path,
        body: `{"documents":{${items.join(",")}},"replaceUploadedFieldsOnly":true}`,
      };
    },
    read: readWhole,
  });
  const remove = oneRequest({
    rows: BATCH_ROWS,
    call: (rows) => ({
      method: "DELETE",
      path,
      body: `{"itemIds":[${rows.map((row) => jsonString(matchText(row))).join(",")}]}`,
    }),
    read: readWhole,
  });
  return { upsert, delete: remove };
}

/** The field that is the items' id is named as the user likes. */
export async function catalogFields({ object, target }: IterablePlace, session: Session): Promise<VendorFields> {
  const answer = await session.request({ method: "GET", path: `${pathOf(object)}/fieldMappings` });
  const body = answer.object();
  const mappings = member(body, "params") ?? body;
  const known = fieldsOf(member(mappings, "definedMappings"));
  const untyped = memberList(mappings, "undefinedFields").map((name) => ({ name: String(name), type: "any" as const }));
  const match = target.match.map((name) => ({ name, type: "string" as const }));
  return { fields: [...known, ...untyped, ...match], open: true };
}

/** A batch is taken or refused as a whole. */
function readWhole(answer: Answer, rows: readonly Delivery[]): readonly Outcome[] {
  return memberText(answer.object(), "code") === "Success" ? allDelivered(rows) : new Outcomes(rows).whereSaid();
}

/** `catalogs/Restaurants` → `/api/catalogs/Restaurants` */
function pathOf(object: string): string {
  return `/api/${object}`;
}
