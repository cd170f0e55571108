import type { PartialKeys } from "../../contracts/capture.ts";
import type { KeyValues } from "../../contracts/source.ts";

/** Rows of which a scan may bring an older state than was read beside it: their keys, and parts of keys. */
export class Overtaken {
  readonly #keys = new Set<string>();
  readonly #partial = new Map<string, { readonly places: readonly number[]; readonly values: Set<string> }>();

  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#partial.size === 0;
  }

  add(keys: Iterable<string>, partial: readonly PartialKeys[]): void {
    for (const key of keys) this.#keys.add(key);
    for (const { places, values } of partial) {
      const name = places.join();
      const known = this.#partial.get(name) ?? { places, values: new Set() };
      this.#partial.set(name, known);
      for (const texts of values) known.values.add(JSON.stringify(texts));
    }
  }

  has(key: string, values: KeyValues): boolean {
    if (this.#keys.has(key)) return true;
    for (const { places, values: texts } of this.#partial.values()) {
      if (texts.has(JSON.stringify(places.map((place) => values[place])))) return true;
    }
    return false;
  }
}
