import type { Transaction } from "../../contracts/change.ts";
import type { IndexedRow, RowIndex, SentRow, SourceRowIndex } from "../../contracts/row-index.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Values } from "../../contracts/values.ts";
import type { CaptureHost } from "../capture/capturing.ts";
import { READ_OPS } from "../capture/backfill.ts";
import { readEntry } from "../capture/rows.ts";
import { readId, recordKeyOf } from "../delivery/delivery.ts";
import type { Entry } from "../delivery/entry.ts";
import { rowOfRecord } from "../delivery/sent-keeper.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { ReadBy } from "../observer.ts";
import type { Item } from "../progress/ack-tracker.ts";
import { hashOf } from "./hashed-columns.ts";
import { inSource } from "./in-source.ts";
import { persist } from "./persist.ts";
import { Said } from "./said.ts";

/** A row as it was read. */
export interface ReadRow {
  readonly key: string;
  readonly mapping: Mapping;
  /** null: there is none. */
  readonly values: Values | null;
  /** Finished when all that is to be said of it is, or there is nothing to say. */
  readonly item: Item;
}

/** What rows were read for. */
export interface Purpose {
  readonly by: ReadBy;
  /** The oldest change that they were read for. */
  readonly transaction: Transaction | null;
  /** Sent also where that changes nothing: a resync. Part of the ids, so that one resync sends a row by one id. */
  readonly generation: number | null;
  /** What is there is noted as sent, and not sent. */
  readonly quiet: boolean;
  /** Hears the place of each row that the index knows. */
  readonly known?: ((place: number) => void) | undefined;
}

/** What is queued of one row and not finished. */
interface Unfinished {
  count: number;
  last: Said;
  /** To be noted when all of that is finished. */
  after: Note | null;
}

/** The index is to know of a row, and the destination is not told. A row without a hash leaves the index. */
interface Note {
  readonly row: SentRow;
  readonly items: Item[];
}

/**
 * Decides what rows that were read mean for the destination, by what the index and the queue know of each, and queues that. One call at a
 * time, and readings in the order in which they began: what is newer must come later.
 */
export class Comparison {
  readonly #host: CaptureHost;
  readonly #index: RowIndex;
  /** Offers again what it knows nothing of. */
  readonly #inSource: SourceRowIndex | null;
  readonly #streamAt: () => string;
  readonly #unfinished = new Map<string, Unfinished>();
  readonly #stopped: AbortSignal;
  #noting = 0;

  constructor(host: CaptureHost, index: RowIndex, streamAt: () => string, stopped: AbortSignal) {
    this.#host = host;
    this.#index = index;
    this.#inSource = inSource(index);
    this.#streamAt = streamAt;
    this.#stopped = stopped;
  }

  /** Whether nothing is queued, and nothing to be noted. */
  get idle(): boolean {
    return this.#unfinished.size === 0 && this.#noting === 0;
  }

  /** Whether something of this row is queued and not finished. */
  has(key: string): boolean {
    return this.#unfinished.has(key);
  }

  /** Keys of rows of which something is queued. */
  keys(): Iterable<string> {
    return this.#unfinished.keys();
  }

