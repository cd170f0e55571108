import type { QueryModel } from "./model.ts";
import type { ChunkLimit, SnapshotChunk } from "./source.ts";

/** A row as it is about to be sent. */
export interface SentRow {
  /** The row's key, as one text. */
  readonly key: string;
  /** What deliveries are kept in order by: the record at the destination. null: it is `key`. */
  readonly recordKey: string | null;
  /**
   * What a removal needs: the texts of the columns that identify the row and its record, in the order that the index was opened with;
   * null: the only one of them is `key`.
   */
  readonly identity: readonly string[] | null;
  /** Of what is made of rows and the row's mapped columns, 32 hexadecimal digits; see kit/row-hash.ts. null: the row is about to be removed. */
  readonly hash: string | null;
}

/** As it was last announced. */
export interface IndexedRow extends SentRow {
  /** Stays the same as long as the row is in the index. Dense: places that are free again are taken before new ones. */
  readonly place: number;
  /** See {@link RowIndex.announce}. */
  readonly version: number;
  /** Whether the last announcement was accepted by the destination. A row that is not, and has no hash, is being removed. */
  readonly confirmed: boolean;
}

/**
 * What a sync last sent of each row of a model that is not read from the log itself: tells what would change nothing, tells new rows from
 * known ones, and knows which rows are gone. Never too few rows: one is in it from before it is first sent until after its removal was accepted,
 * over crashes too. Kept by whoever holds the lease; rejects like {@link SentIndex}. Calls take effect in the order in which they are made.
 */
export interface RowIndex {
  /** It was made, or begun anew, when it was opened: what was sent before is not in it. */
  readonly isNew: boolean;
  /** How many rows are in it, after the calls that have resolved. */
  readonly rows: number;
  /** One an asked key, in that order; null: not in it. Up to some 10 000 keys in a call cost the least for each. */
  find(keys: readonly string[]): Promise<readonly (IndexedRow | null)[]>;
  /**
   * Must have resolved before any of these is sent; each key once. One version a row, in that order: the one it had when the same (hash and
   * record) was announced before and not confirmed, so that a repeat has the id of the first; else a new one, greater than every version
   * that any row of this index was ever given. That is so for a key that was removed and comes again, and for an index that is begun anew or whose
   * file was lost or put back: versions also never fall behind 1 000 for each ms since the epoch, by our clock. Two contents of one key never
   * share a version as long as no clock that is set back meets an index that is lost.
   *
   * Written so that it outlives the process; on the disk at the latest when the next {@link Lease.commit} resolves.
   */
  announce(rows: readonly SentRow[]): Promise<readonly number[]>;
  /** These were accepted, at this version; a removal leaves the index. Ignored for a row that has been announced anew since. Each key once. */
  confirm(rows: readonly { readonly key: string; readonly version: number }[]): Promise<void>;
  /**
   * Keys of all rows whose key has one of these lists of texts at these places, which are among the `parts` that the index was opened
   * with. Each key once, in any order.
   */
  matching(places: readonly number[], values: readonly (readonly string[])[]): Promise<readonly string[]>;
  /**
   * The next rows after `after` (null: from the first), in the order of keys by their bytes; a page is bounded. A row that is in the index from the first page to
   * the last is in one of them.
   */
  page(after: string | null): Promise<RowPage>;
}

export interface RowPage {
  readonly rows: readonly IndexedRow[];
  /** Where to go on; null: this was the last page. */
  readonly next: string | null;
}

export interface RowIndexOptions {
  /** What rows and records are told apart by; with another, it begins anew. */
  readonly identity: string;
  /** What is made of a row before it is sent, as a text that every hash is made with: with another, the rows stay, and none is as it would be sent. */
  readonly content: string;
  /**
   * Each: ascending places of key columns that {@link RowIndex.matching} is asked for. Then the key has several columns, and its text is `LENGTH:TEXT` of each,
   * joined by commas (LENGTH in UTF-16 units). With other parts than before, the index is kept.
   */
  readonly parts: readonly (readonly number[])[];
}

/** An index as it is now, without opening it. */
export interface KnownRows {
  /** What it was opened with last; see {@link RowIndexOptions}. */
  readonly identity: string;
  readonly content: string;
  readonly rows: number;
}

/** Indexes of rows that lie in the database of the models themselves, which then compares the two: only differences leave it. */
export interface SourceRowIndexes {
  /** That of this sync; null: there is none. Asks for no rights. */
  known(sync: string, signal: AbortSignal): Promise<KnownRows | null>;
  /** What makes it possible to write there: a statement, or words, for the owner of the database. */
  readonly permit: string;
  /** null: we may not write there. Whoever opened it last is its holder: calls of one before reject with `state.lease_lost`. */
  open(options: SourceRowIndexOptions, signal: AbortSignal): Promise<SourceRowIndex | null>;
  /** Removes that of this sync, if there is one. */
  forget(sync: string, signal: AbortSignal): Promise<void>;
}

export interface SourceRowIndexOptions extends RowIndexOptions {
  readonly sync: string;
  readonly model: QueryModel;
  /** What is hashed, in this order, after {@link RowIndexOptions.content}. */
  readonly columns: readonly string[];
  /** What rows are kept out by. With another than before, all rows are offered once. */
  readonly where: string | null;
}

export interface SourceRowIndex extends RowIndex {
  /**
   * Compares the model with the index, from one snapshot that is begun after the call. Throws `source.model` when rows have no
   * value in their key.
   */
  compare(signal: AbortSignal): Promise<Differences>;
  /**
   * These are rows of the model that the destination is not to have: not offered again while they are the same. Those that are in the index
   * are left out. Each key once.
   */
  keepOut(rows: readonly { readonly key: string; readonly hash: string }[]): Promise<void>;
  /** What it is to hold from the beginning is in it. Until this resolves for one that is new, it counts as not made. */
  complete(): Promise<void>;
}

/** What a model and what was sent of it differ in. */
export interface Differences extends AsyncDisposable {
  /** Rows that are not in the index, or not so, or not confirmed; and all rows of a key that several have, when one of them is such a row. */
  readonly changed: number;
  /** Rows of the index that the model does not have. */
  readonly gone: number;
  /** The changed ones, in the order of their keys' bytes. */
  rows(limit: ChunkLimit, signal: AbortSignal): AsyncIterable<SnapshotChunk>;
  /** Keys of those that are gone, in that order; a page is bounded. */
  goneKeys(signal: AbortSignal): AsyncIterable<readonly string[]>;
  /** All that it brought is dealt with: another `where` has been applied to all rows. */
  settled(): Promise<void>;
}
