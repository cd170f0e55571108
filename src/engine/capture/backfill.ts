import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "../../contracts/change.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import type { Log } from "../../contracts/log.ts";
import type { SentIndex } from "../../contracts/sent-index.ts";
import type { Cursor, KeyValues, SnapshotChunk, Source } from "../../contracts/source.ts";
import type { BackfillProgress } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Values } from "../../contracts/values.ts";
import { keyOf, keyValues, readId, recordKeyOf } from "../delivery/delivery.ts";
import type { KeyedQueue } from "../delivery/keyed-queue.ts";
import { tellsOnce } from "../delivery/told-keeper.ts";
import type { Mapping } from "../mapping/compile.ts";
import { type Observer, UNOBSERVED } from "../observer.ts";
import { AckTracker, type Item, type ItemGroup } from "../progress/ack-tracker.ts";
import type { Mappings } from "./mappings.ts";
import { readEntry } from "./rows.ts";
import type { Seam } from "./seam.ts";

/** How far a backfill has come, as its tracker counts. */
interface Reached {
  readonly after: Cursor | null;
  readonly rows: number;
  /** `rows`: some are not done. `removing`: all are. `over`: also the removal of what is gone. */
  readonly stage: "rows" | "removing" | "over";
}

/**
 * Sends the rows that a model holds now, in key order, in chunks, beside the live changes. Resumable: what is stored is
 * the key below which every row is delivered or dead-lettered.
 */
export class Backfill {
  readonly #sync: Sync;
  readonly #source: Source;
  readonly #queue: KeyedQueue;
  readonly #seam: Seam;
  readonly #told: Pick<SentIndex, "known"> | null;
  readonly #log: Log;
  readonly #generation: number;
  readonly #tracker: AckTracker<Reached>;
  readonly #mappings: Mappings;
  readonly #streamAt: () => Position;
  readonly #wake: () => void;
  readonly #observer: Observer;
  #after: Cursor | null;
  #rows: number;
  #complete = false;
  /** Of the last chunk: rows that are still to be read again. */
  #stale: readonly StaleRow[] = [];
  readonly #removes: boolean;