  /** Throws only what ends the sync, or after `signal`; then some of it may be queued. */
  async take(rows: readonly ReadRow[], purpose: Purpose, signal: AbortSignal): Promise<void> {
    for (let left = rows; left.length > 0;) {
      const busy = left.map(({ key }) => this.#unfinished.has(key));
      const found = await this.#find(left, signal);
      signal.throwIfAborted();
      const notes: Note[] = [];
      const keptOut: ReadRow[] = [];
      // What was finished while the index was asked is not in its answer.
      const again = left.filter(({ key }, place) => busy[place] && !this.#unfinished.has(key));
      left.forEach((row, place) => {
        if (busy[place] && !this.#unfinished.has(row.key)) return;
        const note = this.#decide(row, found[place]!, purpose);
        if (note === "done") row.item.group.done(row.item.index);
        else if (note === "kept out") keptOut.push(row);
        else if (note !== "queued") this.#note(note, row.item, notes);
      });
      this.#host.wake();
      await persist("noting what was read", () => this.#noteAll(notes), signal, this.#host.log);
      await persist("noting what is kept out", () => this.#keepOut(keptOut), signal, this.#host.log);
      left = again;
    }
  }

  async #find(rows: readonly ReadRow[], signal: AbortSignal): Promise<readonly (IndexedRow | null)[]> {
    const keys = rows.map(({ key }) => key);
    for (let found: readonly (IndexedRow | null)[] | null = null; ;) {
      await persist(
        "asking the index",
        async () => void (found = await this.#index.find(keys)),
        signal,
        this.#host.log,
      );
      if (found !== null) return found;
    }
  }

  /** `done`: there is nothing to say. `kept out`: that is to be noted in the source. A row: it is to be noted as sent. */
  #decide(read: ReadRow, found: IndexedRow | null, purpose: Purpose): "done" | "kept out" | "queued" | SentRow {
    const { key, mapping, values, item } = read;
    if (found !== null) purpose.known?.(found.place);
    const unfinished = this.#unfinished.get(key);
    const last: SentRow | null = unfinished?.after?.row ?? unfinished?.last.row ?? found;
    if (values === null || (mapping.filter !== null && mapping.filter(values) !== true)) {
      return this.#decideGone(read, last, unfinished, purpose);
    }
    const { sync } = this.#host;
    const recordKey = recordKeyOf(mapping, sync.mode, values, key);
    const row: SentRow = {
      key,
      recordKey: recordKey === key ? null : recordKey,
      identity: identityOf(mapping, key, values),
      hash: hashOf(sync, mapping, values),
    };
    if (purpose.generation === null && last?.hash === row.hash) {
      if (unfinished !== undefined) return waitFor(unfinished, item);
      if (found?.confirmed) return "done";
    }
    if (purpose.quiet) return row;
    const isKnown = last !== null && last.hash !== null;
    const isConfirmed = isKnown && (unfinished !== undefined || found!.confirmed);
    switch (sync.mode) {
      case "event": {
        const event = isKnown && !(isNew(mapping, last) && !isConfirmed) ? "update" : "insert";
        if (!sync.on.includes(event)) return row;
        const marked = event === "insert" ? { ...row, identity: [...(row.identity ?? [key]), NEW] } : row;
        this.#queue(read, "event", marked, purpose).event = event;
        return "queued";
      }
      case "insert":
        if (isConfirmed && purpose.generation === null) return this.#inSource === null ? "done" : row;
        this.#queue(read, "create", row, purpose);
        return "queued";
      case "update":
        if (!isKnown && purpose.by !== "backfill") return row;
        break;
      default:
    }
    // A record that could not be found has taken no other's place.
    this.#queue(read, READ_OPS[sync.mode], row, purpose, unfinished?.last.indexed === false ? found : last);
    return "queued";
  }

  #decideGone(
    read: ReadRow,
    last: SentRow | null,
    unfinished: Unfinished | undefined,
    purpose: Purpose,
  ): "done" | "kept out" | "queued" | SentRow {
    if (last === null) return read.values === null || this.#inSource === null ? "done" : "kept out";
    const row: SentRow = { ...last, hash: null };
    if (last.hash === null && unfinished !== undefined) return waitFor(unfinished, read.item);
    const { sync } = this.#host;
    if (sync.mode === "event" && sync.on.includes("delete")) {
      this.#queue(read, "event", row, purpose).event = "delete";
      return "queued";
    }
    const op = removalOf(sync);
    if (op === null) return row;
    this.#queue(read, op, row, purpose);
    return "queued";
  }

  /** `last`: what was said before; when the row is another record now, that one is dealt with first. */
  #queue(read: ReadRow, op: Entry["op"], row: SentRow, purpose: Purpose, last: SentRow | null = null): Entry {
    const { mapping, values, item } = read;
    const gone = row.hash === null;
    const matches = gone || mapping.matchIsKey || op === "event" || op === "create" || isWhole(mapping, values!);
    if (last === null || !matches || (last.recordKey ?? last.key) === (row.recordKey ?? row.key)) {
      const entry = this.#entry(read, op, row, purpose, matches);
      this.#host.queue.add(entry);
      return entry;
    }
    item.group.alsoWaits(item.index);
    const first = this.#entry(read, removalOf(this.#host.sync) ?? "barrier", { ...last, hash: null }, purpose, true);
    const entry = this.#entry(read, op, row, purpose, true);
    first.half = "-old";
    first.followedBy = entry;
    entry.waits = 1;
    this.#host.queue.add(first);
    this.#host.queue.add(entry);
    return entry;
  }

  #entry(read: ReadRow, op: Entry["op"], row: SentRow, purpose: Purpose, indexed: boolean): Entry {
    const { sync, observer } = this.#host;
    const { key, mapping, item } = read;
    const said = new Said(row, purpose.by, indexed, item, () => this.#finished(key));
    this.#say(key, said);
    const gone = row.hash === null;
    const values = gone ? rowOfRecord({ key, identity: row.identity }, mapping) : read.values!;
    const id = purpose.generation === null || gone ? null : readId(sync.name, purpose.generation, key);
    const recordKey = row.recordKey ?? key;
    const scanned = purpose.by === "backfill" || purpose.by === "scan";
    const at = this.#streamAt();
    const entry = readEntry(mapping, op, { key, recordKey, values, id, at }, { group: said, index: 0 }, scanned);
    if (gone) {
      entry.before = values;
      entry.after = null;
    }
    entry.transaction = purpose.transaction;
    entry.live = purpose.by !== "backfill";
    entry.observed = observer.takes("read");
    return entry;
  }

  #say(key: string, said: Said): void {
    const unfinished = this.#unfinished.get(key);
    if (unfinished === undefined) {
      this.#unfinished.set(key, { count: 1, last: said, after: null });
      return;
    }
    unfinished.count += 1;
    unfinished.last = said;
    if (unfinished.after === null) return;
    // It is not to be noted any more: this is newer.
    for (const item of unfinished.after.items) said.join(item);
    unfinished.after = null;
    this.#noting -= 1;
  }

  #finished(key: string): void {
    const unfinished = this.#unfinished.get(key)!;
    unfinished.count -= 1;
    if (unfinished.count > 0) return;
    this.#unfinished.delete(key);
    const { after } = unfinished;
    if (after === null) return;
    persist("noting what was read", () => this.#noteAll([after]), this.#stopped, this.#host.log)
      .catch(() => {
        // It is not finished, so that nothing moves past it: after the next start it is read again.
      })
      .finally(() => {
        this.#noting -= 1;
      });
  }

  /** Now, or after what is queued of the row. */
  #note(row: SentRow, item: Item, now: Note[]): void {
    const unfinished = this.#unfinished.get(row.key);
    if (unfinished === undefined) {
      now.push({ row, items: [item] });
      return;
    }
    if (unfinished.after === null) this.#noting += 1;
    unfinished.after = { row, items: [...(unfinished.after?.items ?? []), item] };
  }

