import type { Capture } from "../../contracts/capture.ts";
import type { Change, ChangeBatch, Position } from "../../contracts/change.ts";
import type { RowIndex } from "../../contracts/row-index.ts";
import type { Checkpoint, DeadLetter, HeldDeletes } from "../../contracts/state.ts";
import { READ_OPS } from "../capture/backfill.ts";
import type { CaptureHost, Capturing } from "../capture/capturing.ts";
import { readEntry } from "../capture/rows.ts";
import { rowsOf } from "../delivery/dead-letter.ts";
import type { DeleteGuard } from "../delivery/delete-guard.ts";
import { keyOf, keyOfTexts, versionOfId } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import { AckTracker, type Item } from "../progress/ack-tracker.ts";
import { Comparison } from "./comparison.ts";
import { FirstLoad } from "./first-load.ts";
import { tellsOnce } from "./hashed-columns.ts";
import { persist } from "./persist.ts";
import { Removals } from "./removals.ts";
import { Rounds } from "./rounds.ts";
import { RowKeeper } from "./row-keeper.ts";
import { RowReader } from "./row-reader.ts";
import { Scans } from "./scans.ts";
import type { Timetable } from "./timetable.ts";
import { Turns } from "./turns.ts";
import { finishedWith, Whole } from "./whole.ts";

export interface RowCaptureOptions {
  readonly capture: Exclude<Capture, { readonly kind: "log" }>;
  readonly index: RowIndex;
  /** Columns of the model's key. */
  readonly keyColumns: number;
  /** null: nothing is ever removed at the destination. */
  readonly guard: DeleteGuard | null;
  /** What was held when it was opened. */
  readonly held: HeldDeletes | null;
  readonly timetable: Timetable;
  /**
   * The run ends when it has caught up, and compares before that, whatever the log says; not sooner, so that what the log says meanwhile is
   * served by that comparison, too.
   */
  readonly compares: boolean;
}

/**
 * A model that is not read from the log itself: everything is a reading of rows, of some by their keys or of all, each compared with what was
 * last sent. Changes of the tables that the model reads say which rows, or that all, are to be read again.
 */
export class RowCapture implements Capturing {
  readonly keeper: RowKeeper;
  readonly #host: CaptureHost;
  readonly #capture: RowCaptureOptions["capture"];
  readonly #tracker: AckTracker<Position>;
  readonly #after: Position;
  readonly #comparison: Comparison;
  readonly #reader: RowReader;
  readonly #turns = new Turns();
  readonly #rounds: Rounds | null;
  readonly #scans: Scans;
  readonly #load: FirstLoad | null;
  readonly #compares: boolean;
  readonly #stopped = new AbortController();
  #catchingUp = true;
  #streamAt: Position;

