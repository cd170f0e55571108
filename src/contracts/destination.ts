import type * as z from "zod";
import type { Position } from "./change.ts";
import type { TailraceError } from "./errors.ts";
import type { Finding } from "./finding.ts";
import type { Log } from "./log.ts";
import type { Relation } from "./relation.ts";
import type { Mode, OnDelete } from "./sync.ts";
import type { Value, Values } from "./values.ts";

/** A connection to a downstream tool, shared by every sync that delivers to it. */
export interface Destination extends AsyncDisposable {
  readonly limits: Limits;
  readonly capabilities: Capabilities;
  /** Reachability, credentials, and each target's object and fields. Changes nothing. */
  check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]>;
  /** Makes ready to write one sync's deliveries. May create what the settings say to create. */
  open(target: Target, signal: AbortSignal, memory?: WriterMemory): Promise<Writer>;
}

/** A short text that a writer of this sync finds again after a restart, on whatever machine. */
export interface WriterMemory {
  /** What was kept last; null: nothing. */
  readonly text: string | null;
  /** At most 64 KB, and no row's value in it. Durable when it resolves. */
  keep(text: string | null): Promise<void>;
}

export interface Limits {
  readonly batchRows: number;
  readonly batchBytes: number;
  /** Requests in flight at a time, over all syncs. */
  readonly concurrency: number;
  /** Requests a second, over all syncs; null: unlimited. */
  readonly perSecond: number | null;
  /** How long a batch that is not full waits for more rows, in ms; 0: it leaves at once. */
  readonly batchAgeMs: number;
}

export interface Capabilities {
  readonly modes: readonly Mode[];
  readonly deletes: readonly OnDelete["kind"][];
  /** A delivery may leave fields out, and they keep their value at the destination. */
  readonly partialUpdates: boolean;
  /** The destination takes a delivery's id and drops repeats. */
  readonly idempotencyKey: boolean;
}

/** One sync as its destination sees it. */
export interface Target {
  readonly sync: string;
  readonly object: string | null;
  readonly mode: Mode;
  readonly onDelete: OnDelete;
  /** The field that identifies a record; more than one when the model's key has several columns. */
  readonly match: readonly string[];
  readonly shape: Shape;
  /** Checked by the connector's own {@link DestinationConnector.sync} schema. */
  readonly options: unknown;
}

/** The fields of a mapped record, shared by reference between all records of one relation version. */
export interface Shape {
  readonly fields: readonly Field[];
}

export interface Field {
  readonly name: string;
  /** The source's type of the column behind it; null for a constant or a template. */
  readonly type: string | null;
  readonly json: "string" | "number" | "boolean" | "json" | "array";
}

export interface MappedRecord {
  readonly shape: Shape;
  /** One text a field, by place. {@link UNCHANGED}: leave the field out. */
  readonly values: Values;
  /** The record as one JSON object. Fields that are left out are not in it. */
  json(): string;
  /** One field's JSON: `null`, `"text"`, `12.50`. Throws when the value is UNCHANGED. */
  fieldJson(index: number): string;
}

/**
 * What the destination is to do. `create`, `update` and `upsert` carry a record; `archive` a record with only the match
 * and archive fields; `clear` a record whose mapped fields are null; `delete` a record with only the fields that could be had
 * of the old row (always the match field); `event` what happened.
 */
export type DeliveryOp = "create" | "upsert" | "update" | "delete" | "archive" | "clear" | "event";

/** A mapped change on its way to a destination. */
export interface Delivery {
  /** `SYNC-POSITION`: the same on every retry, restart and machine. Only `[A-Za-z0-9_-]`. */
  readonly id: string;
  readonly op: DeliveryOp;
  /** The model's key, one text a key column. */
  readonly key: readonly string[];
  /** The values of {@link Target.match}, by place; null where one could not be had. */
  readonly match: readonly Value[];
  readonly record: MappedRecord;
  /** mode `event`: the old row, mapped; null on insert and where the source does not send it. */
  readonly old: MappedRecord | null;
  /** mode `event`: what happened to the row. For a backfilled row: `insert`. */
  readonly change: "insert" | "update" | "delete";
  readonly position: Position;
  /**
   * µs since the epoch; for a row of a query, of the oldest change that it was read for; null for a row that was read for no
   * change.
   */
  readonly committedAt: bigint | null;
  /** 1 on the first attempt. */
  readonly attempt: number;
  /** About how many bytes it takes on the wire. */
  readonly bytes: number;
  readonly relation: Relation;
}

/**
 * What became of one delivery.
 *
 * - `delivered`: the destination has it, durably.
 * - `retry`: this row was not taken now; the engine sends it again, `afterMs` from now at the earliest.
 * - `rejected`: this row will never be taken as it is; it becomes a dead letter.
 */
