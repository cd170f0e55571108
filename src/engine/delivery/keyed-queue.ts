import type { Entry } from "./entry.ts";
import { Fifo } from "./fifo.ts";
import { merge } from "./merge.ts";

/**
 * What waits for delivery in one sync. Of one key, entries leave in the order in which they came, one at a time: the
 * next is `ready` only when the one before has been finished. Between keys there is no order, except where an
 * entry names another that must follow it (`followedBy`). Live entries leave before rows of a backfill.
 */
export class KeyedQueue {
  /** First and last entry of each key that has any. */
  readonly #chains = new Map<string, Chain>();
  #live = new Fifo<Entry>();
  #backfill = new Fifo<Entry>();
  readonly #merges: boolean;
  readonly #inOrder: boolean;
  #entries = 0;
  #bytes = 0;
  #readyLive = 0;
  #readyBackfill = 0;
  #readyBytes = 0;
  #order = 0;
  /** The last entry that was taken, by order: of changes, and of rows that were read. */
  #startedLive = 0;
  #startedRead = 0;
  /** Only what lies before something that was taken already may still leave. */
  #closing = false;

  /**
   * `inOrder`: everything leaves in the order in which it came (live before backfill all the same), several entries of a key in
   * one batch: for a writer that takes one batch at a time, in order, and stores the progress with it.
   * `merges`: whether waiting versions of one key become one (the modes that send state). */
  constructor(options: { readonly merges: boolean; readonly inOrder?: boolean }) {
    this.#merges = options.merges;
    this.#inOrder = options.inOrder ?? false;
  }

  /** Entries that are not finished, those on their way included. */
  get entries(): number {
    return this.#entries;
  }

  /** Their bytes in memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get readyLive(): number {
    return this.#readyLive;
  }

  get readyBackfill(): number {
    return this.#readyBackfill;
  }

  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** When the entry that has been ready longest was queued; null when none is ready. Live ones first. */
  oldestReadyMs(): number | null {
    return this.#first(this.#live, true)?.queuedAtMs ?? this.#first(this.#backfill, false)?.queuedAtMs ?? null;
  }

