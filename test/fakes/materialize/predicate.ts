// `(m."a" = '1' AND m."b" > '2') OR (…)`, and nothing else.
import { WireRefusal } from "../pg-wire/messages.ts";
import { compare, type MaintainedObject, placeOf, type Row } from "./objects.ts";

const TERM = /^m\."([^"]+)" (=|>) (E?)'((?:[^']|'')*)'( AND |\) OR \(|\)$)/;

export function matches(where: string, object: MaintainedObject, row: Row): boolean {
  let rest = where.replace(/^\(/, "");
  let any = false;
  let all = true;
  while (rest !== "") {
    const found = TERM.exec(rest);
    if (found === null) throw new WireRefusal("42601", `Expected a comparison, found ${rest.slice(0, 20)}`);
    const [whole, name, operator, escaped, quoted, then] = found;
    const plain = quoted!.replaceAll("''", "'");
    const text = escaped === "E" ? plain.replaceAll("\\\\", "\\") : plain;
    const place = placeOf(object, name!);
    const field = object.fields[place]!;
    if (field.oid === 20 && !/^-?\d+$/.test(text))
      throw new WireRefusal("22P02", `invalid input syntax for type bigint: "${text}"`);
    const order = row[place] === null ? null : compare(field, row[place]!, text);
    all &&= order !== null && (operator === "=" ? order === 0 : order > 0);
    if (then !== " AND ") {
      any ||= all;
      all = true;
    }
    rest = rest.slice(whole.length);
  }
  return any;
}
