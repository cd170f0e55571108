// MySQL's packets out of the chunks of a socket. A packet is a view of the chunk that it lies in; only one that lies in
// several is copied.

/** A stretch of a buffer: [from, to). */
export interface Packet {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
}

const HEADER = 4;
/** A payload of this length goes on in the next packet. */
const FULL = 0xffffff;

export class PacketReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Chunks of a packet that is not whole yet, begun in `#buffer`. */
  #more: Buffer[] = [];
  #have = 0;
  #need = HEADER;

  push(chunk: Buffer): void {
    if (this.#have === 0) {
      this.#buffer = chunk;
      this.#at = 0;
      this.#have = chunk.length;
    } else {
      this.#more.push(chunk);
      this.#have += chunk.length;
    }
  }

  /** The next whole packet's payload; null: more bytes are needed. */
  next(): Packet | null {
    if (this.#have < this.#need) return null;
    if (this.#more.length > 0) {
      this.#buffer = Buffer.concat([this.#buffer.subarray(this.#at), ...this.#more]);
      this.#at = 0;
      this.#more = [];
    }
    const buffer = this.#buffer;
    const start = this.#at;
    let at = start;
    let length: number;
    do {
      if (at + HEADER > buffer.length) return this.#wait(at + HEADER - start);
      length = buffer.readUIntLE(at, 3);
      at += HEADER + length;
      if (at > buffer.length) return this.#wait(at - start);
    } while (length === FULL);
    this.#at = at;
    this.#have = buffer.length - at;
    this.#need = HEADER;
    if (at - start <= HEADER + FULL) return { buffer, from: start + HEADER, to: at };
    return joined(buffer, start, at);
  }

  #wait(need: number): null {
    this.#need = need;
    return null;
  }
}

function joined(buffer: Buffer, start: number, end: number): Packet {
  const parts: Buffer[] = [];
  for (let at = start; at < end;) {
    const length = buffer.readUIntLE(at, 3);
    parts.push(buffer.subarray(at + HEADER, at + HEADER + length));
    at += HEADER + length;
  }
  const whole = Buffer.concat(parts);
  return { buffer: whole, from: 0, to: whole.length };
}
