import { DELIVERED } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place } from "../../kit/vendor/definition.ts";
import { memberText } from "../../kit/vendor/json.ts";
import { Lookup } from "../../kit/vendor/lookup.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import { COMPANY, attributeText } from "./attributes.ts";
import { Records, eachRow } from "./records.ts";
import type { IntercomOptions, IntercomSettings } from "./settings.ts";

/** Intercom's ids of companies by our own. */
export function companyIds(): Lookup {
  return new Lookup({
    rows: 1,
    async find([key], session) {
      const path = `/companies?company_id=${encodeURIComponent(key!)}`;
      const answer = await session.request({ method: "GET", path, accept: [404] });
      const id = answer.status === 404 ? undefined : memberText(answer.object(), "id");
      return new Map(id === undefined ? [] : [[key!, id]]);
    },
  });
}

export function companies({ target }: Place<IntercomSettings, IntercomOptions>): Operations {
  const attributes = attributeText(COMPANY, target.match);
  const records = new Records("/companies", companyIds(), (row) => `{${attributes(row.record)}}`);
  const upsert = eachRow(async (row, session) => {
    const members = attributes(row.record);
    const body = `{"company_id":${jsonString(matchText(row))}${members === "" ? "" : `,${members}`}}`;
    return records.written(row, await session.request({ method: "POST", path: "/companies", body }));
  });
  const update = eachRow(
    async (row, session) => (await records.existing(row, session, (id) => records.put(row, id, session))) ?? DELIVERED,
  );
  const remove = eachRow(async (row, session) => {
    const outcome = await records.existing(row, session, (id) => records.remove(id, session));
    records.ids?.forget(matchText(row));
    return outcome ?? DELIVERED;
  });
  return { upsert, update, archive: update, clear: update, delete: remove };
}
