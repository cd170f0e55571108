import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "../../contracts/change.ts";
import type { SentRecord } from "../../contracts/sent-index.ts";
import type { Source } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Log } from "../../contracts/log.ts";
import { goneId, keyOf } from "../delivery/delivery.ts";
import type { KeyedQueue } from "../delivery/keyed-queue.ts";
import type { Hold } from "../delivery/keeper.ts";
import { rowOfRecord, type SentKeeper } from "../delivery/sent-keeper.ts";
import type { Backfill } from "./backfill.ts";
import type { Mappings } from "./mappings.ts";
import { readEntry } from "./rows.ts";

export interface RemovalOptions {
  readonly sync: Sync;
  readonly source: Source;
  readonly queue: KeyedQueue;
  readonly mappings: Mappings;
  readonly sent: SentKeeper;
  readonly backfill: Backfill;
  readonly streamAt: () => Position;
  readonly wake: () => void;
  /** How many of so many records may be removed; of this resync, all that a person has approved of. */
  readonly allowed: (records: number) => number;
  readonly hold: Hold;
  readonly log: Log;
}

/**
 * The end of a resync: removes the records whose rows it has not found. When every row that was read is done, and the stream has come to
 * where the log was then, a record that was last sent in an earlier generation has no row: one that has was sent by the backfill, or by
 * the change that made it. What such a change queues or announces meanwhile is left alone. May be run again from the beginning at any time.
 */
export class Removal {
  readonly #options: RemovalOptions;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /** Queues every removal. Throws what the source and the index throw, and `delivery.too_many_deletes`. */
  async run(signal: AbortSignal): Promise<void> {
    const { sync, source, backfill, streamAt, sent, log } = this.#options;
    await until(() => backfill.rowsDone, signal);
    const { high } = await source.lookup(sync.model, [], signal);
    await until(() => streamAt() >= high, signal);
    const { gone, records } = await this.#count(signal);
    if (gone > this.#options.allowed(records)) await this.#options.hold("resync", { rows: gone, of: records });
    if (gone > 0) log.info("removing the records whose rows are gone", { records: gone, of: records });
    try {
      for (let after: string | null = null, last = false; !last;) {
        await until(() => this.#options.queue.bytes <= QUEUED_BYTES, signal);
        // A record that is sent after the index was asked is not gone any more.
        const touched = sent.watch();
        const page = await sent.index.others(sent.generation, after);
        signal.throwIfAborted();
        const mapping = this.#mapping ?? (await this.#describe(signal));
        this.#queuePage(mapping, page.records, touched, page.next === null);
        after = page.next;
        last = after === null;
      }
    } finally {
      sent.unwatch();
    }
  }

  #mapping: ReturnType<Mappings["for"]> | null = null;

  async #describe(signal: AbortSignal): Promise<ReturnType<Mappings["for"]>> {
    const { sync, source, mappings } = this.#options;
    this.#mapping = mappings.for(await source.describe(sync.model, signal));
    return this.#mapping;
  }

  async #count(signal: AbortSignal): Promise<{ readonly gone: number; readonly records: number }> {
    const { sent } = this.#options;
    let gone = 0;
    let records = 0;
    for (let after: string | null = null, last = false; !last;) {
      const page = await sent.index.others(sent.generation, after);
      signal.throwIfAborted();
      gone += page.records.length;
      records += page.covered;
      after = page.next;
      last = after === null;
    }
    return { gone, records };
  }

  #queuePage(
    mapping: ReturnType<Mappings["for"]>,
    records: readonly SentRecord[],
    touched: ReadonlySet<string>,
    isLast: boolean,
  ): void {
    const { sync, queue, sent, backfill, streamAt, wake } = this.#options;
    const op = sync.onDelete.kind;
    const gone = records.filter(({ key }) => op !== "ignore" && !touched.has(key) && !queue.has(key));
    const group = backfill.addRemovals(gone.length, isLast);
    gone.forEach((record, index) => {
      if (op === "ignore") return;
      const values = rowOfRecord(record, mapping);
      const row = {
        key: keyOf(mapping.relation, values),
        recordKey: record.key,
        values,
        id: goneId(sync.name, sent.generation, record.key),
        at: streamAt(),
      };
      queue.add(readEntry(mapping, op, row, { group, index }));
    });
    wake();
  }
}

async function until(holds: () => boolean, signal: AbortSignal): Promise<void> {
  while (!holds()) await delay(POLL_MS, undefined, { signal });
}

const QUEUED_BYTES = 8 * 1024 * 1024;
const POLL_MS = 10;
