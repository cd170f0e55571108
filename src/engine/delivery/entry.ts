import type { Change, Transaction } from "../../contracts/change.ts";
import type { DeliveryOp } from "../../contracts/destination.ts";
import type { Values } from "../../contracts/values.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Item, ItemGroup } from "../progress/ack-tracker.ts";

/**
 * One delivery that is not finished. Mapped only when its batch is made, so that what is merged away is never mapped
 * and what waits is held once.
 */
export class Entry implements Item {
  readonly group: ItemGroup;
  readonly index: number;
  op: DeliveryOp | "barrier";
  mapping: Mapping;
  /** What the order is kept by: the record at the destination that it is about. See {@link recordKeyOf}. */
  key = "";
  /** The model's key. */
  rowKey = "";
  /** The change it comes from (the newest one, after merging); null for a row that was read. */
  change: Change | null = null;
  /** Of the change; for a row of a query, of the oldest change that it was read for; null for rows that were read for no change. */
  transaction: Transaction | null = null;
  before: Values | null = null;
  after: Values | null = null;
  /** Its id when there is no change to make one of. */
  readId: string | null = null;
  /** The log's position when the row was read; what a receiver may compare with the positions of changes. */
  readAt = "";
  /** Comes from a row that was read, not from a change. Both kinds have a progress of their own. */
  readonly read: boolean;
  /**
   * "" for what a change says; `-old` for the removal of the record under its old key or match value when the change gave
   * the row a new one. Part of the delivery's id.
   */
  half: "" | "-old" = "";
  /** mode `event`: what the receiver is told happened. */
  event: "insert" | "update" | "delete" = "update";
  /** The row must be read at the source before it can be sent: a column that is needed did not come with the change. */
  fill = false;
  /** After filling, `where` decides whether this is a row to send or one that left. */
  refilter = false;
  /** Live entries leave before rows of a backfill. */
  live: boolean;
  /** The {@link Observer} hears of it. */
  observed = false;
  /** What it takes in memory, about. */
  bytes = 0;
  readonly queuedAtMs = Date.now();
  /** Requests that it was in. */
  attempts = 0;
  /** Failed requests that are held against it: others were taken between them. */
  faults = 0;
  /** When it was last sent in vain, ms since the epoch; 0: never. */
  triedAtMs = 0;
  /** What was merged into it. */
  also: Entry[] | null = null;
  /**
   * Its place in the order in which entries count as queued, the one of its progress; 0: the next one, when it is queued. See
   * {@link KeyedQueue.reserve}.
   */
  order = 0;
  /** The next entry of the same key. */
  next: Entry | null = null;
  /** How many entries of other keys must be finished first. */
  waits = 0;
  /** An entry of another key that may leave once this one is finished. */
  followedBy: Entry | null = null;
  state: "waiting" | "ready" | "sending" = "waiting";

  /** `group`, `index`: what it reports to when it is finished. */
  constructor(op: Entry["op"], mapping: Mapping, group: ItemGroup, index: number, read: boolean) {
    this.op = op;
    this.mapping = mapping;
    this.group = group;
    this.index = index;
    this.read = read;
    this.live = !read;
  }
}
