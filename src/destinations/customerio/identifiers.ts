import { hash } from "node:crypto";
import type { Delivery, Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { VendorField } from "../../kit/vendor/definition.ts";

const PERSON = ["id", "email", "phone", "cio_id"];

/** What finds a person, as fields. `cio_id` is Customer.io's own. */
export function personFields({ match }: Target): VendorField[] {
  return PERSON.map((name) => ({
    name,
    type: "string",
    unique: true,
    readOnly: name === "cio_id" && !match.includes(name),
  }));
}

/** The place in `match` of what finds the person. @throws TailraceError `destination.config` */
export function personPlace({ match }: Target): number {
  return placeOf(match, PERSON, "people");
}

/** The place in `match` of the object's id. @throws TailraceError `destination.config` */
export function objectPlace({ match }: Target): number {
  return placeOf(match, ["object_id"], "the objects of relationships");
}

function placeOf(match: readonly string[], names: readonly string[], what: string): number {
  const place = match.findIndex((name) => names.includes(name));
  if (place !== -1) return place;
  const [by, has] = [names, match].map((list) => list.map((name) => `\`${name}\``).join(", "));
  throw new TailraceError(
    "destination.config",
    `Customer.io finds ${what} by ${by}; the sync's \`match\`, or what its key is mapped to, is ${has || "nothing"}`,
  );
}

/** `{"id":"42"}` */
export function identifiers(target: Target, place: number, row: Delivery): string {
  return `{${jsonString(target.match[place]!)}:${jsonString(textOf(row, place))}}`;
}

export function textOf(row: Delivery, place: number): string {
  const value = row.match[place];
  if (typeof value === "string") return value;
  throw new TailraceError("delivery.no_match", "What the person is found by is null or was not sent.");
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The delivery's id in the form of a ULID, by which Customer.io drops repeats of an event. */
export function eventId({ id }: Delivery): string {
  let rest = BigInt(`0x${hash("sha256", id, "hex").slice(0, 32)}`);
  let text = "";
  for (let digit = 0; digit < 26; digit += 1) {
    text = CROCKFORD[Number(rest & 31n)]! + text;
    rest >>= 5n;
  }
  return text;
}
