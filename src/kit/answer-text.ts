import type { Delivery } from "../contracts/destination.ts";

const LONGEST = 200;
/** More than this of an answer is not looked at. */
const READ = 1000;
const BLANK = "▒";

/**
 * A receiver's answer as it may be kept with a dead letter: receivers echo what they refuse, as it was or changed in case,
 * cut or escaped. So it is taken word by word, and a word that occurs in the row or in what was sent with it
 * (`sent`: headers, URL), or that holds a word of it, is blanked. The names of fields stay: they say what is wrong.
 */
export function answerText(
  text: string,
  rows: readonly Delivery[],
  sent: readonly string[],
  keepAsIs: boolean,
): string | undefined {
  const start = text.slice(0, READ).replaceAll(/\s+/g, " ").trim();
  if (start === "") return undefined;
  if (keepAsIs) return shorten(start);
  const secrets = [...sent, ...rows.flatMap(valuesOf)].map(folded).join("\n");
  // Longer words are blanked for their length. Without a bound, one of megabytes overflows the stack.
  const words = new Set(secrets.match(/[\p{L}\p{N}]{4,64}/gu) ?? []);
  const names = new Set(rows.flatMap(namesOf).flatMap((name) => folded(name).match(/[\p{L}\p{N}]+/gu) ?? []));
  return shorten(
    start
      // `\u0041`, `%41` and `&#65;` could spell out what no word shows.
      .replaceAll(/\\u[0-9a-f]{4}|%[0-9a-f]{2}|&#x?[0-9a-f]+;?/gi, BLANK)
      .replaceAll(/[\p{L}\p{N}\p{M}]+/gu, (word) => {
        const plain = folded(word);
        if (plain.length < 3 || names.has(plain)) return word;
        // Too long to be a word of a language: a token, or a value in another encoding.
        const hidden =
          plain.length > 24 || secrets.includes(plain) || Iterator.from(words).some((known) => plain.includes(known));
        return hidden ? BLANK : word;
      })
      .replaceAll(new RegExp(`${BLANK}(?:[^\\p{L}\\p{N}]{0,2}${BLANK})+`, "gu"), BLANK),
  );
}

/** Without case and accents, in which an echo may differ: `Straße` and `STRASSE` are the same. */
function folded(text: string): string {
  return text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toUpperCase().toLowerCase();
}

function shorten(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}

function valuesOf({ record, old, key, match }: Delivery): string[] {
  const values = [...record.values, ...(old?.values ?? []), ...key, ...match];
  return values.filter((value) => typeof value === "string");
}

function namesOf({ record, relation }: Delivery): string[] {
  return [...record.shape.fields.map((field) => field.name), ...relation.columns.map((column) => column.name)];
}
