import { memberList, memberText } from "../../kit/vendor/json.ts";
import { Lookup } from "../../kit/vendor/lookup.ts";
import type { Session } from "../../kit/vendor/session.ts";
import type { Kind } from "./fields.ts";

/** What stands for the id where none can be told: several records have the key. */
export const UNUSABLE = "";

/** Of an address with its query, encoded. */
const QUERY_BYTES = 6000;

/** Zendesk's ids of records, by their `external_id`, of which it does not tell the case. */
export function recordIds(plural: Kind["plural"]): Lookup {
  return new Lookup({
    rows: 100,
    async find(keys, session) {
      const ids = new Map<string, string>();
      const ask = async (path: string, of: Session): Promise<void> => {
        for (const record of memberList((await of.request({ method: "GET", path })).object(), plural)) {
          const id = memberText(record, "id");
          const key = memberText(record, "external_id")?.toLowerCase();
          if (id !== undefined && key !== undefined) ids.set(key, ids.has(key) && ids.get(key) !== id ? UNUSABLE : id);
        }
      };
      const listed: string[] = [];
      for (const key of keys) {
        // Of tickets there is no list, and one with a comma would be two in a list.
        if (plural === "tickets") await ask(`/api/v2/tickets?external_id=${encodeURIComponent(key)}`, session);
        else if (key.includes(","))
          await ask(`/api/v2/${plural}/search?external_id=${encodeURIComponent(key)}`, session);
        else if (key.trim() !== "") listed.push(encodeURIComponent(key));
      }
      for (let at = 0; at < listed.length;) {
        const from = at;
        for (let bytes = 0; at < listed.length && (at === from || bytes + listed[at]!.length < QUERY_BYTES); at++)
          bytes += listed[at]!.length + 1;
        await ask(`/api/v2/${plural}/show_many?external_ids=${listed.slice(from, at).join(",")}`, session);
      }
      return new Map(
        keys.flatMap((key): [string, string][] => {
          const id = ids.get(key.toLowerCase());
          return id === undefined ? [] : [[key, id]];
        }),
      );
    },
  });
}
