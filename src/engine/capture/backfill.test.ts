import { expect, test } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import { silent } from "../../../test/support/webhook.ts";
import type { SnapshotChunk, Source } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { KeyedQueue } from "../delivery/keyed-queue.ts";
import { Backfill } from "./backfill.ts";
import { Mappings } from "./mappings.ts";
import { Seam } from "./seam.ts";

const relation = relationWith({ id: "bigint", plan: "text" });
const TRANSACTION = "7";

/**
 * A backfill of one chunk. The stream has delivered a change of its row 1 already, without the columns that did not change, and
 * the chunk's snapshot does not see it: the row must be read again. `lookup` is called for that; it returns whether its
 * snapshot sees the change.
 */
function overtaken(options: {
  readonly rows: readonly Values[];
  readonly next: SnapshotChunk["next"];
  readonly onChunk?: () => void;
  readonly lookup: () => boolean;
}) {
  const queue = new KeyedQueue({ merges: true });
  const seam = new Seam();
  const chunk = (rows: SnapshotChunk["rows"], visible: boolean): SnapshotChunk => ({
    relation,
    rows,
    next: options.next,
    high: "B",
    sees: () => visible,
  });
  const source: Pick<Source, "settle" | "snapshot" | "lookup"> = {
    settle: async () => {},
    snapshot: async () => {
      seam.observe(TRANSACTION, "1", true);
      options.onChunk?.();
      return chunk(options.rows, false);
    },
    lookup: async () => chunk([["1", "new"]], options.lookup()),
  };
  const backfill = new Backfill({
    sync: syncWith(),
    source: source as Source,
    queue,
    seam,
    progress: { generation: 0, after: null, rows: 0 },
    removes: false,
    mappings: new Mappings(syncWith(), silent),
    streamAt: () => "B",
    wake: () => {},
    log: silent,
  });
  const send = (rows: number): readonly string[] => {
    const entries = queue.take(rows, 1e9);
    for (const entry of entries) queue.finish(entry);
    return entries.map(({ rowKey }) => rowKey);
  };
  return { backfill, queue, send };
}

test("a stop lets rows be read again first, so that what was sent of their chunk counts", async () => {
  const stop = new AbortController();
  let lookups = 0;
  const { backfill, send } = overtaken({
    rows: [
      ["1", "old"],
      ["2", "same"],
    ],
    next: ["2"],
    onChunk: () => stop.abort(),
    lookup: () => (lookups += 1) > 2,
  });
  await backfill.run(stop.signal);
  send(10);
  expect(backfill.progress).toEqual({ generation: 0, after: ["2"], rows: 2 });
});

test("a stop sends a row that was read again when a row behind it was sent before: none is sent twice", async () => {
  const stop = new AbortController();
  const { backfill, queue, send } = overtaken({
    rows: [
      ["1", "old"],
      ["2", "same"],
      ["3", "same"],
    ],
    next: ["3"],
    lookup: () => {
      expect(send(1)).toEqual(["2"]);
      stop.abort();
      return true;
    },
  });
  await backfill.run(stop.signal);
  queue.close();
  expect(send(10)).toEqual(["1"]);
  expect(backfill.progress).toEqual({ generation: 0, after: ["2"], rows: 2 });
});

test("rows that were to be read again when the source was lost are read by the next run", async () => {
  let lookups = 0;
  const { backfill, send } = overtaken({
    rows: [
      ["1", "old"],
      ["2", "same"],
    ],
    next: null,
    lookup: () => {
      lookups += 1;
      if (lookups === 1) throw new Error("the connection was lost");
      return true;
    },
  });
  const { signal } = new AbortController();
  await expect(backfill.run(signal)).rejects.toThrow("the connection was lost");
  expect(backfill.complete).toBe(false);
  await backfill.run(signal);
  expect(backfill.complete).toBe(true);
  expect(send(10)).toEqual(["2", "1"]);
  expect(backfill.progress).toBe(null);
});
