// What a warehouse that is polled has to say for itself; FeedSource makes a Source of it.
//
// A warehouse keeps history a table at a time (a Delta version, a Snowflake stream, a BigQuery window), so one reader has one model.
import type { Finding } from "../../contracts/finding.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type {
  CaptureExplanation,
  ChunkLimit,
  Cursor,
  Holding,
  KeyValues,
  ModelNeeds,
  SnapshotChunk,
} from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";

/**
 * A point of a model's history at which changes became visible together: a version, an instant. All marks of a model have one length, of
 * `[0-9A-Za-z_]` (pad numbers with zeros); their string order is the order of history; the same changes have the same mark on every
 * replay. It is the id of the transaction, and the first part of each of its positions.
 */
export type Mark = string;

/** A connection to a warehouse, for every model of it. Errors of its methods are {@link TailraceError}s. */
export interface Warehouse extends AsyncDisposable {
  /** Reachability, privileges, settings, for these models: see `Source.check`. Changes nothing. */
  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]>;
  /**
   * How this model is read, as things are now: by its history, or by comparing its rows. Asked for again after every `open`, so that what was
   * altered is noticed; in between it is kept.
   */
  reading(model: Model, signal: AbortSignal): Promise<ModelFeed | ModelRows>;
  /** See `Source.explain`. */
  explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation>;
  /** What we made there and hold, for `tailrace slots`. Absent: nothing is ever made there. */
  holdings?(signal: AbortSignal): Promise<readonly Holding[]>;
  /** Drops one of them that is not in use. */
  release?(name: string, signal: AbortSignal): Promise<void>;
}

/** A model whose history can be read. */
export interface ModelFeed {
  readonly kind: "feed";

  /** Its columns and key as they are now; `oldRows`: `full` where the old row of every change comes whole. `source.model`: there is none. */
  relation(signal: AbortSignal): Promise<Relation>;

  /** Statements that {@link prepare} would run now, ready to paste; changes nothing. Absent: it needs nothing. */
  plan?(signal: AbortSignal): Promise<readonly string[]>;
  /** Makes what reading needs, where it is not there: a stream, a table of ours. Idempotent. */
  prepare?(signal: AbortSignal): Promise<void>;

  /**
   * What must stay true for marks to mean the same places: the table's id, which kind of feed it has. Opaque text, kept with every checkpoint,
   * and handed back to {@link prove}.
   */
  incarnation(signal: AbortSignal): Promise<string>;

  /**
   * The newest mark that is complete: nothing that is at or before it can still come. Never goes back. Metadata only, as it is asked again and
   * again: it must not wake what costs.
   */
  newest(signal: AbortSignal): Promise<Mark>;

  /**
   * Where a mark means the same on a replay only if a position in it was stored: the first one that {@link changes} would have between `after` and
   * `upTo`; null: there is none. Its beginning is stored before its changes are given out, unless a sync does not store anything for a while.
   * Absent: the warehouse itself keeps marks apart.
   */
  firstBetween?(after: Mark, upTo: Mark): Mark | null;

  /**
   * Throws a `source.gap` error, which says why and what to do, when the changes from `from` on cannot be read whole any more, or when
   * `incarnation` (as it was when `from` was stored) is no longer so. The only proof there is: reading goes on after it.
   */
  prove(from: From, incarnation: string, signal: AbortSignal): Promise<void>;

  /**
   * All changes in `from … upTo` (`upTo` is at or before a mark that {@link newest} gave), in order of marks. A row that was changed several times
   * within one mark comes once, with its net change. Within a mark the order is the same on every replay: first the keys that no row has any more,
   * then the others, each in key order (any total order of key texts will do); the old row of a key before its new one. So the record of
   * one key that another key takes over is removed before it is written.
   *
   * A page is bounded in bytes, and ends anywhere: between an old row and its new one too. The caller takes as long as it likes. What is
   * missed or half read must throw, `source.unreachable` or a `source.gap`; ending without an error says that everything was there.
   */
  changes(from: From, upTo: Mark, signal: AbortSignal): AsyncIterable<FeedPage>;

