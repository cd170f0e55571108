import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import { silent } from "../../../test/support/webhook.ts";
import type { SnapshotChunk, Source } from "../../contracts/source.ts";
import { KeyedQueue } from "../delivery/keyed-queue.ts";
import { Backfill } from "./backfill.ts";
import { Mappings } from "./mappings.ts";
import { Seam } from "./seam.ts";

const relation = relationWith({ id: "bigint", plan: "text" });
const TRANSACTION = "7";

test("a stop lets rows be read again first, so that what was sent of their chunk counts", async () => {
  const sync = syncWith();
  const queue = new KeyedQueue({ merges: true });
  const seam = new Seam();
  const stop = new AbortController();
  let lookups = 0;
  const chunk = (rows: SnapshotChunk["rows"], visible: boolean): SnapshotChunk => ({
    relation,
    rows,
    next: ["2"],
    high: "B",
    sees: () => visible,
  });
  const source: Pick<Source, "settle" | "snapshot" | "lookup"> = {
    settle: async () => {},
    snapshot: async () => {
      // Streamed already, without the columns that did not change, and not visible to this snapshot.
      seam.observe(TRANSACTION, "1", true);
      stop.abort();
      return chunk(
        [
          ["1", "old"],
          ["2", "same"],
        ],
        false,
      );
    },
    lookup: async () => {
      lookups += 1;
      return chunk([["1", "new"]], lookups > 2);
    },
  };
  const backfill = new Backfill({
    sync,
    source: source as Source,
    queue,
    seam,
    progress: { generation: 0, after: null, rows: 0 },
    removes: false,
    mappings: new Mappings(sync, silent),
    streamAt: () => "B",
    wake: () => {},
    log: silent,
  });
  await backfill.run(stop.signal);
  for (const entry of queue.take(10, 1e9)) queue.finish(entry);
  expect(backfill.progress).toEqual({ generation: 0, after: ["2"], rows: 2 });
});
