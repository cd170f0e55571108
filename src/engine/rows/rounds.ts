import { setTimeout as delay } from "node:timers/promises";
import type { Affected, LiveQuery, PartialKeys } from "../../contracts/capture.ts";
import type { Change } from "../../contracts/change.ts";
import type { RowIndex } from "../../contracts/row-index.ts";
import type { KeyValues } from "../../contracts/source.ts";
import { keyOfTexts, textsOfKey } from "../delivery/delivery.ts";
import type { Item } from "../progress/ack-tracker.ts";
import type { Comparison } from "./comparison.ts";
import { unseenMs } from "./persist.ts";
import type { RowReader } from "./row-reader.ts";
import type { Turns } from "./turns.ts";
import { Whole } from "./whole.ts";

/** Changes of one batch. */
interface Gathered {
  readonly changes: readonly Change[];
  readonly bytes: number;
  readonly item: Item;
  readonly atMs: number;
}

export interface RoundsOptions {
  readonly query: LiveQuery;
  readonly windowMs: number;
  /** Columns of the key. */
  readonly keyColumns: number;
  readonly index: RowIndex;
  readonly comparison: Comparison;
  readonly reader: RowReader;
  readonly turns: Turns;
  /** Every row may be affected: a scan is due, and `item` is finished with it. */
  readonly all: (item: Item, transactions: ReadonlySet<string>) => void;
  /** These rows are read now. */
  readonly reads: (keys: Iterable<string>, partial: readonly PartialKeys[]) => void;
  /** A round is over. */
  readonly ended: () => void;
}

/**
 * Turns changes of the tables of a query into rows of the query, in rounds, one after another: changes are gathered for a window, or until
 * there are enough; the query says which keys they affect; the rows of these keys are read. While one round is evaluated, the next is gathered.
 */
export class Rounds {
  readonly #options: RoundsOptions;
  #gathered: Gathered[] = [];
  #bytes = 0;
  #changes = 0;
  #underWay: readonly Gathered[] = [];
  #wake: (() => void) | null = null;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** `item` is finished when all that these changes brought is. */
  gather(changes: readonly Change[], bytes: number, item: Item): void {
    this.#gathered.push({ changes, bytes, item, atMs: Date.now() });
    this.#bytes += bytes;
    this.#changes += changes.length;
    this.#wake?.();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** µs since the epoch; null: nothing waits. */
  get since(): bigint | null {
    const oldest = this.#underWay[0] ?? this.#gathered[0];
    return oldest?.changes[0]!.transaction.committedAt ?? null;
  }

  get idle(): boolean {
    return this.#gathered.length === 0 && this.#underWay.length === 0;
  }

  /** Evaluates one round when it is due. Throws what the source and the index throw; then its changes wait for the next one. */
  async next(signal: AbortSignal): Promise<void> {
    await this.#due(signal);
    const round = this.#take();
    this.#underWay = round;
    try {
      await this.#options.turns.take(() => this.#evaluate(round, signal));
      this.#bytes -= bytesOf(round);
    } catch (error) {
      this.#gathered.unshift(...round);
      this.#changes += round.reduce((sum, { changes }) => sum + changes.length, 0);
      throw error;
    } finally {
      this.#underWay = [];
    }
    this.#options.ended();
  }

  async #due(signal: AbortSignal): Promise<void> {
    while (this.#gathered.length === 0) await this.#more(null, signal);
    const dueMs = this.#gathered[0]!.atMs + this.#options.windowMs;
    while (!this.#full) {
      const leftMs = dueMs - Date.now();
      if (leftMs <= 0) return;
      await this.#more(leftMs, signal);
    }
  }

  get #full(): boolean {
    return this.#changes >= CHANGES || this.#bytes >= BYTES;
  }

  /** Resolves when enough has come to look again, or after a while. */
  async #more(ms: number | null, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => resolve();
    signal.addEventListener("abort", end, { once: true });
    const timer = ms === null ? null : setTimeout(end, ms);
    this.#wake = () => {
      if (ms === null || this.#full) resolve();
    };
    await promise;
    this.#wake = null;
    if (timer !== null) clearTimeout(timer);
    signal.removeEventListener("abort", end);
    signal.throwIfAborted();
  }

  #take(): readonly Gathered[] {
    let changes = 0;
    let bytes = 0;
    let count = 0;
    for (const batch of this.#gathered) {
      if (count > 0 && (changes + batch.changes.length > CHANGES || bytes + batch.bytes > BYTES)) break;
      changes += batch.changes.length;
      bytes += batch.bytes;
      count += 1;
    }
    this.#changes -= changes;
    return this.#gathered.splice(0, count);
  }

  async #evaluate(round: readonly Gathered[], signal: AbortSignal): Promise<void> {
    const { reader, all, reads } = this.#options;
    const changes = round.flatMap((batch) => batch.changes);
    const transactions = new Set(changes.map(({ transaction }) => transaction.id));
    const whole = new Whole(round.map(({ item }) => item));
    const affected = await this.#affected(changes, transactions, signal);
    const keys = await this.#keysOf(affected);
    reads(keys.keys(), affected.partial);
    const purpose = { by: "query", transaction: changes[0]!.transaction, generation: null, quiet: false } as const;
    await reader.read(keys, () => whole.part(), transactions, purpose, signal);
    // After what can fail: a round that is evaluated again must not ask twice.
    if (affected.all) all(whole.part(), transactions);
    whole.done();
  }

  /** From a snapshot that sees all the changes: one that does not may give too few. */
  async #affected(
    changes: readonly Change[],
    transactions: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Affected> {
    for (let asked = 1; ; asked += 1) {
      const affected = await this.#options.query.affected(changes, signal);
      if ([...transactions].every((transaction) => affected.sees(transaction))) return affected;
      await delay(unseenMs(asked), undefined, { signal });
    }
  }

  /** With the rows that parts of keys stand for: those that were sent, or are about to be. */
  async #keysOf({ keys, partial }: Affected): Promise<Map<string, KeyValues>> {
    const { index, comparison, keyColumns } = this.#options;
    const found = new Map<string, KeyValues>();
    for (const values of keys) found.set(keyOfTexts(values), values);
    for (const { places, values } of partial) {
      if (values.length === 0) continue;
      for (const key of await index.matching(places, values)) found.set(key, textsOfKey(key, keyColumns));
      const wanted = new Set(values.map((texts) => JSON.stringify(texts)));
      for (const key of comparison.keys()) {
        const texts = textsOfKey(key, keyColumns);
        if (wanted.has(JSON.stringify(places.map((place) => texts[place])))) found.set(key, texts);
      }
    }
    return found;
  }
}

function bytesOf(round: readonly Gathered[]): number {
  return round.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** So many are a round without waiting for more. */
const CHANGES = 10_000;
const BYTES = 4 * 1024 * 1024;
