/**
 * Joins the texts of a batch into one body. Each is written as soon as it is made, so that a batch's texts never live side by
 * side: as one long string they would be copied about by every collection until the last of them is there.
 */
export class BodyBuffer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  add(text: string): void {
    // A UTF-16 unit takes three bytes at the most.
    const most = this.#length + text.length * 3;
    if (most > this.#bytes.length) this.#grow(most);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** A copy of what was added since the last call. */
  take(): Buffer {
    const body = Buffer.allocUnsafeSlow(this.#length);
    this.#bytes.copy(body, 0, 0, this.#length);
    this.#length = 0;
    // One huge batch is no reason to keep as much for ever.
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    return body;
  }

  /** Forgets what was added, after an error. */
  clear(): void {
    this.#length = 0;
  }

  #grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

const FIRST_BYTES = 64 * 1024;
const KEPT_BYTES = 4 * 1024 * 1024;
