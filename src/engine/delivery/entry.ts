import type { Change } from "../../contracts/change.ts";
import type { DeliveryOp } from "../../contracts/destination.ts";
import type { Values } from "../../contracts/values.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Item } from "../progress/ack-tracker.ts";

/**
 * One delivery that is not finished. Mapped only when its batch is made, so that what is merged away is never mapped
 * and what waits is held once.
 */
export interface Entry extends Item {
  /** What the order is kept by: the record at the destination that it is about. See {@link recordKeyOf}. */
  key: string;
  /** The model's key. */
  rowKey: string;
  op: DeliveryOp | "barrier";
  mapping: Mapping;
  /** The change it comes from (the newest one, after merging); null for a row that was read. */
  change: Change | null;
  before: Values | null;
  after: Values | null;
  /** Its id when there is no change to make one of. */
  readonly readId: string | null;
  /** The log's position when the row was read; what a receiver may compare with the positions of changes. */
  readonly readAt: string;
  /**
   * "" for what a change says; `-old` for the removal of the record under its old key or match value when the change gave
   * the row a new one. Part of the delivery's id.
   */
  half: "" | "-old";
  /** mode `event`: what the receiver is told happened. */
  event: "insert" | "update" | "delete";
  /** The row must be read at the source before it can be sent: a column that is needed did not come with the change. */
  fill: boolean;
  /** After filling, `where` decides whether this is a row to send or one that left. */
  refilter: boolean;
  live: boolean;
  bytes: number;
  queuedAtMs: number;
  /** Requests that it was in. */
  attempts: number;
  /** Failed requests that are held against it: others were taken between them. */
  faults: number;
  /** When it was last sent in vain, ms since the epoch; 0: never. */
  triedAtMs: number;
  /** What was merged into it. */
  also: Entry[] | null;
  /** Comes from a row that was read, not from a change. Both kinds have a progress of their own. */
  readonly read: boolean;
  /** Its place in the order in which entries were queued. */
  order: number;
  /** The next entry of the same key. */
  next: Entry | null;
  /** How many entries of other keys must be finished first. */
  waits: number;
  /** An entry of another key that may leave once this one is finished. */
  followedBy: Entry | null;
  state: "waiting" | "ready" | "sending";
}
