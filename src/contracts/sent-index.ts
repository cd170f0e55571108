/** One record at the destination, as the index of what was sent knows it. */
export interface SentRecord {
  /** What deliveries are kept in order by: the record at the destination. */
  readonly key: string;
  /**
   * What a removal needs: the texts of the columns that identify the row and its record, in the order that the index was
   * opened with; null: the only one of them is `key`.
   */
  readonly identity: readonly string[] | null;
}

/**
 * Which records a sync may have at its destination: never too few. A record is in it from before it is first sent until after its
 * removal was accepted, over crashes too. Kept by whoever holds the lease; every method rejects with `state.lease_lost`
 * when that has gone, and with `state.unavailable` when it could not be done and is to be tried again.
 *
 * Each record carries the generation in which it was sent last. Calls take effect in the order in which they are made.
 */
export interface SentIndex {
  /** It was made, or begun anew, when it was opened: what was sent before is not in it. */
  readonly isNew: boolean;
  /** How many records were in it when it was opened. */
  readonly rows: number;
  /**
   * Must have resolved before any of these is sent. Written so that it outlives the process; on the disk at the latest when the next
   * {@link Lease.commit} resolves.
   */
  announce(records: readonly SentRecord[], generation: number): Promise<{ readonly added: number }>;
  /** Which of these keys are in it. */
  known(keys: readonly string[]): Promise<readonly string[]>;
  /** Their removal was accepted. */
  forget(keys: readonly string[]): Promise<void>;
  /**
   * Of the next records after `after` in the order of keys (null: from the first), those that were last sent in another
   * generation. A page covers a bounded number of records, however few of them it returns.
   */
  others(generation: number, after: string | null): Promise<OtherGenerations>;
}

export interface OtherGenerations {
  readonly records: readonly SentRecord[];
  /** How many records the page covers. */
  readonly covered: number;
  /** Where to go on; null: this was the last page. */
  readonly next: string | null;
}
