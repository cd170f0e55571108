import type { ErrorCode } from "./errors.ts";
import type { Position } from "./change.ts";
import type { DroppedFailures, FailureDrop, FailurePage, FailureQuery } from "./failures.ts";
import type { KnownRows, RowIndex, RowIndexOptions } from "./row-index.ts";
import type { SentIndex } from "./sent-index.ts";
import type { Cursor } from "./source.ts";

/** Where checkpoints, dead letters and requests are kept. Every write is durable when its promise resolves. */
export interface StateStore extends AsyncDisposable {
  /**
   * The right to run one sync; one holder at a time, over all processes. Waits until it is free or `signal` aborts;
   * a holder that died is succeeded within 15 s.
   */
  acquire(sync: string, signal: AbortSignal): Promise<Lease>;

  // What needs no lease: the command line beside a running engine.
  statuses(): Promise<readonly StoredStatus[]>;
  load(sync: string): Promise<SyncState | null>;
  /** In log order (position, then id), 100 unless `page` says otherwise. */
  failures(sync: string, page?: FailurePage): Promise<readonly DeadLetter[]>;
  /** Groups by (code, message), most first; of all, or of those that `where` holds for. */
  failureGroups(
    sync: string,
    where?: FailureQuery,
  ): Promise<readonly { readonly code: ErrorCode; readonly message: string; readonly count: number }[]>;
  /** 100 unless `page` says otherwise. */
  droppedFailures(sync: string, page?: { readonly limit: number; readonly offset: number }): Promise<DroppedFailures>;
  failure(sync: string, id: string): Promise<DeadLetter | null>;
  /** Leaves a request for whoever runs the sync, now or later. Its {@link Lease.requests} has it at the next call. */
  request(sync: string, request: SyncRequest): Promise<void>;
  /** Requests that nobody has taken yet, oldest first. */
  waitingRequests(sync: string): Promise<readonly { readonly id: number; readonly request: SyncRequest }[]>;
  /** The index of a sync's rows, as long as it is kept here; null: there is none. */
  knownRows(sync: string): Promise<KnownRows | null>;
  /** Forgets a sync that nobody runs (`state.lease_held` else): its state, failures and requests. */
  forget(sync: string): Promise<void>;
}

export interface Lease extends AsyncDisposable {
  readonly sync: string;
  /**
   * Aborted when another holder has taken over, or may do so from now on: nothing may be sent or written after that. Reading
   * it looks anew: a process that slept sees at once that its time is over, before any timer has its turn.
   */
  readonly lost: AbortSignal;
  load(): Promise<SyncState | null>;
  /**
   * Stores all of it or nothing. Rejects with `state.lease_lost` when fenced, `state.unavailable` when it could not be
   * written (nothing of it is, and it is to be tried again); a position that would move backwards without `reset` is an `internal.defect`.
   * A dead letter whose id is there already replaces it; an id in both `deadLetters` and `resolved` stays.
   */
  commit(change: StateChange): Promise<void>;
  /** Requests not yet taken, oldest first; cheap enough to ask several times a second. `take` them with {@link StateChange.takenRequests}. */
  requests(): Promise<readonly { readonly id: number; readonly request: SyncRequest }[]>;
  /**
   * Opens the index of what was sent. `identity` says what its records mean (destination, object, match, key columns): where it
   * is another than before, the index begins anew, because records are told apart in another way.
   */
  openSentIndex(identity: string): Promise<SentIndex>;
  /** See {@link StateStore.knownRows}. */
  knownRows(): Promise<KnownRows | null>;
  /** Opens the index of the rows of a model that is not read from the log itself. */
  openRowIndex(options: RowIndexOptions): Promise<RowIndex>;
  /** A line for `status`; cheap, may be lost in a crash. */
  report(status: StatusReport): Promise<void>;
}

/** How far a sync has come: everything before it is delivered or dead-lettered, durably. */
export interface Checkpoint {
  readonly position: Position;
  /** See SourceCheckpoint.incarnation. */
  readonly incarnation: string;
  readonly backfill: BackfillProgress | null;
}

/** A backfill that has begun and not ended; null in {@link Checkpoint} once it has. */
export interface BackfillProgress {
  /** Grows with every resync; part of the ids of backfilled rows. */
  readonly generation: number;
  /** Rows up to here are done; null: none yet. */
  readonly after: Cursor | null;
  readonly rows: number;
  /** Every row is done; what is left is the removal of records whose rows are gone. */
  readonly removing?: true | undefined;
  /** A person has approved of sending rows again that were sent by another mapping; until the index is opened by this one. */
  readonly approved?: true | undefined;
}

