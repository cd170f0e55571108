// A query's rows as they come, in chunks that are bounded in bytes.
import type { DuckDBConnection } from "@duckdb/node-api";
import type { ChunkLimit } from "../../contracts/source.ts";

export type TextRow = readonly (string | null)[];

export interface RowChunk {
  readonly rows: readonly TextRow[];
  /** No row comes after these. */
  readonly last: boolean;
}

/** What a row costs in memory besides its texts, and what each of its values does. */
const ROW_BYTES = 32;
const VALUE_BYTES = 24;

/** Every chunk but the last has a row, whatever it weighs; of the query's result some 2000 rows more are held. */
export async function* chunksOf(
  connection: DuckDBConnection,
  sql: string,
  limit: ChunkLimit,
): AsyncGenerator<RowChunk, void, undefined> {
  const result = await connection.stream(sql);
  let rows: TextRow[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    for (const row of chunk.getRows() as (string | null)[][]) {
      const size = sizeOf(row);
      if (rows.length > 0 && (bytes + size > limit.bytes || rows.length >= limit.rows)) {
        yield { rows, last: false };
        rows = [];
        bytes = 0;
      }
      rows.push(row);
      bytes += size;
    }
  }
  yield { rows, last: true };
}

function sizeOf(row: TextRow): number {
  return row.reduce((sum, value) => sum + (value?.length ?? 0), ROW_BYTES + row.length * VALUE_BYTES);
}
