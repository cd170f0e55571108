import { expect } from "vitest";
import type { IndexedRow, SentRow } from "../../src/contracts/row-index.ts";

/** What an index of rows must hold, told from the calls alone. */
export class RowIndexModel {
  /** Every announcement that was made, oldest first. */
  readonly announcements: { readonly key: string; readonly version: number }[] = [];
  readonly #rows = new Map<string, SentRow & { readonly version: number; readonly confirmed: boolean }>();
  readonly #places = new Map<string, number>();
  #greatest = 0;

  announced(rows: readonly SentRow[], versions: readonly number[]): void {
    expect(versions).toHaveLength(rows.length);
    for (const [at, row] of rows.entries()) {
      const version = versions[at]!;
      const before = this.#rows.get(row.key);
      const isRepeat =
        before !== undefined && !before.confirmed && before.hash === row.hash && before.recordKey === row.recordKey;
      if (isRepeat) expect(version).toBe(before.version);
      else {
        expect(version).toBeGreaterThan(this.#greatest);
        this.#greatest = version;
      }
      this.#rows.set(row.key, { ...row, version, confirmed: false });
      this.announcements.push({ key: row.key, version });
    }
  }

  confirmed(rows: readonly { readonly key: string; readonly version: number }[]): void {
    for (const { key, version } of rows) {
      const row = this.#rows.get(key);
      if (row?.version !== version) continue;
      if (row.hash !== null) this.#rows.set(key, { ...row, confirmed: true });
      else {
        this.#rows.delete(key);
        this.#places.delete(key);
      }
    }
  }

  /** That these are all the rows, each as it was announced last, each at its place. */
  check(rows: readonly IndexedRow[]): void {
    const expected = [...this.#rows.values()].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    expect(rows).toEqual(expected.map((row, at) => ({ ...row, place: rows[at]?.place })));
    for (const { key, place } of rows) {
      expect(place).toBe(this.#places.get(key) ?? place);
      this.#places.set(key, place);
    }
    expect(new Set(this.#places.values()).size).toBe(rows.length);
  }

  /** Keys of two columns, of which the one at this place has one of these texts. */
  matching(place: number, texts: readonly string[]): readonly string[] {
    return [...this.#rows.keys()]
      .filter((key) => {
        const length = Number(key.slice(0, key.indexOf(":")));
        const first = key.slice(key.indexOf(":") + 1).slice(0, length);
        const rest = key.slice(key.indexOf(":") + 2 + length);
        return texts.includes(place === 0 ? first : rest.slice(rest.indexOf(":") + 1));
      })
      .sort();
  }
}