  constructor(host: CaptureHost, options: RowCaptureOptions) {
    const { sync, checkpoint, observer, hold } = host;
    const { capture, index, guard, held, keyColumns } = options;
    this.#host = host;
    this.#capture = capture;
    this.#tracker = new AckTracker(checkpoint.position);
    this.#after = checkpoint.position;
    this.#streamAt = checkpoint.position;
    guard?.begin(index.rows, held, Date.now());
    this.keeper = new RowKeeper({ sync: sync.name, index, guard, hold, observer });
    const comparison = new Comparison(host, index, () => this.#streamAt, this.#stopped.signal);
    const reader = new RowReader(host, comparison, index);
    const turns = this.#turns;
    const shared = { host, index, comparison, reader, turns, keyColumns };
    this.#comparison = comparison;
    this.#reader = reader;
    this.#load = checkpoint.backfill === null ? null : new FirstLoad(checkpoint.backfill);
    const windowMs = sync.model.kind === "query" ? sync.model.windowMs : 0;
    const lost = index.isNew && (this.#load === null || this.#load.rowsRead);
    this.#scans = new Scans({
      ...shared,
      removals: new Removals({ ...shared, guard, held }),
      load: this.#load,
      timetable: options.timetable,
      windowMs,
      quiet: lost && tellsOnce(sync),
      waits: options.compares,
      ended: () => host.moved(),
    });
    // What reads all rows from the first one on leaves nothing to compare.
    const readsAll = this.#load !== null && this.#load.after === null && !this.#load.rowsRead;
    this.#compares = options.compares && !readsAll;
    this.#rounds =
      capture.kind !== "live"
        ? null
        : new Rounds({
            ...shared,
            query: capture.query,
            windowMs,
            all: (item, transactions) => this.#scans.ask(item, transactions),
            reads: (keys, partial) => this.#scans.overtake(keys, partial),
            ended: () => host.moved(),
          });
    if (lost) {
      host.log.warn(
        "there is no index of the rows that were sent (it was lost, or other columns or records are sent now): all rows are read to make it anew",
      );
    }
    if ((lost && this.#load === null) || (held?.by === "diff" && held.approved)) this.#scans.ask(null);
  }

  accept(batch: ChangeBatch): void {
    if (this.#catchingUp) {
      if (batch.end <= this.#after) return;
      this.#catchingUp = batch.changes.length > 0 && batch.changes[0]!.position <= this.#after;
    }
    const changes = batch.changes.filter((change) => this.#concerns(change));
    if (batch.end > this.#streamAt) this.#streamAt = batch.end;
    const group = this.#tracker.add(Math.min(changes.length, 1), () => batch.end, batch.end);
    if (changes.length === 0) return;
    const whole = new Whole([{ group, index: 0 }]);
    const rows: Change[] = [];
    const scans = new Set<string>();
    for (const change of changes) {
      const isRow = this.#rounds !== null && change.op !== "truncate" && change.op !== "touched";
      if (isRow) rows.push(change);
      else scans.add(change.transaction.id);
    }
    if (rows.length > 0) this.#rounds!.gather(rows, batch.bytes, whole.part());
    if (scans.size > 0) this.#scans.ask(whole.part(), scans, changes[0]!.transaction.committedAt);
    whole.done();
  }

  caughtUp(): void {
    if (this.#compares) this.#scans.ask(null);
    this.#scans.begin();
  }

  #concerns({ relation, position }: Change): boolean {
    if (position <= this.#after) return false;
    const relations = this.#capture.kind === "live" ? this.#capture.query.relations : this.#capture.triggers;
    return relations?.has(relation.id) ?? false;
  }

  /** Ends only by throwing. */
  async run(until: AbortSignal): Promise<void> {
    // One that fails for good ends the other.
    const failed = new AbortController();
    const signal = AbortSignal.any([until, this.#stopped.signal, failed.signal]);
    const works = [this.#scans.run(signal), ...(this.#rounds === null ? [] : [this.#runRounds(this.#rounds, signal)])];
    try {
      await Promise.race(works);
    } catch (error) {
      failed.abort();
      await Promise.allSettled(works);
      if (!until.aborted) throw error;
    }
  }

  async #runRounds(rounds: Rounds, signal: AbortSignal): Promise<never> {
    for (;;) await persist("reading the rows that changes affect", () => rounds.next(signal), signal, this.#host.log);
  }

  stop(): void {
    this.#stopped.abort();
  }

  get waitingBytes(): number {
    return this.#rounds?.bytes ?? 0;
  }

  get waitingSince(): bigint | null {
    const { since } = this.#scans;
    const changed = this.#rounds?.since ?? null;
    return since === null || (changed !== null && changed < since) ? changed : since;
  }

  get settled(): boolean {
    const read = (this.#rounds?.idle ?? true) && this.#scans.idle && this.#comparison.idle;
    return read && this.backfill === null;
  }

  reached(items: readonly Item[]): Pick<Checkpoint, "position" | "backfill"> {
    if (items.length === 0) return { position: this.#tracker.reached, backfill: this.#load?.progress ?? null };
    const finished = finishedWith(items);
    return { position: this.#tracker.reachedWith(finished), backfill: this.#load?.progressWith(finished) ?? null };
  }

  get backfill(): Capturing["backfill"] {
    const progress = this.#load?.progress ?? null;
    return progress === null ? null : { rows: progress.rows, estimate: this.#load!.estimate };
  }

  /** Rows are read whole. */
  async fill(): Promise<readonly Entry[]> {
    return [];
  }

  /**
   * In the modes that send state the row is read again, and sent as it is now, or removed, unless that has been done meanwhile. Events are sent
   * as they were kept.
   */
  async retry(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    await this.#sayAgain(
      letters.filter(({ payload }) => payload !== null),
      signal,
    );
    const keys = new Map<string, readonly string[]>();
    const groups = new Map<string, Whole>();
    for (const { id, key: texts, payload } of letters) {
      if (payload !== null) continue;
      const key = keyOfTexts(texts);
      keys.set(key, texts);
      const group = groups.get(key) ?? new Whole([]);
      groups.set(key, group);
      group.join({ group: new Whole([], () => this.#host.resolved(id)), index: 0 });
      this.#reader.tellAgain(key);
    }
    const purpose = { by: "retry", transaction: null, generation: null, quiet: false } as const;
    const itemOf = (key: string): Item => ({ group: groups.get(key) ?? new Whole([]), index: 0 });
    await this.#turns.take(() => {
      this.#scans.overtake(keys.keys(), []);
      return this.#reader.read(keys, itemOf, [], purpose, signal);
    });
  }

  async #sayAgain(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    if (letters.length === 0) return;
    const { sync, source, mappings, queue, observer } = this.#host;
    const mapping = mappings.for(await source.describe(sync.model, signal));
    for (const { id, payload, position } of letters) {
      const { event, before, after } = rowsOf(payload!, mapping.relation);
      const values = after ?? before!;
      const key = keyOf(mapping.relation, values);
      const group = new Whole([], () => this.#host.resolved(id));
      const row = { key, recordKey: key, values, id, at: position };
      const entry = readEntry(mapping, READ_OPS[sync.mode], row, { group, index: 0 });
      entry.event = event;
      entry.before = before;
      entry.after = after;
      entry.live = true;
      entry.observed = observer.takes("read");
      if (entry.observed) observer.read(entry, "retry");
      this.keeper.repeats(entry, versionOfId(id) ?? -1);
      queue.add(entry);
    }
    this.#host.wake();
  }
}