  /**
   * All rows after `after` (null: from the first) as of exactly `mark`, in key order by one total order, which `after` is compared by too.
   * Each page within `limit`, and of at least one row unless there is none. The caller takes as long as it likes, or leaves off: what was opened
   * for it is closed then.
   */
  scanAt(mark: Mark, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<RowPage>;

  /** The rows with these keys as of exactly `mark`, in any order; keys without a row are left out. `keys` is not empty. */
  lookupAt(mark: Mark, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage>;

  /** About how many rows the model has; null: unknown. Metadata only. */
  estimate(signal: AbortSignal): Promise<number | null>;

  /** Absent: {@link newest} is asked again and again. */
  readonly pushed?: Pushed;

  /** What is at or before `mark` is needed by nobody any more, over restarts too. Absent: the warehouse forgets by itself. */
  forget?(mark: Mark, signal: AbortSignal): Promise<void>;
}

/** A warehouse that says by itself that there is something new, as long as it is listened to. */
export interface Pushed {
  /** Resolves when there may be something after `mark`, which has been read. Rejects as {@link ModelFeed.changes} throws. */
  after(mark: Mark, signal: AbortSignal): Promise<void>;
  /** Nobody listens any more: closes what is open for it. */
  stop(): void;
}

/** Where changes begin. */
export interface From {
  readonly mark: Mark;
  /** `after`: behind all changes of `mark`. `at`: with its first one, because it was left off in the midst of them. */
  readonly side: "after" | "at";
}

export interface FeedPage {
  /** As the rows of this page look. One object for one shape (`RelationVersions`). */
  readonly relation: Relation;
  readonly rows: readonly FeedRow[];
  /** About how many bytes they took on the wire. */
  readonly bytes: number;
}

/**
 * One image of a row. An old one and the new one behind it are one update when both have the same key, or the same
 * `row`; when they are equal in every value they are no change at all. An old one alone is a delete, a new one alone an insert.
 */
export interface FeedRow {
  readonly mark: Mark;
  /** µs since the epoch, by the warehouse's clock. */
  readonly committedAt: bigint;
  readonly image: "old" | "new";
  readonly values: Values;
  /**
   * The warehouse's id of the row, which outlives a change of its key. Give it, and the two images next to each other, only where in that mark no other
   * row had the new key before or has the old one now; else, and where there are no such ids: null, and the images are as of two keys.
   */
  readonly row: string | null;
  /** Of a new one that comes alone although there was a row with that key before (the feed has no old rows): it is an update. */
  readonly existed?: boolean;
}

/** Rows of a model, and where to go on; see `SnapshotChunk`. */
export type RowPage = Pick<SnapshotChunk, "relation" | "rows" | "next"> & {
  /**
   * As of which mark they are, where the warehouse has moved on from the one that was asked for, and cannot go back: a later one, the same for all
   * pages of a scan.
   */
  readonly mark?: Mark;
};

/** A model without a history that could be read (a query, a table without a feed): its rows are compared with what was last sent. */
export interface ModelRows {
  readonly kind: "rows";
  /** Why it has to be so, for people, with what would help. */
  readonly because: readonly string[];
  /** Its result changes with time alone. */
  readonly timeDependent: boolean;
  /**
   * A text that is another one whenever the tables that it reads may have other rows; metadata only. null: that cannot be told, and rows
   * are compared on the model's schedule alone.
   */
  readonly state: ((signal: AbortSignal) => Promise<string>) | null;
  relation(signal: AbortSignal): Promise<Relation>;
  /** As {@link ModelFeed.scanAt}, as the model is now, all pages as of one moment that is not before the call. */
  scan(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<RowPage>;
  /** As {@link ModelFeed.lookupAt}, as the model is now. */
  lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage>;
  estimate(signal: AbortSignal): Promise<number | null>;
}
