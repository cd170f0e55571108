import { TailraceError } from "../../contracts/errors.ts";
import type { Cell } from "./sessions.ts";

type CellRow = readonly (Cell | null)[];

/** The protocol takes 65,535. */
const MOST_PARAMETERS = 16_384;
const MOST_ROWS = 512;
const CHUNK_BYTES = 1024 * 1024;
/** The statement's own text, and what the protocol adds. */
const OVERHEAD_BYTES = 64 * 1024;

/**
 * Rows for one statement each. Their number is a power of two, so that few different statements are prepared. Throws
 * `destination.too_large` for a row that the server does not take.
 */
export function* chunksOf<R extends CellRow>(rows: readonly R[], maxPacket: number): Generator<R[]> {
  const most = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_PARAMETERS / Math.max(rows[0]?.length ?? 1, 1))));
  const room = maxPacket - OVERHEAD_BYTES;
  for (let at = 0; at < rows.length;) {
    let count = 0;
    let bytes = 0;
    while (count < most && at + count < rows.length) {
      const more = sizeOf(rows[at + count]!);
      if (more > room) {
        const message = `a row of ${more} bytes is larger than the server's max_allowed_packet of ${maxPacket}`;
        throw new TailraceError("destination.too_large", message);
      }
      if (count > 0 && bytes + more > Math.min(room, CHUNK_BYTES)) break;
      bytes += more;
      count += 1;
    }
    const size = 2 ** Math.floor(Math.log2(count));
    yield rows.slice(at, at + size);
    at += size;
  }
}

function sizeOf(row: CellRow): number {
  return row.reduce<number>((sum, cell) => sum + 9 + (cell === null ? 0 : Buffer.byteLength(cell)), 0);
}
