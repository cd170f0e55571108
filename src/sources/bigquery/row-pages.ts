import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { RowPage } from "../../kit/feed/model-feed.ts";
import type { ResultPage, TextRow } from "./jobs.ts";

/** What a row costs in memory besides its texts, and what each of its values does. */
const ROW_BYTES = 32;
const VALUE_BYTES = 24;

/** A result's pages cut to the caller's measure. At least one, and of at least one row unless there is none. */
export async function* within(
  pages: AsyncIterable<ResultPage>,
  relation: Relation,
  limit: ChunkLimit,
): AsyncGenerator<RowPage, void, undefined> {
  let rows: TextRow[] = [];
  let bytes = 0;
  for await (const page of pages)
    for (const row of page.rows) {
      const size = row.reduce((sum, value) => sum + (value?.length ?? 0), ROW_BYTES + row.length * VALUE_BYTES);
      if (rows.length > 0 && (rows.length >= limit.rows || bytes + size > limit.bytes)) {
        yield { relation, rows, next: keyOf(rows.at(-1)!, relation) };
        rows = [];
        bytes = 0;
      }
      rows.push(row);
      bytes += size;
    }
  yield { relation, rows, next: null };
}

function keyOf(row: TextRow, { key }: Relation): Cursor {
  return key.map((place) => row[place] ?? "");
}

/** The parameter `after` of `rowsSql`. */
export function cursorParameters(after: Cursor | null): Readonly<Record<string, string>> {
  return after === null ? {} : { after: keyParameter(after) };
}

/** Keys as JSON. The client library would put the project's name for `{{projectId}}` in any text of a request. */
export function keyParameter(keys: Cursor | readonly KeyValues[]): string {
  return JSON.stringify(keys).replaceAll("{", "\\u007b");
}
