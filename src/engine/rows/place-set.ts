/** Places of an index, a bit each. */
export class PlaceSet {
  #bits = new Uint8Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(place: number): void {
    const byte = place >>> 3;
    if (byte >= this.#bits.length) {
      const more = new Uint8Array(Math.max(byte + 1, this.#bits.length * 2));
      more.set(this.#bits);
      this.#bits = more;
    }
    const bit = 1 << (place & 7);
    if ((this.#bits[byte]! & bit) !== 0) return;
    this.#bits[byte]! |= bit;
    this.#size += 1;
  }

  has(place: number): boolean {
    return ((this.#bits[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0;
  }
}
