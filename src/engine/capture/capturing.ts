import type { ChangeBatch } from "../../contracts/change.ts";
import type { Log } from "../../contracts/log.ts";
import type { Source } from "../../contracts/source.ts";
import type { Checkpoint, DeadLetter } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Hold, Keeper } from "../delivery/keeper.ts";
import type { KeyedQueue } from "../delivery/keyed-queue.ts";
import type { Observer } from "../observer.ts";
import type { Item } from "../progress/ack-tracker.ts";
import type { Mappings } from "./mappings.ts";

/**
 * How one sync learns what its model's rows are and become: queues it, and knows how far it has come with that. By the model's own
 * changes ({@link TableCapture}), or by reading its rows ({@link RowCapture}).
 */
export interface Capturing {
  /** The index of what was sent; null: none is kept. */
  readonly keeper: Keeper | null;
  /** What the source has sent. Never blocks. Throws when the sync cannot go on; then nothing of the batch counts as done. */
  accept(batch: ChangeBatch): void;
  /** The log has been read as far as was wanted: only of a run that ends then. */
  caughtUp?(): void;
  /** Works beside the stream, until `until` aborts or there is nothing to do. Throws what the source throws; may then be called again. */
  run(until: AbortSignal): Promise<void>;
  /** Nothing is queued from now on, beyond what has begun and must be whole. */
  stop(): void;
  /** What was accepted and is not queued yet, in bytes. */
  readonly waitingBytes: number;
  /** When the oldest of that was committed, µs since the epoch; null: there is none. */
  readonly waitingSince: bigint | null;
  /** Whether there is nothing left to be queued, and the rows that exist are durably dealt with. */
  readonly settled: boolean;
  /** How far it has come; with `items`: how far it will have come when these are finished too. */
  reached(items: readonly Item[]): Pick<Checkpoint, "position" | "backfill">;
  /** While the rows that exist are sent: how many were, and about how many there are. */
  readonly backfill: { readonly rows: number; readonly estimate: number | null } | null;
  /** See {@link LaneOwner.fill}. */
  fill(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]>;
  /** Sends dead letters again. */
  retry(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void>;
}

/** What a pipeline has for its capture. */
export interface CaptureHost {
  readonly sync: Sync;
  readonly source: Source;
  readonly mappings: Mappings;
  readonly queue: KeyedQueue;
  /** Where it goes on. */
  readonly checkpoint: Checkpoint;
  /** How many resyncs there have been. */
  readonly generation: number;
  readonly observer: Observer;
  readonly log: Log;
  /** How much may wait in memory, in bytes. */
  readonly budgetBytes: number;
  /** Something was queued. */
  wake(): void;
  /** The capture has come further, without a delivery. */
  moved(): void;
  /** The dead letter with this id has been delivered, or there is nothing to deliver. */
  resolved(id: string): void;
  /** A row that cannot be sent, or that says of itself what is wrong; one with the same id is replaced. */
  deadLetter(letter: DeadLetter): void;
  readonly hold: Hold;
  /** What was held was approved of, and is removed now: the approval is not for what comes later. */
  forgetHeld(): Promise<void>;
}
