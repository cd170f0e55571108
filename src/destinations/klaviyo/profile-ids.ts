import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Lookup } from "../../kit/vendor/lookup.ts";

/** Klaviyo's ids of profiles by an identifier, of those that there are now. */
export function profileIds(identifier: string): Lookup {
  // E-mail addresses are the same in either case.
  const folded = (key: string): string => (identifier === "email" ? key.toLowerCase() : key);
  return new Lookup({
    // A page has 100; the address of the request has to hold them, too.
    rows: 50,
    // Others merge and delete profiles, and importing one that is not there would make it.
    most: 0,
    async find(keys, session) {
      const shown = identifier === "id" ? "email" : identifier;
      const filter = `any(${identifier},[${keys.map((key) => JSON.stringify(key)).join(",")}])`;
      const answer = await session.request({
        method: "GET",
        path: `/api/profiles?filter=${encodeURIComponent(filter)}&fields[profile]=${shown}&page[size]=100`,
      });
      const found = new Map<string, string>();
      for (const profile of memberList(answer.object(), "data")) {
        const id = memberText(profile, "id");
        const key = identifier === "id" ? id : memberText(member(profile, "attributes"), identifier);
        if (key !== undefined && id !== undefined) found.set(folded(key), id);
      }
      return new Map(keys.flatMap((key) => (found.has(folded(key)) ? [[key, found.get(folded(key))!]] : [])));
    },
  });
}
