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
  /** Of the row's mapped columns, 32 hexadecimal digits; see kit/row-hash.ts. null: the row is about to be removed. */
  readonly hash: string | null;
}

export interface IndexedRow extends SentRow {
  /** Stays the same as long as the row is in the index; dense, from 0. */
  readonly place: number;
  /** Grows with every announcement of something else. */
  readonly version: number;
  /** Whether the last announcement was accepted by the destination. */
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
  /** How many rows are in it. */
  readonly rows: number;
  /** One an asked key, in that order; null: not in it. */
  find(keys: readonly string[]): Promise<readonly (IndexedRow | null)[]>;
  /**
   * Must have resolved before any of these is sent. One version a row, in that order: the one it had when the same was announced before
   * and not confirmed (a repeat has the id of the first), else the next. Written so that it outlives the process; on the disk at the
   * latest when the next {@link Lease.commit} resolves.
   */
  announce(rows: readonly SentRow[]): Promise<readonly number[]>;
  /** These were accepted, at this version; a removal leaves the index. Ignored for a row that has been announced anew since. */
  confirm(rows: readonly { readonly key: string; readonly version: number }[]): Promise<void>;
  /** Keys of all rows whose key has one of these lists of texts at these places; only places that the index was opened with. */
  matching(places: readonly number[], values: readonly (readonly string[])[]): Promise<readonly string[]>;
  /** The next rows by place after `after` (null: from the first); a page is bounded. */
  page(after: number | null): Promise<{ readonly rows: readonly IndexedRow[]; readonly next: number | null }>;
}

export interface RowIndexOptions {
  /** What rows and records are told apart by; with another, it begins anew. */
  readonly identity: string;
  /** Each: places of key columns that {@link RowIndex.matching} is asked for; the key is then the text that `keyOf` makes of several columns. */
  readonly parts: readonly (readonly number[])[];
}
