// An index of rows in memory, for tests of the engine: what it was told outlives a pipeline, as a state store's does.
import type { IndexedRow, RowIndex, SentRow } from "../../src/contracts/row-index.ts";
import { textsOfKey } from "../../src/engine/delivery/delivery.ts";

export class MemoryRowIndex implements RowIndex {
  readonly isNew: boolean;
  readonly #keyColumns: number;
  readonly #rows: Map<string, IndexedRow>;
  #version: number;

  /** `before`: goes on with what another one was told. */
  constructor(keyColumns = 1, before: MemoryRowIndex | null = null) {
    this.isNew = before === null;
    this.#keyColumns = keyColumns;
    this.#rows = before === null ? new Map() : before.#rows;
    this.#version = before === null ? 1000 : before.#version;
  }

  get rows(): number {
    return this.#rows.size;
  }

  async find(keys: readonly string[]): Promise<readonly (IndexedRow | null)[]> {
    return keys.map((key) => this.#rows.get(key) ?? null);
  }

  async announce(rows: readonly SentRow[]): Promise<readonly number[]> {
    if (new Set(rows.map(({ key }) => key)).size < rows.length) throw new Error("a key is announced twice at a time");
    return rows.map((row) => {
      const known = this.#rows.get(row.key);
      const same = known !== undefined && known.hash === row.hash && known.recordKey === row.recordKey;
      if (same && !known.confirmed) return known.version;
      this.#version += 1;
      const place = known?.place ?? this.#freePlace();
      this.#rows.set(row.key, { ...row, place, version: this.#version, confirmed: false });
      return this.#version;
    });
  }

  #freePlace(): number {
    const taken = new Set([...this.#rows.values()].map(({ place }) => place));
    let place = 0;
    while (taken.has(place)) place += 1;
    return place;
  }

  async confirm(rows: readonly { readonly key: string; readonly version: number }[]): Promise<void> {
    for (const { key, version } of rows) {
      const known = this.#rows.get(key);
      if (known === undefined || known.version !== version) continue;
      if (known.hash === null) this.#rows.delete(key);
      else this.#rows.set(key, { ...known, confirmed: true });
    }
  }

  async matching(places: readonly number[], values: readonly (readonly string[])[]): Promise<readonly string[]> {
    const wanted = new Set(values.map((texts) => JSON.stringify(texts)));
    return [...this.#rows.keys()].filter((key) => {
      const texts = textsOfKey(key, this.#keyColumns);
      return wanted.has(JSON.stringify(places.map((place) => texts[place])));
    });
  }

  async page(after: string | null): Promise<{ rows: readonly IndexedRow[]; next: string | null }> {
    const rows = [...this.#rows.values()]
      .filter(({ key }) => after === null || key > after)
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .slice(0, 3);
    return { rows, next: rows.length < 3 ? null : rows.at(-1)!.key };
  }
}
