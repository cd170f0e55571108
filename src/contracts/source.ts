import type * as z from "zod";
import type { Capture } from "./capture.ts";
import type { ChangeBatch, Position } from "./change.ts";
import type { Finding } from "./finding.ts";
import type { Log } from "./log.ts";
import type { Model } from "./model.ts";
import type { Relation } from "./relation.ts";
import type { SourceRowIndexes } from "./row-index.ts";
import type { Values } from "./values.ts";

/**
 * A connection to a warehouse or database, read by its own changelog. One instance serves every sync of that
 * source.
 *
 * Life: `open` once, then `read`; `ack`, `snapshot`, `lookup` and `settle` may run beside `read`.
 * A lost connection ends `read` with a transient {@link TailraceError}; the caller opens and reads again.
 */
export interface Source extends AsyncDisposable {
  /** Reachability, privileges, settings, for these models: one report, each finding with its fix. Changes nothing. */
  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]>;

  /** The model's columns and key as they are now. Throws a config error when there is no such relation. */
  describe(model: Model, signal: AbortSignal): Promise<Relation>;

  /** How the model's changes become known, as things are now. For a query: reads the catalogue. */
  capture(model: Model, signal: AbortSignal): Promise<Capture>;

  /**
   * Makes what reading needs on the source (publication, slot), and proves that the log is unbroken from the
   * oldest of the `stored` places on. Throws a `source.gap` error when it is not: it never resumes over a hole.
   * Idempotent.
   */
  open(models: readonly Model[], stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint>;

  /**
   * What `open` would make or change on the source now, as statements ready to paste; changes nothing. Throws the same
   * `source.gap` error that `open` would.
   */
  plan(models: readonly Model[], stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<readonly string[]>;

  /**
   * The changes after `after`, of the models' tables and of the tables that queries read, in log order, pull-based: what is not asked for stays on the source's side. The
   * source keeps its connection alive however long the caller takes. Ends only by throwing, or after `signal`.
   */
  read(after: Position, signal: AbortSignal): AsyncIterable<ChangeBatch>;

  /** ms since the epoch (our clock) when a byte last came while reading; null, or absent: not reading, or not known. */
  readonly lastByteAtMs?: number | null;

  /** Tells the source that it may forget what is at or before `stored`. Only a position that every sync has stored. */
  ack(stored: Position): void;

  /**
   * Another reader of the same log, with a place of its own in it: for a sync that falls behind the others, so that it holds back
   * nobody. Its `open` carries a checkpoint over that another place of this source keeps, without a gap. The same name is the
   * same place, after a restart too. The caller disposes it.
   */
  branch(name: string): Source;

  /** Whether it is the place of this very reader that keeps the log from this checkpoint on; another one of this source may. */
  keeps(stored: SourceCheckpoint): boolean;

  /**
   * After `open`: whether the model means the same as when this checkpoint was made. False: a query that was written otherwise, or reads a
   * view that was: all its rows are to be compared. Absent: as long as its name is the same.
   */
  sameModel?(model: Model, stored: SourceCheckpoint): boolean;

  /** What the source keeps for this reader, and whether that is more than the settings allow. */
  retention(signal: AbortSignal): Promise<Retention>;

  /** Gives up this reader's place: the source keeps nothing for it any more. Without a place: does nothing. */
  forget(signal: AbortSignal): Promise<void>;

  /** Resolves when every transaction that had begun before the call has ended and is visible to new snapshots. */
  settle(signal: AbortSignal): Promise<void>;

  /** The next rows after `after` in key order, from one snapshot of its own. `after` null: from the first. */
  snapshot(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk>;

  /** All rows after `after` in key order, in chunks, from one snapshot that is begun with the first. */
  scan(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<SnapshotChunk>;

  /** The rows that have these keys now, in any order; keys without a row are left out. From one snapshot. */
  lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk>;

  /** Indexes of what was sent, in its own database; absent: it keeps none. */
  readonly rowIndexes?: SourceRowIndexes;

  /** About how many rows the model has, for progress; null when unknown. */
  estimate(model: Model, signal: AbortSignal): Promise<number | null>;

  /** What we hold on the source (slots), ours or an orphan of ours. `branches`: names that {@link branch} may be called with. */
  holdings(branches: readonly string[], signal: AbortSignal): Promise<readonly Holding[]>;
  /** Drops one holding that is not in use. */
  release(name: string, signal: AbortSignal): Promise<void>;

  /** How this model is captured and what to expect, for `explain`. */
  explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation>;
}

/** What the syncs want of a model, so that `check` can say what is missing. */
export interface ModelNeeds<M extends Model = Model> {
  readonly model: M;
  /** Columns whose old values are needed (a `where`, a `match` that is not the key), with the reason. */
  readonly oldColumns: readonly { readonly column: string; readonly because: string }[];
  readonly deletes: boolean;
}

export interface SourceCheckpoint {
  readonly position: Position;
  /** What must still be true for the position to mean the same place: cluster, timeline, slot, publication. Opaque. */
  readonly incarnation: string;
}

/** The key of the last row read: one text a key column, in key order. Keys are never null. */
export type KeyValues = readonly string[];
export type Cursor = KeyValues;

export interface ChunkLimit {
  readonly rows: number;
  readonly bytes: number;
}

export interface SnapshotChunk {
  readonly relation: Relation;
  readonly rows: readonly Values[];
  /** Where to go on; null when the chunk holds the last row. */
  readonly next: Cursor | null;
  /** Every transaction that the snapshot sees is at or before this position of the log. */
  readonly high: Position;
  /**
   * Whether the snapshot sees this transaction. A commit is in the log before new snapshots see it, so a
   * transaction that was already delivered may be missing: its rows in this chunk are older than what was sent.
   */
  sees(transaction: string): boolean;
}

export interface Retention {
  /** Bytes of log that the source keeps for this reader; null: it cannot be told, or there is no place. */
  readonly retainedBytes: number | null;
  /** What the settings allow, when it is exceeded; null: it is not. */
  readonly over: string | null;
}

export interface Holding {
  readonly name: string;
  readonly kind: string;
  readonly active: boolean;
  /** Bytes of log that the source keeps because of it; null when it cannot be told. */
  readonly retainedBytes: number | null;
  /** Whether this configuration uses it. */
  readonly used: boolean;
  readonly detail: string;
}

export interface CaptureExplanation {
  readonly kind: "log" | "feed" | "subscription" | "live query" | "diff";
  readonly why: string;
  readonly latency: string;
  readonly cost: string;
  readonly statements: readonly string[];
}

export interface SourceContext {
  /** Its name in the configuration. */
  readonly name: string;
  /** The configuration's `name`: tells two projects on one database apart. */
  readonly project: string;
  readonly log: Log;
  /** The folder that relative paths in the configuration are relative to; absent: the working directory. */
  readonly baseDirectory?: string | undefined;
}

/** What `sources/TYPE/index.ts` exports as default. */
export interface SourceConnector<S extends z.ZodType = z.ZodType> {
  readonly type: string;
  readonly title: string;
  /** Settings of the connection; a field that holds a secret carries `.meta({ secret: true })`. */
  readonly settings: S;
  /**
   * Whose changes one reader's positions can order: those of all models (a database's log), of one model (a warehouse keeps history a
   * table at a time), or only what one sync has read (a topic's partitions, in the order in which they came). Default: `source`. A run
   * makes a {@link Source} for each; only `open`, `read` and what goes with them are so narrow.
   */
  readonly sharing?: "source" | "model" | "sync";
  create(settings: z.output<S>, context: SourceContext): Source;
}

export function defineSource<S extends z.ZodType>(connector: SourceConnector<S>): SourceConnector<S> {
  return connector;
}
