/**
 * Where a sync has come to: items finish in any order, the checkpoint is the end of the longest finished prefix.
 *
 * Items come in groups, in order (a group is what one batch of the source, or one chunk of a backfill, means to one sync).
 * Memory is bounded by the groups that are not finished: finished groups behind an unfinished one keep only their end, and
 * neighbours of that kind are one.
 */
export class AckTracker<P> {
  #head: Group<P> | null = null;
  #tail: Group<P> | null = null;
  #reached: P;

  /** `start`: what {@link reached} says before anything has finished. */
  constructor(start: P) {
    this.#reached = start;
  }

  /**
   * The next group. `at(i)` is the place that is reached once items 0…i are finished; `end` the place that is reached with the whole group. A
   * group without items is finished at once.
   */
  add(items: number, at: (index: number) => P, end: P): Group<P> {
    const group = new Group(this, items, at, end);
    const tail = this.#tail;
    if (items === 0 && tail !== null && tail.finished) {
      // Nothing waits on either: one memory of where they end.
      tail.end = end;
      return tail;
    }
    if (items === 0 && tail === null) {
      this.#reached = end;
      return group;
    }
    if (tail === null) this.#head = group;
    else tail.next = group;
    this.#tail = group;
    return group;
  }

  /** The end of the longest finished prefix. */
  get reached(): P {
    const head = this.#head;
    return head === null ? this.#reached : (head.prefix() ?? this.#reached);
  }

  /** What {@link reached} would say if these items were finished too. Changes nothing. */
  reachedWith(items: Iterable<Item>): P {
    const supposed: Item[] = [];
    for (const item of items) {
      if (item.group.tracker !== this) continue;
      item.group.suppose(item.index, -1);
      supposed.push(item);
    }
    let reached = this.#reached;
    for (let group = this.#head; group !== null; group = group.next) {
      const prefix = group.prefix();
      if (prefix !== null) reached = prefix;
      if (!group.complete()) break;
    }
    for (const { group, index } of supposed) group.suppose(index, 1);
    return reached;
  }

  /** Whether everything that was added is finished. */
  get idle(): boolean {
    return this.#head === null;
  }

  /** Called by a group when its last item finishes. */
  groupFinished(): void {
    let head = this.#head;
    while (head !== null && head.finished) {
      this.#reached = head.end;
      head = head.next;
    }
    this.#head = head;
    if (head === null) {
      this.#tail = null;
      return;
    }
    // Behind an unfinished group: finished neighbours become one.
    for (let group: Group<P> = head; group.next !== null;) {
      const next = group.next;
      if (group.finished && next.finished) {
        group.end = next.end;
        group.next = next.next;
        if (this.#tail === next) this.#tail = group;
      } else group = next;
    }
  }
}

/** One item of a progress group: what a delivery reports to when it is finished. */
export interface Item {
  readonly group: ItemGroup;
  readonly index: number;
}

export interface ItemGroup {
  readonly tracker: object;
  /** One delivery of item `index` is delivered or dead-lettered. */
  done(index: number): void;
  /** One more delivery before item `index` is finished (255 at the most in all). */
  alsoWaits(index: number): void;
  /** For {@link AckTracker.reachedWith} only. */
  suppose(index: number, by: 1 | -1): void;
}

export class Group<P> implements ItemGroup {
  next: Group<P> | null = null;
  end: P;
  readonly tracker: AckTracker<P>;
  /** How many deliveries each item still waits for. */
  #waits: Uint8Array | null;
  #at: ((index: number) => P) | null;
  #unfinished: number;

  constructor(tracker: AckTracker<P>, items: number, at: (index: number) => P, end: P) {
    this.tracker = tracker;
    this.#waits = items === 0 ? null : new Uint8Array(items).fill(1);
    this.#at = at;
    this.#unfinished = items;
    this.end = end;
  }

  get finished(): boolean {
    return this.#unfinished === 0;
  }

  alsoWaits(index: number): void {
    this.#waits![index]! += 1;
  }

  done(index: number): void {
    const waits = this.#waits!;
    waits[index]! -= 1;
    if (waits[index] !== 0) return;
    this.#unfinished -= 1;
    if (this.#unfinished > 0) return;
    this.#waits = null;
    this.#at = null;
    this.tracker.groupFinished();
  }

  /** The place reached inside this group; null when its first item is not finished. */
  prefix(): P | null {
    const waits = this.#waits;
    if (waits === null) return this.end;
    const first = waits.findIndex((count) => count > 0);
    if (first === -1) return this.end;
    return first === 0 ? null : this.#at!(first - 1);
  }

  complete(): boolean {
    return this.#waits === null || this.#waits.every((count) => count === 0);
  }

  suppose(index: number, by: 1 | -1): void {
    this.#waits![index]! += by;
  }
}
