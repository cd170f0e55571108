import type { Change, ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Sync } from "../../contracts/sync.ts";
import { overlay, type Values } from "../../contracts/values.ts";
import { keyOf, recordKeyOf } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import type { KeyedQueue } from "../delivery/keyed-queue.ts";
import type { Mapping } from "../mapping/compile.ts";
import { type Observer, UNOBSERVED } from "../observer.ts";
import type { AckTracker, Group, ItemGroup } from "../progress/ack-tracker.ts";
import type { Mappings } from "./mappings.ts";
import { newEntry } from "./rows.ts";
import type { Seam } from "./seam.ts";

/**
 * Takes the source's batches for one sync: picks its table's changes, decides by mode and `where` what each means
 * for the destination, and queues that.
 */
export class Intake {
  readonly #sync: Sync;
  readonly #queue: KeyedQueue;
  readonly #tracker: AckTracker<Position>;
  readonly #seam: Seam;
  /** The destination keeps fields that a delivery leaves out. */
  readonly #partialUpdates: boolean;
  readonly #relationId: string;
  readonly #observer: Observer;
  /** Whether the observer hears of the change that is being taken. */
  #observed = false;
  /** Changes at or before this were dealt with before this process began. */
  readonly #after: Position;
  #catchingUp = true;
  readonly #mappings: Mappings;
  #mapping: Mapping;

  constructor(options: {
    readonly sync: Sync;
    readonly mappings: Mappings;
    /** The relation as it is now, to know its changes by. */
    readonly relation: Relation;
    readonly queue: KeyedQueue;
    readonly tracker: AckTracker<Position>;
    readonly seam: Seam;
    readonly partialUpdates: boolean;
    readonly after: Position;
    readonly observer?: Observer | undefined;
  }) {
    this.#sync = options.sync;
    this.#mappings = options.mappings;
    this.#mapping = options.mappings.streamed(options.relation);
    this.#queue = options.queue;
    this.#tracker = options.tracker;
    this.#seam = options.seam;
    this.#partialUpdates = options.partialUpdates;
    this.#relationId = options.relation.id;
    this.#after = options.after;
    this.#observer = options.observer ?? UNOBSERVED;
  }

  /** Throws when a change cannot be understood; then nothing of the batch counts as done, and the sync must stop. */
  accept(batch: ChangeBatch): void {
    if (this.#catchingUp) {
      if (batch.end <= this.#after) return;
      this.#catchingUp = batch.changes.length > 0 && batch.changes[0]!.position <= this.#after;
    }
    const mine = this.#select(batch.changes);
    const group = this.#tracker.add(mine.length, (index) => mine[index]!.position, batch.end);
    for (let index = 0; index < mine.length; index += 1) this.#take(mine[index]!, group, index);
    this.#seam.passed(batch.end);
  }

  #select(changes: readonly Change[]): readonly Change[] {
    const id = this.#relationId;
    const after = batchStartsBefore(changes, this.#after) ? this.#after : null;
    if (after === null && changes.every((change) => change.relation.id === id)) return changes;
    return changes.filter((change) => change.relation.id === id && (after === null || change.position > after));
  }

  #take(change: Change, group: Group<Position>, index: number): void {
    this.#mapping = this.#mappings.streamed(change.relation);
    const mapping = this.#mapping;
    if (change.op === "truncate") {
      this.#truncated(change);
      group.done(index);
      return;
    }
    const filter = mapping.filter;
    const { op, before, after } = change;
    // null: cannot be told, because a column that `where` reads was not sent.
    const was = op === "insert" ? false : filter === null ? true : before === null ? null : filter(before);
    const is = op === "delete" ? false : filter === null ? true : filter(after!);
    this.#observed = this.#observer.takes("change");
    const queued = this.#queueFor(change, was, is, group, index);
    if (this.#observed)
      this.#observer.captured(change, queued ? null : op !== "delete" && is === false ? "where" : "other");
    if (!queued) group.done(index);
  }

  /** Queues what the change means in this mode; false when it means nothing. */
  #queueFor(change: Change, was: boolean | null, is: boolean | null, group: Group<Position>, index: number): boolean {
    const { op, before, after } = change;
    switch (this.#sync.mode) {
      case "event": {
        if (is === false && was === false) return false;
        const event = is === false ? "delete" : was === false ? "insert" : "update";
        if (!this.#sync.on.includes(event)) return false;
        const entry = this.#newEntry("event", change, before, after, group, index);
        entry.event = event;
        if (event === "delete") {
          entry.before = overlay(before, after);
          entry.after = null;
        }
        return this.#addRow(entry, was, is);
      }
      case "insert":
        if (is === false || was !== false) return false;
        return this.#addRow(this.#newEntry("create", change, before, after, group, index), was, is);
      case "update":
        if (op !== "update" || is === false || was === false) return false;
        return this.#addRow(this.#newEntry("update", change, before, after, group, index), was, is);
      case "upsert":
        if (is === false) return false;
        return this.#addRow(this.#newEntry("upsert", change, before, after, group, index), was, is);
      case "mirror":
        if (is !== false) {
          return this.#addRow(this.#newEntry("upsert", change, before, after, group, index), was, is);
        }
        return was !== false && this.#addRemoval(change, overlay(before, after)!, group, index);
    }
  }

  /** Queues a row that is there now. When it was another record before, that one is dealt with first. */
  #addRow(entry: Entry, was: boolean | null, is: boolean | null): boolean {
    const { before, after, mapping } = entry;
    const { relation } = mapping;
    const row = after ?? before!;
    const change = entry.change!;
    const transaction = change.transaction.id;
    entry.rowKey = keyOf(relation, row);
    entry.key = this.#recordKey(row, entry.rowKey);
    const oldRowKey =
      before === null || after === null || !hasKey(relation, before) ? entry.rowKey : keyOf(relation, before);
    const oldKey =
      before === null || after === null ? entry.key : this.#oldRecordKey(before, after, oldRowKey, entry.key);
    const isPartial = after !== null && change.op !== "insert" && mapping.incomplete(after);
    if (isPartial) {
      entry.refilter = is === null;
      // A row that may be new to the destination must be whole there: there is nothing that a partial record could complete.
      entry.fill = is === null || this.#fetches(oldKey !== entry.key || was !== true);
    }
    const seam = this.#seam;
    if (entry.op === "create" || entry.event === "insert") seam.created?.add(entry.rowKey);
    if (seam.active) {
      seam.observe(transaction, entry.rowKey, isPartial);
      if (oldRowKey !== entry.rowKey) seam.observe(transaction, oldRowKey, false);
    }
    const suppressed = this.#suppresses(transaction, entry.rowKey);
    // A chunk that was sent has the row that stands under the old key by now: it must not be removed.
    const taken = oldRowKey !== entry.rowKey && this.#suppresses(transaction, oldRowKey);
    if (oldKey !== entry.key && !taken) {
      const first = this.#removalOrBarrier(entry, oldKey, oldRowKey);
      if (!suppressed) {
        first.group.alsoWaits(first.index);
        first.followedBy = entry;
        entry.waits = 1;
      }
      // It may become one with what waits already, and hand on what must follow it.
      this.#queue.add(first);
      if (suppressed) return true;
    }
    if (suppressed) return false;
    this.#queue.add(entry);
    return true;
  }

