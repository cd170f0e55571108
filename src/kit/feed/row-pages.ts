import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { requireKey } from "./joiner.ts";
import type { RowPage } from "./model-feed.ts";

/** What a row costs in memory besides its texts, and what each of its values does. */
const ROW_BYTES = 32;
const VALUE_BYTES = 24;

/** About how many bytes a row is. */
export function bytesOf(row: Values): number {
  return row.reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? value.length : 0),
    ROW_BYTES + row.length * VALUE_BYTES,
  );
}

/** Rows in key order, as a client library hands them over, in the pages that were asked for. There is always a last one. */
export async function* rowPages(
  fetched: AsyncIterable<readonly Values[]>,
  relation: Relation,
  limit: ChunkLimit,
): AsyncGenerator<RowPage, void, undefined> {
  let rows: Values[] = [];
  let bytes = 0;
  for await (const some of fetched) {
    for (const row of some) {
      requireKey(row, relation);
      const size = bytesOf(row);
      if (rows.length > 0 && (rows.length >= limit.rows || bytes + size > limit.bytes)) {
        yield { relation, rows, next: cursorOf(rows.at(-1)!, relation) };
        rows = [];
        bytes = 0;
      }
      rows.push(row);
      bytes += size;
    }
  }
  yield { relation, rows, next: null };
}

function cursorOf(row: Values, { key }: Relation): Cursor {
  return key.map((place) => row[place] as string);
}
