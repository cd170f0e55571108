import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "../../contracts/change.ts";
import type { Source } from "../../contracts/source.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Values } from "../../contracts/values.ts";
import { keyOf, recordKeyOf } from "../delivery/delivery.ts";
import { rowsOf } from "../delivery/dead-letter.ts";
import type { KeyedQueue } from "../delivery/keyed-queue.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Observer } from "../observer.ts";
import type { Item } from "../progress/ack-tracker.ts";
import { READ_OPS } from "./backfill.ts";
import type { Mappings } from "./mappings.ts";
import { readEntry } from "./rows.ts";
import type { Seam } from "./seam.ts";

export interface RetriesOptions {
  readonly sync: Sync;
  readonly source: Source;
  readonly queue: KeyedQueue;
  readonly seam: Seam;
  readonly mappings: Mappings;
  readonly streamAt: () => Position;
  /** The dead letter with this id has been delivered, or its row is gone. */
  readonly resolved: (id: string) => void;
  readonly wake: () => void;
  readonly observer: Observer;
}

/**
 * Sends dead letters again. In the modes that send state it is not the old delivery that is sent, but the row as it is now
 * (or its removal): a retry cannot overwrite what is newer. Events, which cannot be read again, are sent as they were kept.
 * A retried row that is rejected again becomes the same dead letter again.
 */
export class Retries {
  readonly #options: RetriesOptions;

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  async run(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    const kept = letters.filter(({ payload }) => payload !== null);
    await this.#resend(kept, signal);
    const byKey = new Map<string, DeadLetter[]>();
    for (const letter of letters) {
      if (letter.payload !== null) continue;
      const key = JSON.stringify(letter.key);
      byKey.set(key, [...(byKey.get(key) ?? []), letter]);
    }
    if (byKey.size > 0) await this.#reread([...byKey.values()], signal);
  }

  async #resend(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    if (letters.length === 0) return;
    const { sync, source, mappings, wake } = this.#options;
    const mapping = mappings.for(await source.describe(sync.model, signal));
    for (const letter of letters) {
      const { event, before, after } = rowsOf(letter.payload!, mapping.relation);
      const values = after ?? before!;
      const key = keyOf(mapping.relation, values);
      const row = { key, recordKey: key, values, id: letter.id, at: letter.position };
      const entry = readEntry(mapping, READ_OPS[sync.mode], row, this.#item([letter]));
      entry.event = event;
      entry.before = before;
      entry.after = after;
      this.#queue(entry);
    }
    wake();
  }

  async #reread(groups: readonly (readonly DeadLetter[])[], signal: AbortSignal): Promise<void> {
    const { sync, source, seam, mappings, wake } = this.#options;
    seam.begin();
    try {
      await source.settle(signal);
      for (let left = groups; left.length > 0;) {
        const chunk = await source.lookup(
          sync.model,
          left.map((letters) => letters[0]!.key),
          signal,
        );
        const mapping = mappings.for(chunk.relation);
        const rows = new Map(chunk.rows.map((row) => [keyOf(mapping.relation, row), row]));
        const wanted = left.map((letters) => ({
          letters,
          key: keyOf(mapping.relation, keyRow(mapping, letters[0]!.key)),
        }));
        const { fresh, stale } = seam.admit(
          chunk,
          wanted.map(({ key }) => key),
        );
        const again = new Set(stale);
        for (const { letters, key } of wanted) {
          if (fresh.has(key)) this.#queueRow(mapping, key, rows.get(key), letters);
          // Overtaken by a newer change, which has been or is being delivered.
          else if (!again.has(key)) for (const { id } of letters) this.#options.resolved(id);
        }
        wake();
        left = wanted.filter(({ key }) => again.has(key)).map(({ letters }) => letters);
        if (left.length > 0) await delay(10, undefined, { signal });
      }
    } finally {
      seam.end();
    }
  }

  #queueRow(mapping: Mapping, key: string, row: Values | undefined, letters: readonly DeadLetter[]): void {
    const { sync, streamAt } = this.#options;
    const inside = row !== undefined && (mapping.filter === null || mapping.filter(row) === true);
    const removal = sync.mode === "mirror" && sync.onDelete.kind !== "ignore" ? sync.onDelete.kind : null;
    const op = inside ? READ_OPS[sync.mode] : removal;
    if (op === null) {
      for (const { id } of letters) this.#options.resolved(id);
      return;
    }
    const newest = letters.at(-1)!;
    const values = row ?? keyRow(mapping, newest.key);
    const recordKey = recordKeyOf(mapping, sync.mode, values, key);
    this.#queue(readEntry(mapping, op, { key, recordKey, values, id: newest.id, at: streamAt() }, this.#item(letters)));
  }

  #queue(entry: Entry): void {
    const { queue, observer } = this.#options;
    entry.observed = observer.takes("read");
    if (entry.observed) observer.read(entry, "retry");
    queue.add(entry);
  }

  /** Reports to the dead letters instead of to a checkpoint. A rejection stores the letter anew, after this resolved it. */
  #item(letters: readonly DeadLetter[]): Item {
    const done = (): void => {
      for (const { id } of letters) this.#options.resolved(id);
    };
    return { group: { tracker: this, done, alsoWaits: () => {}, suppose: () => {} }, index: 0 };
  }
}

/** A row of which only the key is known. */
function keyRow(mapping: Mapping, key: readonly string[]): Values {
  return mapping.relation.columns.map((_, place) => key[mapping.relation.key.indexOf(place)] ?? UNCHANGED);
}
