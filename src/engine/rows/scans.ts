import { setTimeout as delay } from "node:timers/promises";
import type { PartialKeys } from "../../contracts/capture.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import type { RowIndex, SourceRowIndex } from "../../contracts/row-index.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { KeyValues, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { CaptureHost } from "../capture/capturing.ts";
import { keyValues, textsOfKey } from "../delivery/delivery.ts";
import type { Item } from "../progress/ack-tracker.ts";
import type { Comparison, Purpose, ReadRow } from "./comparison.ts";
import type { FirstLoad } from "./first-load.ts";
import { inSource } from "./in-source.ts";
import { Overtaken } from "./overtaken.ts";
import { persist } from "./persist.ts";
import { PlaceSet } from "./place-set.ts";
import type { Removals } from "./removals.ts";
import type { RowReader } from "./row-reader.ts";
import type { Timetable } from "./timetable.ts";
import type { Turns } from "./turns.ts";
import { Whole } from "./whole.ts";

export interface ScansOptions {
  readonly host: CaptureHost;
  readonly index: RowIndex;
  /** Columns of the key. */
  readonly keyColumns: number;
  readonly comparison: Comparison;
  readonly reader: RowReader;
  readonly removals: Removals;
  readonly turns: Turns;
  /** The rows that exist are still to be sent. */
  readonly load: FirstLoad | null;
  readonly timetable: Timetable;
  /** How long what makes a scan due is gathered before it begins, in ms. */
  readonly windowMs: number;
  /** The index knows nothing of what was sent, so that nothing that was told once can be told from what was not. */
  readonly quiet: boolean;
  /** No comparison begins before {@link Scans.begin}. */
  readonly waits: boolean;
  readonly ended: () => void;
}

/** What makes a scan due. */
interface Asked {
  /** Finished with it. */
  readonly items: Item[];
  /** What its snapshot must see; null: so many that everything committed is waited for. */
  transactions: Set<string> | null;
  /** When the oldest of that was committed, µs since the epoch. */
  since: bigint | null;
}

/**
 * Reads all rows: those that exist when a sync begins or is to send everything again, and comparisons of all rows with what was sent. One at a
 * time. What asks for a comparison while one is due is served by that one; while one runs, by exactly one more after it.
 */
export class Scans {
  readonly #options: ScansOptions;
  readonly #inSource: SourceRowIndex | null;
  #waits: boolean;
  #due: Asked | null = null;
  #underWay: Asked | null = null;
  /** While a scan runs: what was read beside it. */
  #overtaken: Overtaken | null = null;
  #wake: (() => void) | null = null;
  #lastTookMs = 0;
  #lastEndedMs = 0;

  constructor(options: ScansOptions) {
    this.#options = options;
    this.#waits = options.waits;
    this.#inSource = inSource(options.index);
    options.timetable.onAsked = () => this.#wake?.();
  }

  /** Comparisons may begin. */
  begin(): void {
    this.#waits = false;
    this.#wake?.();
  }

  /** A comparison is due. `item` is finished with it; `transactions` it must see; `since`: when that was committed, µs since the epoch. */
  ask(item: Item | null, transactions: Iterable<string> = [], since: bigint | null = null): void {
    const due = (this.#due ??= { items: [], transactions: new Set(), since });
    if (item !== null) due.items.push(item);
    due.since ??= since;
    if (due.transactions !== null) for (const transaction of transactions) due.transactions.add(transaction);
    if (due.transactions !== null && due.transactions.size > NOTED_TRANSACTIONS) due.transactions = null;
    this.#wake?.();
  }

  /** Rows that are read beside a scan, and so are not older than what it brings. */
  overtake(keys: Iterable<string>, partial: readonly PartialKeys[]): void {
    this.#overtaken?.add(keys, partial);
  }

  get idle(): boolean {
    return this.#due === null && this.#underWay === null;
  }

  /** When the oldest change was committed that made a scan due that has not ended; null: none is. */
  get since(): bigint | null {
    return this.#underWay?.since ?? this.#due?.since ?? null;
  }

  /** Scans whenever one is due. Ends only by throwing. */
  async run(signal: AbortSignal): Promise<never> {
    const { load, host, ended } = this.#options;
    if (load !== null) await persist("reading the rows that exist", () => this.#load(load, signal), signal, host.log);
    for (;;) {
      await this.#next(signal);
      const asked = this.#due!;
      this.#underWay = asked;
      this.#due = null;
      await persist("the comparison", () => this.#compare(asked, signal), signal, host.log);
      this.#underWay = null;
      ended();
    }
  }

  /** Until a scan is due, by request or by the clock. One that changes ask for does not come sooner than the last one took. */
  async #next(signal: AbortSignal): Promise<void> {
    const { timetable, windowMs } = this.#options;
    while (this.#due === null || this.#waits) {
      signal.throwIfAborted();
      const waitMs = this.#waits ? null : timetable.waitMs(Date.now());
      if (waitMs === 0) {
        this.ask(null);
        return;
      }
      const asked = new AbortController();
      this.#wake = () => asked.abort();
      await delay(Math.min(waitMs ?? LONGEST_MS, LONGEST_MS), undefined, {
        signal: AbortSignal.any([signal, asked.signal]),
      }).catch(() => {});
      this.#wake = null;
    }
    if (this.#due.transactions?.size === 0) return;
    const restMs = Math.max(windowMs, this.#lastEndedMs + this.#lastTookMs - Date.now());
    await delay(restMs, undefined, { signal });
  }

  /** What was asked is finished when all that this finds is; after a throw it is done again from the beginning. */
  async #compare(asked: Asked, signal: AbortSignal): Promise<void> {
    const { host, timetable, reader } = this.#options;
    const begunAtMs = Date.now();
    timetable.began(begunAtMs);
    if (asked.transactions === null) await host.source.settle(signal);
    else await reader.lookup([], [...asked.transactions], signal);
    const whole = new Whole(asked.items);
    if (this.#inSource === null) await this.#compareHere(whole, signal);
    else await this.#compareThere(this.#inSource, whole, signal);
    whole.done();
    this.#lastEndedMs = Date.now();
    this.#lastTookMs = this.#lastEndedMs - begunAtMs;
  }

  async #compareHere(whole: Whole, signal: AbortSignal): Promise<void> {
    const { host, index, comparison, removals, reader, turns, quiet } = this.#options;
    const queued = this.#queued();
    // While nothing else is sent, and nothing new comes in beside it, a scan that found so many has found all.
    const before = comparison.idle ? index.rows : null;
    const seen = new PlaceSet();
    const known = (place: number): void => seen.add(place);
    const purpose: Purpose = { by: "scan", transaction: null, generation: null, quiet, known };
    const overtaken = new Overtaken();
    const chunks = host.source.scan(host.sync.model, null, CHUNK, signal);
    await this.#rows(chunks, overtaken, partsOf(whole), purpose, signal);
    if (queued.size > 0) await turns.take(() => reader.read(queued, () => whole.part(), [], purpose, signal));
    const foundAll = before === seen.size && overtaken.isEmpty;
    if (!foundAll) await removals.run("diff", removals.unseen(seen), whole, signal);
  }

  /**
   * What is queued before a comparison begins is older than what that reads, and not as the index has it: it may differ from a row that
   * does not differ from that, or be of a row that is gone and that the index does not know yet.
   */
  #queued(): ReadonlyMap<string, KeyValues> {
    const { comparison, keyColumns } = this.#options;
    return new Map([...comparison.keys()].map((key) => [key, textsOfKey(key, keyColumns)]));
  }

  /** By the source: only what differs comes. */
  async #compareThere(index: SourceRowIndex, whole: Whole, signal: AbortSignal): Promise<void> {
    const { removals, reader, turns, quiet } = this.#options;
    const purpose: Purpose = { by: "scan", transaction: null, generation: null, quiet };
    const overtaken = new Overtaken();
    this.#overtaken = overtaken;
    try {
      const queued = this.#queued();
      await using differences = await index.compare(signal);
      await this.#rows(differences.rows(CHUNK, signal), overtaken, partsOf(whole), purpose, signal);
      if (queued.size > 0) await turns.take(() => reader.read(queued, () => whole.part(), [], purpose, signal));
      await removals.run("diff", (inner) => differences.goneKeys(inner), whole, signal);
      // When that fails, everything is offered once more.
      const settle = () => void differences.settled().catch(() => {});
      whole.join({ group: new Whole([], settle), index: 0 });
    } finally {
      this.#overtaken = null;
    }
  }

  /** After a throw it may be called again: it goes on where it was. */
  async #load(load: FirstLoad, signal: AbortSignal): Promise<void> {
    const { host, removals, timetable, ended } = this.#options;
    const isResync = host.generation > 0;
    timetable.began(Date.now(), load.after !== null);
    // Of rows that were found before a restart, it is not known any more that they were.
    const { rowsRead } = load;
    const seen = load.after === null && !rowsRead ? new PlaceSet() : null;
    if (!rowsRead) {
      await this.#loadRows(load, seen, signal);
      load.end(isResync);
    }
    if (isResync && seen !== null) {
      const whole = new Whole([load.removal()]);
      await removals.run("resync", removals.unseen(seen), whole, signal);
      whole.done();
    } else if (isResync || rowsRead) this.ask(load.removal());
    ended();
  }

  async #loadRows(load: FirstLoad, seen: PlaceSet | null, signal: AbortSignal): Promise<void> {
    const { host, quiet } = this.#options;
    const { source, sync, generation } = host;
    load.estimate ??= await source.estimate(sync.model, signal);
    // What is in the log before our place in it must be seen.
    await source.settle(signal);
    const isQuiet = quiet || !sync.backfill;
    const purpose: Purpose = {
      by: "backfill",
      transaction: null,
      generation: generation > 0 && !isQuiet ? generation : null,
      quiet: isQuiet,
      known: (place) => seen?.add(place),
    };
    const itemsOf = (relation: Relation, rows: readonly Values[]): Item[] => load.begin(relation, rows);
    const chunks = source.scan(sync.model, load.after, CHUNK, signal);
    await this.#rows(chunks, new Overtaken(), itemsOf, purpose, signal);
  }

  async #rows(
    chunks: AsyncIterable<SnapshotChunk>,
    overtaken: Overtaken,
    itemsOf: (relation: Relation, rows: readonly Values[]) => readonly Item[],
    purpose: Purpose,
    signal: AbortSignal,
  ): Promise<void> {
    const { reader, turns } = this.#options;
    this.#overtaken = overtaken;
    let lastKey: string | null = null;
    try {
      for await (const chunk of chunks) {
        failpoint("chunk-read");
        await reader.room(signal);
        await turns.take(async () => {
          lastKey = await this.#take(chunk, lastKey, overtaken, itemsOf, purpose, signal);
        });
      }
      signal.throwIfAborted();
    } finally {
      this.#overtaken = null;
    }
  }

  /**
   * Within a turn. What was read beside the scan may be newer: it is read again, and nothing can come between that and here. Returns the key of
   * the last row.
   */
  async #take(
    chunk: SnapshotChunk,
    lastKey: string | null,
    overtaken: Overtaken,
    itemsOf: (relation: Relation, rows: readonly Values[]) => readonly Item[],
    purpose: Purpose,
    signal: AbortSignal,
  ): Promise<string | null> {
    const { reader, comparison } = this.#options;
    const { mapping, rows } = reader.rowsOf(chunk);
    const { relation } = mapping;
    const repeated = lastKey === null ? undefined : rows.get(lastKey);
    if (repeated !== undefined) {
      reader.repeated(mapping, lastKey!, repeated);
      rows.delete(lastKey!);
    }
    const stale = new Map<string, KeyValues>();
    for (const [key, values] of rows) {
      const texts = keyValues(relation, values);
      if (overtaken.has(key, texts)) stale.set(key, texts);
    }
    const again = stale.size === 0 ? null : reader.rowsOf(await reader.lookup([...stale.values()], [], signal));
    const items = itemsOf(relation, [...rows.values()]);
    const read = [...rows].map(([key, values], index): ReadRow => {
      const item = items[index]!;
      if (!stale.has(key)) return { key, mapping, values, item };
      return { key, mapping: again!.mapping, values: again!.rows.get(key) ?? null, item };
    });
    await comparison.take(read, purpose, signal);
    return read.at(-1)?.key ?? lastKey;
  }
}

/** Each row is a part of the whole. */
function partsOf(whole: Whole): (relation: Relation, rows: readonly Values[]) => readonly Item[] {
  return (_, rows) => rows.map(() => whole.part());
}

const CHUNK = { rows: 2_000, bytes: 1024 * 1024 };
const NOTED_TRANSACTIONS = 10_000;
/** The longest that a timer can wait, and less. */
const LONGEST_MS = 24 * 3_600_000;
