// All rows of a model, from one snapshot, on a connection of its own: what else is asked goes on beside it.
import type pg from "pg";
import type { Position } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { close } from "./connection.ts";
import type { Normalisers, RowQuery } from "./read-rows.ts";
import { RowStream } from "./row-stream.ts";
import { asSourceError } from "./source-error.ts";
import { visibility } from "./visibility.ts";

/** A transaction that has its snapshot, and what it reads. */
export interface BegunScan {
  readonly relation: Relation;
  readonly snapshot: string;
  /** In the order of the key. */
  readonly query: RowQuery;
  readonly normalise: Normalisers;
}

export interface ScanOptions {
  readonly open: (signal: AbortSignal) => Promise<pg.Client>;
  readonly begin: (client: pg.Client) => Promise<BegunScan>;
  /** A place in the log that all is before which is visible by now. */
  readonly mark: (signal: AbortSignal) => Promise<Position>;
  readonly limit: ChunkLimit;
}

/** See Source.scan. The transaction is open until the last chunk was asked for, or the caller left. */
export async function* scan(
  { open, begin, mark, limit }: ScanOptions,
  signal: AbortSignal,
): AsyncGenerator<SnapshotChunk, void, undefined> {
  const client = await open(signal);
  const cut = () => destroy(client);
  signal.addEventListener("abort", cut, { once: true });
  let ended = false;
  try {
    const { relation, snapshot, query, normalise } = await begin(client);
    const high = await mark(signal);
    const sees = visibility(snapshot);
    const stream = new RowStream(client, query, normalise, limit);
    let next: Cursor | null = null;
    while (!ended) {
      const { rows, last } = await stream.next();
      ended = last;
      next = lastKey(rows, relation) ?? next;
      yield { relation, rows, next: last ? null : next, high, sees };
    }
  } catch (error) {
    signal.throwIfAborted();
    throw asSourceError(error);
  } finally {
    signal.removeEventListener("abort", cut);
    // Half-way, there is no other way to make the server stop.
    if (ended) await close(client);
    else destroy(client);
  }
}

/** Of the last row that has one: rows of a query whose key is null come last, and are for the caller to judge. */
function lastKey(rows: readonly Values[], { key }: Relation): Cursor | null {
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    const values = key.map((place) => rows[i]![place]);
    if (values.every((value) => typeof value === "string")) return values;
  }
  return null;
}
