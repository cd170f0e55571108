// One reading of the log: chunks of the socket in, batches out.
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import type { BinlogDecoder } from "./binlog-decoder.ts";
import type { BinlogStream } from "./binlog-stream.ts";
import { eventIn } from "./dump.ts";
import type { TableShape } from "./table-shape.ts";
import { PacketReader } from "./wire/packets.ts";
import type { TableMap } from "./wire/table-map.ts";

/** Batches without a change are sent no more often than this. */
const EMPTY_EVERY_MS = 250;
/** A batch is handed on when it has so many changes, though more have come. */
const MOST_CHANGES = 5000;

/**
 * Batches of a chunk each, or of less: what is there is handed on at once, and not more than that is held. Throws what
 * the stream throws. The caller closes the stream.
 */
export async function* readBatches(
  stream: BinlogStream,
  decoder: BinlogDecoder,
  after: Position,
  shapeOf: (map: TableMap) => Promise<TableShape>,
): AsyncGenerator<ChangeBatch, void, undefined> {
  const packets = new PacketReader();
  let sentEnd = after;
  /** Null until the first batch: it says at once where the reading stands, on a server where nothing happens too. */
  let sentAtMs: number | null = null;
  let bytesRead = 0;
  const batch = (): ChangeBatch => {
    // Where a transaction is read anew, it is not come as far yet as it was.
    if (decoder.end > sentEnd) sentEnd = decoder.end;
    sentAtMs = Date.now();
    const bytes = bytesRead;
    bytesRead = 0;
    return { changes: decoder.take(), end: sentEnd, bytes };
  };
  for (;;) {
    // Progress without changes that was held back goes out when its time has come, if nothing else does.
    const heldBack = sentAtMs !== null && decoder.end > sentEnd;
    const next = stream.next(heldBack ? Math.max(1, sentAtMs! + EMPTY_EVERY_MS - Date.now()) : 0);
    const chunk = Buffer.isBuffer(next) ? next : await next;
    if (chunk) {
      bytesRead += chunk.length;
      packets.push(chunk);
    }
    for (let packet = packets.next(); packet !== null; packet = packets.next()) {
      const from = eventIn(packet);
      if (from === null) continue;
      let map = decoder.read(packet.buffer, from, packet.to);
      for (;;) {
        if (map !== null) decoder.provide(await shapeOf(map));
        if (decoder.waiting >= MOST_CHANGES) yield batch();
        if (!decoder.holdsMore) break;
        map = decoder.next();
      }
    }
    const due = sentAtMs === null || (decoder.end > sentEnd && Date.now() - sentAtMs >= EMPTY_EVERY_MS);
    if (decoder.waiting > 0 || due) yield batch();
  }
}