  constructor(options: {
    readonly sync: Sync;
    readonly source: Source;
    readonly queue: KeyedQueue;
    readonly seam: Seam;
    readonly progress: BackfillProgress;
    /** When the rows are done, what is gone is to be removed; see {@link Backfill.addRemovals}. */
    readonly removes: boolean;
    /** Where a row is told once: what the stream has told before this process began. */
    readonly told?: Pick<SentIndex, "known"> | null;
    readonly mappings: Mappings;
    /** Up to where the stream has delivered. */
    readonly streamAt: () => Position;
    /** Rows were queued. */
    readonly wake: () => void;
    readonly observer?: Observer | undefined;
    readonly log: Log;
  }) {
    const { progress } = options;
    this.#sync = options.sync;
    this.#source = options.source;
    this.#queue = options.queue;
    this.#seam = options.seam;
    this.#log = options.log;
    this.#mappings = options.mappings;
    this.#streamAt = options.streamAt;
    this.#wake = options.wake;
    this.#observer = options.observer ?? UNOBSERVED;
    this.#told = options.told ?? null;
    this.#generation = progress.generation;
    this.#after = progress.after;
    this.#rows = progress.rows;
    this.#removes = options.removes;
    this.#complete = progress.removing === true;
    const stage = progress.removing === true ? "removing" : "rows";
    this.#tracker = new AckTracker<Reached>({ after: progress.after, rows: progress.rows, stage });
    if (tellsOnce(options.sync) && !this.#complete) this.#seam.created = new Set();
  }

  /** Rows read so far. */
  get rows(): number {
    return this.#rows;
  }

  /** What to store; null: the backfill is over, every row durably dealt with. */
  get progress(): BackfillProgress | null {
    return this.#progressOf(this.#tracker.reached);
  }

  /** The same, with these items finished. */
  progressWith(items: Iterable<Item>): BackfillProgress | null {
    return this.#progressOf(this.#tracker.reachedWith(items));
  }

  #progressOf(reached: Reached): BackfillProgress | null {
    const { after, rows, stage } = reached;
    if (stage === "over") return null;
    const progress = { generation: this.#generation, after, rows };
    return stage === "rows" ? progress : { ...progress, removing: true };
  }

  /** Whether every row is durably dealt with, or will be with the next checkpoint. */
  get rowsDone(): boolean {
    return this.#tracker.reached.stage !== "rows";
  }

  /** Whether removals are still to be queued. */
  get removes(): boolean {
    return this.#removes;
  }

  /** So many more records are about to be removed; the last time, that is the end of the backfill. */
  addRemovals(count: number, last: boolean): ItemGroup {
    const removing: Reached = { after: this.#after, rows: this.#rows, stage: "removing" };
    return this.#tracker.add(count, () => removing, last ? { ...removing, stage: "over" } : removing);
  }

  /** Whether the last row has been read and queued. */
  get complete(): boolean {
    return this.#complete && this.#stale.length === 0;
  }

  /**
   * Reads and queues to the end, or to the end of a chunk when `signal` aborts: what is sent of a chunk could not count
   * while rows of it are still to be read again. Throws what the source throws; may then be called again.
   */
  async run(signal: AbortSignal): Promise<void> {
    const patience = new AbortController();
    const lose = (): void => void setTimeout(() => patience.abort(), READ_AGAIN_MS).unref();
    signal.addEventListener("abort", lose, { once: true });
    this.#seam.begin();
    try {
      await this.#source.settle(signal);
      await this.#readAgain(patience.signal);
      while (!this.#complete && !signal.aborted) {
        await this.#room(signal);
        const chunk = await this.#source.snapshot(this.#sync.model, this.#after, CHUNK, signal);
        failpoint("chunk-read");
        if (this.#seam.created !== null) await this.#findTold(this.#seam.created, chunk, signal);
        this.#queueChunk(chunk);
        await this.#readAgain(patience.signal);
      }
    } finally {
      signal.removeEventListener("abort", lose);
      this.#seam.end();
      if (this.complete) this.#seam.created = null;
    }
  }

  /** Waits until the stream has brought what the snapshot sees: then all rows of the chunk that were told as new are in `created`. */
  async #findTold(created: Set<string>, chunk: SnapshotChunk, signal: AbortSignal): Promise<void> {
    const { relation } = this.#mappings.for(chunk.relation);
    const told = await this.#told?.known(chunk.rows.map((row) => keyOf(relation, row)));
    for (const key of told ?? []) created.add(key);
    while (this.#streamAt() < chunk.high) {
      signal.throwIfAborted();
      await this.#seam.moved(signal);
    }
  }

  /** The rows of a backfill wait here, not in memory, while the destination is busy with live changes. */
  async #room(signal: AbortSignal): Promise<void> {
    while (this.#queue.bytes > QUEUED_BYTES) {
      await delay(POLL_MS, undefined, { signal });
      if (this.#seam.noted > NOTED_TRANSACTIONS)
        this.#seam.admit(await this.#source.lookup(this.#sync.model, [], signal), []);
    }
  }

  /** Queues a chunk's rows at this moment of the stream, but for those to be read again. No `await` in here: see {@link Seam.admit}. */
  #queueChunk(chunk: SnapshotChunk): void {
    const mapping = this.#mappings.for(chunk.relation);
    const { relation } = mapping;
    const keys = chunk.rows.map((row) => keyOf(relation, row));
    const { fresh, stale } = this.#seam.admit(chunk, keys);
    const before = this.#rows;
    this.#rows += chunk.rows.length;
    this.#after = chunk.next ?? this.#after;
    this.#complete = chunk.next === null;
    const at = (index: number): Reached => ({
      after: keyValues(relation, chunk.rows[index]!),
      rows: before + index + 1,
      stage: "rows",
    });
    const stage = !this.#complete ? "rows" : this.#removes ? "removing" : "over";
    const end: Reached = { after: this.#after, rows: this.#rows, stage };
    const group = this.#tracker.add(chunk.rows.length, at, end);
    const again = new Set(stale);
    const staleRows: StaleRow[] = [];
    chunk.rows.forEach((row, index) => {
      const key = keys[index]!;
      const done = (): void => group.done(index);
      const item: Item = { group, index };
      if (again.has(key)) {
        // A stop must not leave it behind when rows after it have been sent: it keeps its place among them.
        staleRows.push({ key, values: keyValues(relation, row), done, item, order: this.#queue.reserve() });
      } else if (!fresh.has(key) || !this.#queueRow(mapping, key, row, item)) done();
    });
    this.#stale = staleRows;
    this.#wake();
  }

  #queueRow(mapping: Mapping, key: string, row: Values, item: Item, order = 0): boolean {
    if (this.#seam.created?.has(key) === true) return false;
    if (mapping.filter !== null && mapping.filter(row) !== true) return false;
    const op = READ_OPS[this.#sync.mode];
    const id = readId(this.#sync.name, this.#generation, key);
    const recordKey = recordKeyOf(mapping, this.#sync.mode, row, key);
    const read = { key, recordKey, values: row, id, at: this.#streamAt() };
    const entry = readEntry(mapping, op, read, item);
    entry.order = order;
    entry.observed = this.#observer.takes("read");
    if (entry.observed) this.#observer.read(entry, "backfill");
    this.#queue.add(entry);
    return true;
  }

  /** Rows that a partial change overtook: read until a snapshot sees that change. */
  async #readAgain(signal: AbortSignal): Promise<void> {
    while (this.#stale.length > 0) {
      const left = this.#stale;
      const chunk = await this.#source.lookup(
        this.#sync.model,
        left.map(({ values }) => values),
        signal,
      );
      const mapping = this.#mappings.for(chunk.relation);
      const { relation } = mapping;
      const rows = new Map(chunk.rows.map((row) => [keyOf(relation, row), row]));
      const found = left.filter(({ key }) => rows.has(key));
      const admitted = this.#seam.admit(
        chunk,
        found.map(({ key }) => key),
      );
      const again = new Set(admitted.stale);
      for (const row of left) {
        if (again.has(row.key)) continue;
        const values = rows.get(row.key);
        const isFresh = values !== undefined && admitted.fresh.has(row.key);
        if (!isFresh || !this.#queueRow(mapping, row.key, values, row.item, row.order)) row.done();
      }
      this.#wake();
      this.#stale = left.filter(({ key }) => again.has(key));
      if (this.#stale.length > 0) {
        this.#log.debug("rows changed while they were read; reading them again", { rows: this.#stale.length });
        await delay(POLL_MS, undefined, { signal });
      }
    }
  }
}

interface StaleRow {
  readonly key: string;
  readonly values: KeyValues;
  readonly item: Item;
  readonly order: number;
  done(): void;
}

/** What a row that is there means to the destination. */
export const READ_OPS = {
  upsert: "upsert",
  mirror: "upsert",
  insert: "create",
  update: "update",
  event: "event",
} as const;

const CHUNK = { rows: 10_000, bytes: 4 * 1024 * 1024 };
const QUEUED_BYTES = 8 * 1024 * 1024;
const NOTED_TRANSACTIONS = 20_000;
const POLL_MS = 10;
/** How long a stop waits for rows that are read again: mostly, a change of them is about to become visible. */
const READ_AGAIN_MS = 5_000;
