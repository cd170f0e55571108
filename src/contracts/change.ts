import type { Relation } from "./relation.ts";
import type { Values } from "./values.ts";

/**
 * A place in a source's changelog. Opaque; string order is log order within one source; never contains `.`,
 * white space or a character that needs escaping in a URL, a header or JSON, so that a delivery's id can be
 * made of it.
 */
export type Position = string;

export interface Transaction {
  /** The source's id of the transaction (a PostgreSQL xid): what {@link SnapshotChunk.sees} is asked about. */
  readonly id: string;
  /** µs since the epoch, by the source's clock. */
  readonly committedAt: bigint;
}

export interface Change {
  /** `touched`: rows of the relation changed, and the source does not say which; `before` and `after` are null. */
  readonly op: "insert" | "update" | "delete" | "truncate" | "touched";
  readonly relation: Relation;
  /** The old row as far as the source sends it ({@link Relation.oldRows}); null on insert, and on an update without any. */
  readonly before: Values | null;
  /** The new row; null on delete and truncate. */
  readonly after: Values | null;
  /** Equal on every replay: (commit, ordinal within the commit). */
  readonly position: Position;
  readonly transaction: Transaction;
}

/**
 * A stretch of the changelog in log order, bounded in bytes: part of a transaction, or several. Also sent with
 * no change at all, to say that the log has moved past what concerns us.
 */
export interface ChangeBatch {
  readonly changes: readonly Change[];
  /** Everything at or before this position is in this batch or in an earlier one. Reading may start after it. */
  readonly end: Position;
  /** Size on the wire, for the byte budget. */
  readonly bytes: number;
}
