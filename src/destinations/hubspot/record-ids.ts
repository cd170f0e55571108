import { jsonString } from "../../contracts/json-string.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Lookup } from "../../kit/vendor/lookup.ts";

/** Inputs of a batch request. */
export const BATCH_ROWS = 100;

/** HubSpot's ids of an object's records, by a unique property. */
export function recordIds(object: string, property: string): Lookup {
  // HubSpot keeps e-mail addresses in lower case.
  const folded = (key: string): string => (property === "email" ? key.toLowerCase() : key);
  return new Lookup({
    rows: BATCH_ROWS,
    async find(keys, session) {
      const inputs = keys.map((key) => `{"id":${jsonString(key)}}`).join(",");
      const name = jsonString(property);
      const answer = await session.request({
        method: "POST",
        path: `/crm/v3/objects/${encodeURIComponent(object)}/batch/read`,
        body: `{"idProperty":${name},"properties":[${name}],"propertiesWithHistory":[],"inputs":[${inputs}]}`,
      });
      const found = new Map<string, string>();
      for (const result of memberList(answer.object(), "results")) {
        const key = memberText(member(result, "properties"), property);
        const id = memberText(result, "id");
        if (key !== undefined && id !== undefined) found.set(folded(key), id);
      }
      return new Map(keys.flatMap((key) => (found.has(folded(key)) ? [[key, found.get(folded(key))!]] : [])));
    },
  });
}