/** Removals that the guard against mass deletes (`max_deletes`) has stopped, and whether a person has approved of them. */
export interface HeldDeletes {
  /** `resync`, `diff`: records whose rows were not found when all rows were read; `live`: rows that were deleted. */
  readonly by: "resync" | "diff" | "live";
  /** How many records would be removed; of live deletes: about, as far as they were read. */
  readonly rows: number;
  /** How many records the destination has, or had. */
  readonly of: number;
  readonly generation: number;
  /** `live`: approval covers what was committed until then, by the source's clock; µs since the epoch. */
  readonly until: string | null;
  readonly approved: boolean;
}

export interface SyncState {
  readonly checkpoint: Checkpoint | null;
  readonly paused: boolean;
  /** Set when the sync stopped for a reason that needs a person. */
  readonly stopped: { readonly code: ErrorCode; readonly message: string } | null;
  /** How many resyncs there have been. */
  readonly generation: number;
  readonly counts: Counts;
  readonly heldDeletes: HeldDeletes | null;
  /** What the destination's writer keeps ({@link WriterMemory}); a `reset` leaves it. */
  readonly writerMemory: string | null;
}

/** Since the sync first ran. */
export interface Counts {
  readonly delivered: number;
  readonly rejected: number;
}

export interface StateChange {
  readonly checkpoint?: Checkpoint | null | undefined;
  /** Allows the checkpoint to move backwards or to null, and raises the generation: a resync. */
  readonly reset?: boolean | undefined;
  readonly deadLetters?: readonly DeadLetter[] | undefined;
  /** Ids of dead letters that were delivered after all. Removed before {@link deadLetters} are added. */
  readonly resolved?: readonly string[] | undefined;
  /** Dead letters that are given up; each leaves a record. Before {@link deadLetters} are added. */
  readonly dropped?: readonly FailureDrop[] | undefined;
  /** Records of what was dropped before this are forgotten, all but their number; ms since the epoch. */
  readonly forgetDroppedBeforeMs?: number | undefined;
  readonly paused?: boolean | undefined;
  readonly stopped?: SyncState["stopped"] | undefined;
  readonly takenRequests?: readonly number[] | undefined;
  /** Added to {@link SyncState.counts}. */
  readonly counts?: Counts | undefined;
  /** A `reset` forgets them. */
  readonly heldDeletes?: HeldDeletes | null | undefined;
  readonly writerMemory?: string | null | undefined;
}

/** A rejected delivery. Holds the row's key, so that it can be read again; its values only in mode `event` and `insert`. */
export interface DeadLetter {
  /** The delivery's id. */
  readonly id: string;
  readonly key: readonly string[];
  readonly op: string;
  readonly position: Position;
  readonly code: ErrorCode;
  readonly message: string;
  /** What the destination answered, shortened. */
  readonly answer: string | null;
  readonly attempts: number;
  /** ms since the epoch, our clock. */
  readonly failedAtMs: number;
  /**
   * What cannot be read again: the change behind an `event` or an `insert`, as JSON of its old and new values by column.
   * null in the modes that send the present row.
   */
  readonly payload: string | null;
}

export type SyncRequest =
  | { readonly kind: "pause" }
  | {
      readonly kind: "resume";
      readonly approveDeletes?: true | undefined;
      readonly approveResend?: true | undefined;
    }
  | { readonly kind: "resync" }
  | { readonly kind: "retry"; readonly failures: FailureChoice }
  | { readonly kind: "drop"; readonly failures: FailureChoice; readonly by: string; readonly why: string | null };

/** Ids, or what they have in common. */
export type FailureChoice = readonly string[] | FailureQuery;

export type Phase = "starting" | "backfilling" | "streaming" | "waiting" | "paused" | "stopped" | "standby";

/** What a running sync says of itself, about once a second. */
export interface StatusReport {
  readonly phase: Phase;
  /** Why it waits, is paused or stopped; no row values. */
  readonly reason: string | null;
  readonly position: Position | null;
  /** Age of the oldest change that is not delivered yet, in ms; 0 when there is none. */
  readonly lagMs: number;
  readonly queuedRows: number;
  readonly queuedBytes: number;
  /** Deliveries a second, lately. */
  readonly perSecond: number;
  readonly latency: { readonly p50Ms: number; readonly p99Ms: number } | null;
  readonly backfill: { readonly rows: number; readonly estimate: number | null; readonly perSecond: number } | null;
  /** ms since a byte last came from the source; null before the first. */
  readonly sourceSilentMs: number | null;
  /** It has a place of its own in the log, because it fell behind the others; null: it shares theirs. */
  readonly detached: { readonly retainedBytes: number | null } | null;
}

export interface StoredStatus {
  readonly sync: string;
  readonly state: SyncState;
  readonly report: StatusReport | null;
  /** ms since the epoch when `report` was made; null without one. */
  readonly reportedAtMs: number | null;
  /** Whether a process holds the lease now. */
  readonly running: boolean;
  readonly failures: number;
}
