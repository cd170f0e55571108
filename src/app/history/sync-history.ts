import type { Change } from "../../contracts/change.ts";
import type { Delivery } from "../../contracts/destination.ts";
import type { TailraceError } from "../../contracts/errors.ts";
import { idOf, keyValues } from "../../engine/delivery/delivery.ts";
import type { Entry } from "../../engine/delivery/entry.ts";
import type { Observer, ReadBy, Unsent } from "../../engine/observer.ts";
import type { Recorder } from "./history.ts";
import { cut, type HistoryGap, LONGEST_RECORD, rowOf } from "./record.ts";

/** What happens to the rows of one sync, as records. */
export class SyncHistory implements Observer {
  readonly #sync: string;
  readonly #recorder: Recorder;
  #left = 0;
  #leftSince = 0;
  #toldAtMs = 0;

  constructor(sync: string, recorder: Recorder) {
    this.#sync = sync;
    this.#recorder = recorder;
  }

  takes(kind: "change" | "read"): boolean {
    if (this.#recorder.hasRoom(kind)) return true;
    if (this.#left === 0) this.#leftSince = Date.now();
    this.#left += 1;
    return false;
  }

  /** Rows that were not taken since this was last asked, at most once a second; null: none. */
  gap(at: number): HistoryGap | null {
    if (this.#left === 0 || at - this.#toldAtMs < GAP_EVERY_MS) return null;
    const rows = this.#left;
    this.#left = 0;
    this.#toldAtMs = at;
    return { at, sync: this.#sync, what: "gap", rows, since: this.#leftSince, because: "rate" };
  }

  captured(change: Change, unsent: Unsent | null): void {
    const { relation, before, after, op, position, transaction } = change;
    const key = keyValues(relation, after ?? before!);
    const hadKey = before !== null && relation.key.every((place) => typeof before[place] === "string");
    const was = hadKey ? keyValues(relation, before) : key;
    this.#recorder.put({
      at: Date.now(),
      sync: this.#sync,
      key,
      what: "captured",
      op,
      position,
      committedAt: Number(transaction.committedAt / 1000n),
      ...(was.every((text, place) => text === key[place]) ? {} : { was }),
      old: rowOf(relation, before),
      new: rowOf(relation, after),
      unsent,
    });
  }

  read(entry: Entry, by: ReadBy): void {
    const row = rowOf(entry.mapping.relation, entry.after ?? entry.before);
    this.#recorder.put({ ...this.#about(entry), what: "read", by, id: idOf(this.#sync, entry), new: row });
  }

  sent(entries: readonly Entry[], deliveries: readonly Delivery[]): void {
    for (let place = 0; place < entries.length; place += 1) {
      const entry = entries[place]!;
      if (!entry.observed) continue;
      const { id, op, attempt, record, bytes } = deliveries[place]!;
      this.#recorder.put({
        ...this.#about(entry),
        what: "sent",
        id,
        op,
        attempt,
        rows: entries.length,
        // One that is large is not written to JSON a second time only to be cut.
        record: bytes > LARGE_BYTES ? `… (about ${bytes} bytes)` : cut(record.json(), LONGEST_RECORD),
      });
    }
  }

  delivered(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (!entry.observed) continue;
      this.#recorder.put({ ...this.#about(entry), what: "delivered", id: idOf(this.#sync, entry) });
    }
  }

  needless(entries: Iterable<Entry>): void {
    for (const entry of entries) {
      if (!entry.observed) continue;
      this.#recorder.put({ ...this.#about(entry), what: "needless", id: idOf(this.#sync, entry) });
    }
  }

  failed(entries: readonly Entry[], { code, message }: TailraceError): void {
    for (const entry of entries) {
      if (!entry.observed) continue;
      this.#recorder.put({ ...this.#about(entry), what: "failed", id: idOf(this.#sync, entry), code, message });
    }
  }

  /** A rejection is worth room also where its row was not taken; then it brings the row along. */
  rejected(entry: Entry, { code, message, answer }: TailraceError): void {
    const { relation } = entry.mapping;
    this.#recorder.put({
      ...this.#about(entry),
      what: "rejected",
      id: idOf(this.#sync, entry),
      code,
      message,
      answer: answer ?? null,
      attempts: entry.attempts,
      ...(entry.observed ? {} : { old: rowOf(relation, entry.before), new: rowOf(relation, entry.after) }),
    });
  }

  #about(entry: Entry): { readonly at: number; readonly sync: string; readonly key: readonly string[] } {
    return { at: Date.now(), sync: this.#sync, key: keyValues(entry.mapping.relation, entry.after ?? entry.before!) };
  }
}

const GAP_EVERY_MS = 1_000;
const LARGE_BYTES = 64 * 1024;
