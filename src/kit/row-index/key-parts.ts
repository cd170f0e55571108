import { TailraceError } from "../../contracts/errors.ts";
import type { RowIndexOptions } from "../../contracts/row-index.ts";

/** What a row is found by, when some columns of its key are known. */
export interface KeyPart {
  /** JSON of the columns' places. */
  readonly places: string;
  /** See {@link partText}. */
  readonly value: string;
}

export function keyParts(key: string, parts: RowIndexOptions["parts"]): KeyPart[] {
  if (parts.length === 0) return [];
  const texts = keyTexts(key);
  return parts.map((places) => ({
    places: JSON.stringify(places),
    value: partText(places.map((place) => texts[place]!)),
  }));
}

/** The texts of some columns, as one. */
export function partText(texts: readonly string[]): string {
  return JSON.stringify(texts);
}

/** What the parts of one opening are told from those of another by. */
export function partsText(parts: RowIndexOptions["parts"]): string {
  return JSON.stringify(parts);
}

/** The texts of a key of several columns: `LENGTH:TEXT` of each, joined by commas. */
function keyTexts(key: string): string[] {
  const texts: string[] = [];
  for (let at = 0; at < key.length;) {
    const colon = key.indexOf(":", at);
    const end = colon + 1 + Number(key.slice(at, colon));
    if (colon < 0 || !(end > colon && end <= key.length))
      throw new TailraceError("internal.defect", "a key of several columns is not made of its columns' texts");
    texts.push(key.slice(colon + 1, end));
    at = end + 1;
  }
  return texts;
}
