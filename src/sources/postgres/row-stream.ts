// All rows of one query, in chunks.
import type pg from "pg";
import type { TailraceError } from "../../contracts/errors.ts";
import type { ChunkLimit } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { pause, resume } from "../../kit/postgres/socket.ts";
import { type Normalisers, type RowQuery, takeRow, textsQuery } from "./read-rows.ts";
import { asSourceError } from "./source-error.ts";

interface Chunk {
  readonly rows: readonly Values[];
  /** No row comes after these. */
  readonly last: boolean;
}

/**
 * Begins at once; while nobody asks for the next chunk, its bytes stay in the socket and the server waits. So no more than a chunk and
 * what one read of the socket brings is held, however the rows' sizes vary (a FETCH would be bounded in rows). The client is the
 * stream's until the last chunk was given out.
 */
export class RowStream {
  readonly #client: pg.Client;
  readonly #normalise: Normalisers;
  readonly #limit: ChunkLimit;
  readonly #chunks: Chunk[] = [];
  #rows: Values[] = [];
  #bytes = 0;
  #error: TailraceError | null = null;
  #wake: (() => void) | null = null;

  constructor(client: pg.Client, query: RowQuery, normalise: Normalisers, limit: ChunkLimit) {
    this.#client = client;
    this.#normalise = normalise;
    this.#limit = limit;
    const running = textsQuery(query);
    running.on("row", (row) => this.#row(row as unknown as (string | null)[]));
    running.on("end", () => this.#push(true));
    running.on("error", (error) => {
      this.#error = asSourceError(error);
      this.#wake?.();
    });
    client.query(running);
  }

  #row(texts: (string | null)[]): void {
    const size = takeRow(texts, this.#normalise);
    const { rows, bytes } = this.#limit;
    if (this.#rows.length > 0 && (this.#bytes + size > bytes || this.#rows.length >= rows)) this.#push(false);
    this.#rows.push(texts);
    this.#bytes += size;
  }

  #push(last: boolean): void {
    this.#chunks.push({ rows: this.#rows, last });
    this.#rows = [];
    this.#bytes = 0;
    if (last) resume(this.#client);
    else pause(this.#client);
    this.#wake?.();
  }

  /** The next chunk: at least one row, whatever it weighs; only the last may be empty. Not called again after the last one. */
  async next(): Promise<Chunk> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) return chunk;
      if (this.#error) throw this.#error;
      resume(this.#client);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }
}
