// COPY … FROM STDIN over a `pg` connection, in PostgreSQL's text format.
import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";

/** A row on its way in: texts, or null. */
export type TextRow = readonly (string | null)[];

const SPECIAL = /[\\\n\r\t]/;
const SPECIALS = /[\\\n\r\t]/g;
const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const CHUNK_CHARACTERS = 64 * 1024;

/** One field in COPY's text format. An empty text stays apart from null (`\N`), and a text `\N` from both. */
export function copyField(value: string | null): string {
  if (value === null) return "\\N";
  return SPECIAL.test(value) ? value.replace(SPECIALS, (found) => ESCAPES[found]!) : value;
}

/** Throws `destination.refused` for what a PostgreSQL text cannot hold. It would arrive cut or altered. */
export function assertStorable(value: string, field: string): void {
  if (value.includes("\0"))
    throw new TailraceError(
      "destination.refused",
      `field "${field}" holds a NUL character, which PostgreSQL cannot store`,
    );
  if (!value.isWellFormed())
    throw new TailraceError("destination.refused", `field "${field}" is not well-formed Unicode`);
}

/** Rows as COPY data, some 64 KB a piece. */
export function* copyChunks(rows: Iterable<TextRow>): Generator<Buffer> {
  let text = "";
  for (const row of rows) {
    let separator = "";
    for (const value of row) {
      text += separator + copyField(value);
      separator = "\t";
    }
    text += "\n";
    if (text.length >= CHUNK_CHARACTERS) {
      yield Buffer.from(text);
      text = "";
    }
  }
  if (text !== "") yield Buffer.from(text);
}

interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * Runs `statement` (`COPY … FROM STDIN`) and sends the chunks, all at once: a batch is bounded, so its chunks are too.
 * Rejects with the driver's error.
 */
export function copyIn(client: pg.ClientBase, statement: string, chunks: Iterable<Buffer>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // The methods that pg calls on whatever has been given to `query`.
  const submittable = {
    submit(connection: CopyConnection): null {
      connection.query(statement);
      return null;
    },
    handleCopyInResponse(connection: CopyConnection): void {
      for (const chunk of chunks) connection.sendCopyFromChunk(chunk);
      connection.endCopyFrom();
    },
    handleCommandComplete(): void {},
    handleReadyForQuery: () => resolve(),
    handleError: (error: Error) => reject(error),
    handleRowDescription(): void {},
    handleDataRow(): void {},
    handlePortalSuspended(): void {},
    handleEmptyQuery(): void {},
    handleCopyData(): void {},
  };
  client.query(submittable as unknown as pg.Submittable);
  return promise;
}
