import { memberList, memberText } from "../../kit/vendor/json.ts";
import { Lookup } from "../../kit/vendor/lookup.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { type ObjectSchema, RECORD_ID, type SalesforceField } from "./schema.ts";

/** What stands for the id where several records have the key. */
export const AMBIGUOUS = "";

/** Of an address with its query, encoded: Salesforce takes 16 KB, headers and all. */
const QUERY_BYTES = 10_000;
const NUMBERS = /^(int|long|double|currency|percent)$/;

/** Salesforce's ids of an object's records, by the value of a field. */
export function recordIds(path: string, object: string, match: string, schema: ObjectSchema): Lookup {
  return new Lookup({
    rows: 200,
    async find(keys, session) {
      const field = (await schema.fields(session)).get(match);
      const ids = new Map<string, string>();
      const select = `SELECT ${RECORD_ID}, ${match} FROM ${object} WHERE ${match} IN (`;
      let literals: string[] = [];
      let bytes = 0;
      const ask = async (): Promise<void> => {
        if (literals.length > 0)
          await query(`${path}/query?q=${encodeURIComponent(`${select}${literals.join(",")})`)}`, session);
        [literals, bytes] = [[], 0];
      };
      const query = async (address: string, of: Session): Promise<void> => {
        const answer = await of.request({ method: "GET", path: address });
        for (const record of memberList(answer.object(), "records")) {
          const id = memberText(record, RECORD_ID);
          const key = memberText(record, match);
          if (id === undefined || key === undefined) continue;
          const folded = fold(key, field);
          ids.set(folded, ids.has(folded) ? AMBIGUOUS : id);
        }
      };
      for (const key of keys) {
        const literal = literalOf(key, field);
        if (literal === null) continue;
        const size = encodeURIComponent(literal).length + 3;
        if (bytes + size > QUERY_BYTES) await ask();
        literals.push(literal);
        bytes += size;
      }
      await ask();
      return new Map(
        keys.flatMap((key): [string, string][] => {
          const id = ids.get(fold(key, field));
          return id === undefined ? [] : [[key, id]];
        }),
      );
    },
  });
}

/** A key as SOQL has it; null: no record has it. */
function literalOf(key: string, field: SalesforceField | undefined): string | null {
  if (field !== undefined && NUMBERS.test(field.type)) return /^-?\d+(\.\d+)?$/.test(key) ? key : null;
  const escaped = key
    .replaceAll(/[\\']/g, "\\$&")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
  return `'${escaped}'`;
}

/** What Salesforce takes for equal is equal. */
export function fold(key: string, field: SalesforceField | undefined): string {
  if (field !== undefined && NUMBERS.test(field.type)) return key.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  const trimmed = key.trim();
  return field?.caseSensitive === true ? trimmed : trimmed.toLowerCase();
}