  async #keepOut(rows: readonly ReadRow[]): Promise<void> {
    if (rows.length === 0) return;
    const { sync } = this.#host;
    await this.#inSource!.keepOut(
      rows.map(({ key, mapping, values }) => ({ key, hash: hashOf(sync, mapping, values!) })),
    );
    for (const { item } of rows) item.group.done(item.index);
  }

  async #noteAll(notes: readonly Note[]): Promise<void> {
    if (notes.length === 0) return;
    const versions = await this.#index.announce(notes.map(({ row }) => row));
    await this.#index.confirm(notes.map(({ row: { key } }, place) => ({ key, version: versions[place]! })));
    for (const { items } of notes) for (const { group, index } of items) group.done(index);
  }
}

/** What was read is what is queued, or to be noted, last: it is finished with that. */
function waitFor({ last, after }: Unfinished, item: Item): "queued" {
  if (after === null) last.join(item);
  else after.items.push(item);
  return "queued";
}

/** At the end of the identity of a row that was told as an `insert`: if it has to be told again, as the same. */
const NEW = "new";

function isNew(mapping: Mapping, { identity }: SentRow): boolean {
  return identity !== null && identity.length > mapping.identity.length;
}

function identityOf(mapping: Mapping, key: string, row: Values): readonly string[] | null {
  const { identity } = mapping;
  if (identity.length === 1 && row[identity[0]!] === key) return null;
  return identity.map((place) => String(row[place]));
}

/** Whether the record can be found at the destination. */
function isWhole(mapping: Mapping, row: Values): boolean {
  return mapping.matchValues(row).every((value) => typeof value === "string");
}

function removalOf(sync: Sync): "delete" | "archive" | "clear" | null {
  return sync.mode !== "mirror" || sync.onDelete.kind === "ignore" ? null : sync.onDelete.kind;
}