export type Outcome =
  | { readonly status: "delivered" }
  | { readonly status: "retry"; readonly error: TailraceError; readonly afterMs?: number | undefined }
  | { readonly status: "rejected"; readonly error: TailraceError };

export const DELIVERED: Outcome = { status: "delivered" };

/** Writes the deliveries of one sync. */
export interface Writer extends AsyncDisposable {
  /**
   * Sends one batch; one outcome a delivery, in the same order. No two deliveries of a batch are about one record.
   *
   * A throw says that the fate of the whole batch is unknown or the same, by its {@link TailraceError.consequence}:
   * `transient`, `throttled`, `unknown-outcome`: the whole batch is sent again, with the same ids;
   * `row-permanent`: the batch was refused as a whole, and the engine halves it until it finds the row;
   * `auth`, `config`: the sync waits. A writer never retries, sleeps or counts, and never sends twice. A write that takes more
   * than one request asks `pace` for each of the others, and for the time between two looks at a job.
   *
   * Nothing is sent once `signal` is aborted. A request that may have waited before it is written asks that after a `lastLook`
   * (last-look.ts), as those of the kit's HTTP client do.
   */
  write(batch: readonly Delivery[], signal: AbortSignal, pace?: Pace): Promise<readonly Outcome[]>;

  /**
   * Which batch a delivery may be part of: those of one group, by identity, and no more of them than it has rows. Absent: any deliveries
   * may share a batch.
   */
  group?(op: DeliveryOp): BatchGroup;

  /**
   * Set by a destination that can keep our progress in the same transaction as the rows; its effect is then exactly
   * once. The engine calls `writeWith` instead of `write`, one batch at a time, and starts from what `load` returns when
   * that is further than its own state.
   */
  readonly transactional?: TransactionalWriter | undefined;
}

export interface BatchGroup {
  /** At most so many in a batch; also never more than {@link Limits.batchRows}. */
  readonly rows: number;
}

/** Time, as the engine has it for one write; both reject when `signal` is aborted. */
export interface Pace {
  /** Resolves when one request more may begin. */
  request(signal: AbortSignal): Promise<void>;
  /** Resolves after so many ms. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export interface TransactionalWriter {
  /**
   * What {@link writeWith} last committed for this sync, by whatever process; null when never. A writer goes on from what it
   * loaded: where nothing was stored yet, this need not be called.
   */
  load(signal: AbortSignal): Promise<string | null>;
  /**
   * Writes the batch, in its order, and `progress` (opaque, ≤ 8 KB) in one transaction. In the modes `event` and `insert` a batch
   * may hold several deliveries of one key; what it holds is all that came since the last one. `delivered` for all, or a throw. The same batch and
   * progress again is written once. `state.lease_lost`: what is stored is not what this writer loaded or wrote last;
   * nothing was written, and only a writer that loads anew can go on.
   */
  writeWith(batch: readonly Delivery[], progress: string, signal: AbortSignal): Promise<readonly Outcome[]>;
}

export interface DestinationContext {
  readonly name: string;
  readonly log: Log;
  /** The folder that relative paths in the configuration are relative to. */
  readonly baseDirectory: string;
}

/** What `destinations/TYPE/index.ts` exports as default. */
export interface DestinationConnector<S extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  readonly type: string;
  readonly title: string;
  /** Settings of the connection; a field that holds a secret carries `.meta({ secret: true })`. */
  readonly settings: S;
  /** A sync's `options:`. */
  readonly sync: O;
  /** What its page in docs/destinations/ and `tailrace destinations show` say; absent: the page is written by hand. */
  readonly guide?: DestinationGuide;
  create(settings: z.output<S>, context: DestinationContext): Destination;
}

/** Texts are Markdown. */
export interface DestinationGuide {
  /** One sentence: what it is for. */
  readonly summary: string;
  /** How to get what `settings` ask for, step by step. */
  readonly credentials: string;
  /** A destination and a sync, as YAML. */
  readonly example: string;
  readonly objects: readonly ObjectGuide[];
  readonly limits: string;
  /** What a user should know: what is different from what they would expect, and what is not covered. */
  readonly notes: string;
}

export interface ObjectGuide {
  readonly name: string;
  readonly match: string;
  readonly modes: readonly Mode[];
  readonly deletes: readonly OnDelete["kind"][];
  /** How many rows go into a request. */
  readonly batch: string;
}

export function defineDestination<S extends z.ZodType, O extends z.ZodType>(
  connector: DestinationConnector<S, O>,
): DestinationConnector<S, O> {
  return connector;
}
