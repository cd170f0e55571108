import type { Item, ItemGroup } from "../progress/ack-tracker.ts";

/**
 * Something that is finished when all its parts are: a round of changes, a scan, what is said of one row. What it was for is finished then, too.
 * It counts one part of its own from the beginning, so that it is not finished while parts are still to come.
 */
export class Whole implements ItemGroup {
  readonly tracker: object = this;
  readonly #for: Item[];
  readonly #finished: (() => void) | null;
  #left = 1;

  /** `finished` is called before what it is for is told. */
  constructor(items: readonly Item[], finished: (() => void) | null = null) {
    this.#for = [...items];
    this.#finished = finished;
  }

  /** Parts that are not finished. */
  get left(): number {
    return this.#left;
  }

  get items(): readonly Item[] {
    return this.#for;
  }

  /** Also finishes this item in the end. */
  join(item: Item): void {
    this.#for.push(item);
  }

  /** One more part, as something to report to. */
  part(): Item {
    this.#left += 1;
    return { group: this, index: 0 };
  }

  alsoWaits(): void {
    this.#left += 1;
  }

  done(): void {
    this.#left -= 1;
    if (this.#left > 0) return;
    this.#finished?.();
    for (const { group, index } of this.#for) group.done(index);
  }

  /** A tracker supposes what {@link finishedWith} makes of a whole's parts. */
  suppose(): void {}
}

/** What trackers have to count as finished when these are: the items themselves, and those of each whole of which no other part is left. */
export function finishedWith(items: Iterable<Item>): Item[] {
  const parts = new Map<Whole, number>();
  const finished: Item[] = [];
  const look = [...items];
  for (let item = look.pop(); item !== undefined; item = look.pop()) {
    const { group } = item;
    if (!(group instanceof Whole)) {
      finished.push(item);
      continue;
    }
    const count = (parts.get(group) ?? 0) + 1;
    parts.set(group, count);
    if (count === group.left) look.push(...group.items);
  }
  return finished;
}
