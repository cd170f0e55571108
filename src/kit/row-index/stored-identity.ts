import type { KnownRows, RowIndexOptions } from "../../contracts/row-index.ts";

/** What an index was opened with last, as one text. */
export function storedIdentity({ identity, content }: Pick<RowIndexOptions, "identity" | "content">): string {
  return JSON.stringify([identity, content]);
}

/** What {@link storedIdentity} was made of, and how many rows there are. */
export function knownRows(stored: string, rows: number): KnownRows {
  const [identity, content] = JSON.parse(stored) as [string, string];
  return { identity, content, rows };
}