  /** The oldest unfinished change, in the order of their keys' first entries; null without one. */
  oldestLive(): Entry | null {
    for (const { first } of this.#chains.values()) if (first.live) return first;
    return null;
  }

  /** Whether anything of this key is not finished. */
  has(key: string): boolean {
    return this.#chains.has(key);
  }

  /** Every entry that is not finished, in no order between keys. */
  *unfinished(): Iterable<Entry> {
    for (const { first } of this.#chains.values())
      for (let entry: Entry | null = first; entry !== null; entry = entry.next) yield entry;
  }

  /** A place for an entry that is added later, as its `order`: what is added meanwhile comes after it. */
  reserve(): number {
    return (this.#order += 1);
  }

  add(entry: Entry): void {
    if (entry.order === 0) entry.order = this.reserve();
    if (this.#inOrder) {
      // A chain of its own for each: nothing waits for a key.
      entry.key = String(entry.order);
      if (entry.op === "barrier") return this.#passed(entry);
    }
    const chain = this.#chains.get(entry.key);
    if (chain === undefined) {
      this.#chains.set(entry.key, { first: entry, last: entry });
      this.#count(entry);
      this.#offer(entry);
      return;
    }
    const last = chain.last;
    if (this.#merges && last.state !== "sending") {
      const before = last.bytes;
      const wasLive = last.live;
      if (merge(last, entry)) {
        this.#bytes += last.bytes - before;
        if (last.state === "ready") {
          this.#readyBytes += last.bytes - before;
          if (!wasLive && last.live) this.#promote(last);
        }
        return;
      }
    }
    last.next = entry;
    chain.last = entry;
    this.#count(entry);
    // A live change waits behind a row of a backfill: that row is urgent now.
    if (entry.live) this.#promoteChain(chain);
  }

  /**
   * Takes ready entries for one batch: live ones first, until a limit would be passed; at least one when any is ready.
   */
  take(maxRows: number, maxBytes: number): Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    for (const live of [true, false]) {
      const queue = live ? this.#live : this.#backfill;
      while (taken.length < maxRows) {
        const entry = this.#first(queue, live);
        if (entry === undefined) break;
        if (taken.length > 0 && bytes + entry.bytes > maxBytes) return taken;
        queue.shift();
        bytes += entry.bytes;
        this.#unready(entry);
        entry.state = "sending";
        this.#started(entry);
        taken.push(entry);
      }
    }
    return taken;
  }

  /** The entry is delivered, dead-lettered or not needed any more; what waited for it may leave. */
  finish(entry: Entry): void {
    this.#entries -= 1;
    this.#bytes -= entry.bytes;
    const chain = this.#chains.get(entry.key)!;
    if (entry.next === null) this.#chains.delete(entry.key);
    else {
      chain.first = entry.next;
      this.#offer(entry.next);
    }
    this.#passed(entry);
  }

  /** What waits for it may leave, and who counts on it is told. */
  #passed(entry: Entry): void {
    const follower = entry.followedBy;
    if (follower !== null) {
      follower.waits -= 1;
      if (follower.waits === 0 && this.#chains.get(follower.key)?.first === follower) this.#offer(follower);
    }
    entry.group.done(entry.index);
    if (entry.also !== null) for (const item of entry.also) item.group.done(item.index);
  }

  /**
   * From now on only what fills a hole may leave: entries before the last one that was taken. When they are finished, what is finished
   * is a prefix, and after a restart nothing is sent twice. `add` must not be called any more.
   */
  close(): void {
    this.#closing = true;
    this.#readyLive = 0;
    this.#readyBackfill = 0;
    this.#readyBytes = 0;
    this.#live = new Fifo();
    this.#backfill = new Fifo();
    for (const { first } of this.#chains.values()) if (first.state !== "sending") this.#offer(first);
  }

  #started(entry: Entry): void {
    const live = this.#startedLive;
    const read = this.#startedRead;
    // A change of which one half is sent is only finished with the other.
    for (const part of [entry, ...(entry.also ?? []), entry.followedBy]) {
      if (part === null) continue;
      if (part.read) this.#startedRead = Math.max(this.#startedRead, part.order);
      else this.#startedLive = Math.max(this.#startedLive, part.order);
    }
    // Taking one that was merged may open holes of its own.
    const more = this.#startedLive > live || this.#startedRead > read;
    if (this.#closing && more) queueMicrotask(() => this.close());
  }

  /** Whether something that came after it, in its own progress, has been taken already; or waits in its chain for such a one. */
  #fillsHole(entry: Entry): boolean {
    for (let next: Entry | null = entry; next !== null; next = next.next) {
      for (const part of [next, ...(next.also ?? [])]) {
        if (part.order <= (part.read ? this.#startedRead : this.#startedLive)) return true;
      }
      if (next.followedBy !== null && this.#fillsHole(next.followedBy)) return true;
    }
    return false;
  }

  #count(entry: Entry): void {
    this.#entries += 1;
    this.#bytes += entry.bytes;
  }

  /** `entry` is the first of its key now. */
  #offer(entry: Entry): void {
    if (entry.waits > 0 || (this.#closing && !this.#fillsHole(entry))) return;
    entry.state = "ready";
    this.#readyBytes += entry.bytes;
    if (entry.live) {
      this.#readyLive += 1;
      this.#live.push(entry);
    } else {
      this.#readyBackfill += 1;
      this.#backfill.push(entry);
    }
  }

  #unready(entry: Entry): void {
    this.#readyBytes -= entry.bytes;
    if (entry.live) this.#readyLive -= 1;
    else this.#readyBackfill -= 1;
  }

  /** From backfill to live. Its place in the backfill queue becomes void. */
  #promote(entry: Entry): void {
    this.#readyBackfill -= 1;
    this.#readyLive += 1;
    this.#live.push(entry);
  }

  #promoteChain(chain: Chain): void {
    for (let entry: Entry | null = chain.first; entry !== null; entry = entry.next) {
      if (entry.live) continue;
      entry.live = true;
      if (entry.state === "ready") this.#promote(entry);
    }
  }

  /** The first entry of a queue that still belongs there. */
  #first(queue: Fifo<Entry>, live: boolean): Entry | undefined {
    for (;;) {
      const entry = queue.peek();
      if (entry === undefined || (entry.live === live && entry.state === "ready")) return entry;
      queue.shift();
    }
  }
}

interface Chain {
  first: Entry;
  last: Entry;
}
