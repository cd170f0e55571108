import type { Session } from "./session.ts";

/** The vendor's ids of records that we know by a value of our own: asked for in batches, and remembered up to a bound. */
export class Lookup {
  readonly #rows: number;
  readonly #most: number;
  readonly #find: (keys: readonly string[], session: Session) => Promise<ReadonlyMap<string, string>>;
  readonly #known = new Map<string, string>();

  /** `find`: the ids of those of at most `rows` keys that there are. `most`: so many are remembered. */
  constructor(options: {
    readonly rows: number;
    readonly most?: number;
    find(keys: readonly string[], session: Session): Promise<ReadonlyMap<string, string>>;
  }) {
    this.#rows = options.rows;
    this.#most = options.most ?? 50_000;
    this.#find = (keys, session) => options.find(keys, session);
  }

  /** The ids by key; a key that the vendor does not know is not in it, and is asked for again the next time. */
  async ids(keys: readonly string[], session: Session): Promise<ReadonlyMap<string, string>> {
    const ids = new Map<string, string>();
    const missing = new Set<string>();
    for (const key of keys) {
      const known = this.#known.get(key);
      if (known === undefined) missing.add(key);
      else ids.set(key, known);
    }
    const asked = [...missing];
    for (let at = 0; at < asked.length; at += this.#rows) {
      const found = await this.#find(asked.slice(at, at + this.#rows), session);
      for (const [key, id] of found) {
        ids.set(key, id);
        this.set(key, id);
      }
    }
    return ids;
  }

  /** Whether it is remembered. */
  has(key: string): boolean {
    return this.#known.has(key);
  }

  /** What another answer told. */
  set(key: string, id: string): void {
    this.#known.delete(key);
    this.#known.set(key, id);
    if (this.#known.size <= this.#most) return;
    for (const [oldest] of this.#known) {
      this.#known.delete(oldest);
      break;
    }
  }

  /** The vendor does not know the id any more. */
  forget(key: string): void {
    this.#known.delete(key);
  }
}