  /** What must be finished about the row's old record before its new one is sent. */
  #removalOrBarrier(entry: Entry, key: string, rowKey: string): Entry {
    const { change, before, group, index } = entry;
    const op = this.#sync.mode === "mirror" ? this.#removalOp() : null;
    const first = this.#newEntry(op ?? "barrier", change!, before, null, group, index);
    first.half = "-old";
    first.key = key;
    first.rowKey = rowKey;
    return first;
  }

  #newEntry(
    op: Entry["op"],
    change: Change,
    before: Values | null,
    after: Values | null,
    group: ItemGroup,
    index: number,
  ): Entry {
    const entry = newEntry(this.#mapping, op, change, before, after, group, index);
    entry.observed = this.#observed;
    return entry;
  }

  #addRemoval(change: Change, row: Values, group: Group<Position>, index: number): boolean {
    const op = this.#removalOp();
    const rowKey = keyOf(this.#mapping.relation, row);
    if (this.#seam.active) this.#seam.observe(change.transaction.id, rowKey, false);
    if (op === null || this.#suppresses(change.transaction.id, rowKey)) return false;
    const entry = this.#newEntry(op, change, row, null, group, index);
    entry.rowKey = rowKey;
    entry.key = this.#recordKey(row, rowKey);
    this.#queue.add(entry);
    return true;
  }

  #recordKey(row: Values, rowKey: string): string {
    return recordKeyOf(this.#mapping, this.#sync.mode, row, rowKey);
  }

  /** The record that the row was; the same one as now where that cannot be told. */
  #oldRecordKey(before: Values, after: Values, oldRowKey: string, key: string): string {
    const mapping = this.#mapping;
    if (mapping.matchIsKey || this.#sync.mode === "event" || this.#sync.mode === "insert") return oldRowKey;
    const told = [...mapping.matchValues(before), ...mapping.matchValues(after)].every(
      (value) => typeof value === "string",
    );
    return told ? this.#recordKey(before, oldRowKey) : key;
  }

  /**
   * Whether rows that were read and sent contain the change. Where one record may be one row's and then another's, a removal that is left
   * out or not would be about the wrong one: there everything is told again, and ends the same.
   */
  #suppresses(transaction: string, rowKey: string): boolean {
    const { mode } = this.#sync;
    if (!this.#seam.active || mode === "event" || (mode === "mirror" && !this.#mapping.matchIsKey)) return false;
    return this.#seam.suppresses(transaction, rowKey);
  }

  #removalOp(): "delete" | "archive" | "clear" | null {
    const { kind } = this.#sync.onDelete;
    return kind === "ignore" ? null : kind;
  }

  #fetches(newThere: boolean): boolean {
    switch (this.#sync.unchanged) {
      case "fetch":
        return true;
      case "omit":
        return false;
      case "auto":
        return newThere || !this.#partialUpdates || this.#sync.mode === "event";
    }
  }

  #truncated(change: Change): void {
    if (this.#sync.onTruncate === "ignore") return;
    throw new TailraceError(
      "source.gap.truncate",
      `${change.relation.namespace}.${change.relation.name} was emptied at once (truncated, or dropped); what the destination of \`${this.#sync.name}\` holds of it must be decided on.`,
    );
  }
}

/** Whether the old row came with its key. */
function hasKey(relation: Relation, before: Values): boolean {
  return relation.key.every((place) => typeof before[place] === "string");
}

function batchStartsBefore(changes: readonly Change[], after: Position): boolean {
  return changes.length > 0 && changes[0]!.position <= after;
}
