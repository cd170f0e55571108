import type { ChangeBatch, Position } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { SentIndex } from "../../contracts/sent-index.ts";
import type { Checkpoint, DeadLetter, HeldDeletes } from "../../contracts/state.ts";
import type { DeleteGuard } from "../delivery/delete-guard.ts";
import type { Entry } from "../delivery/entry.ts";
import type { Keeper } from "../delivery/keeper.ts";
import { SentKeeper } from "../delivery/sent-keeper.ts";
import { ToldKeeper } from "../delivery/told-keeper.ts";
import { AckTracker, type Item } from "../progress/ack-tracker.ts";
import { Backfill } from "./backfill.ts";
import type { CaptureHost, Capturing } from "./capturing.ts";
import { Intake } from "./intake.ts";
import { fillEntries } from "./refill.ts";
import { Removal } from "./removal.ts";
import { Retries } from "./retries.ts";
import { Seam } from "./seam.ts";
import { thereAgain } from "./there-again.ts";

export interface TableCaptureOptions {
  /** The table as it is now. */
  readonly relation: Relation;
  /** The destination keeps fields that a delivery leaves out. */
  readonly partialUpdates: boolean;
  /** null: nothing is ever removed at the destination. */
  readonly removals: {
    readonly sent: SentIndex;
    readonly guard: DeleteGuard;
    /** What was held when it was opened. */
    readonly held: HeldDeletes | null;
  } | null;
  /** Where a row is told once: the keys of those that the stream has brought as new since this backfill began; null: it is over. */
  readonly told: SentIndex | null;
}

/** A table by its own changes in the log, and a backfill of the rows that it holds beside them. */
export class TableCapture implements Capturing {
  readonly keeper: Keeper | null;
  readonly #sent: SentKeeper | null;
  readonly #host: CaptureHost;
  readonly #options: TableCaptureOptions;
  readonly #tracker: AckTracker<Position>;
  readonly #seam = new Seam();
  readonly #intake: Intake;
  readonly #retries: Retries;
  readonly #backfill: Backfill | null;
  readonly #stop = new AbortController();
  #estimate: number | null = null;
  #streamAt: Position;

  constructor(host: CaptureHost, options: TableCaptureOptions) {
    const { sync, source, mappings, queue, checkpoint, observer, log } = host;
    this.#host = host;
    this.#options = options;
    this.#tracker = new AckTracker(checkpoint.position);
    this.#streamAt = checkpoint.position;
    const seam = this.#seam;
    const shared = { sync, source, queue, seam, mappings, observer };
    const place = { streamAt: () => this.#streamAt, wake: () => host.wake() };
    this.#intake = new Intake({
      ...shared,
      relation: options.relation,
      tracker: this.#tracker,
      partialUpdates: options.partialUpdates,
      after: checkpoint.position,
    });
    this.#retries = new Retries({ ...shared, ...place, resolved: (id) => host.resolved(id) });
    const { told } = options;
    this.#sent = this.#openKeeper();
    this.keeper = this.#sent ?? (told === null ? null : new ToldKeeper(told, () => this.#backfill?.complete === false));
    this.#backfill =
      checkpoint.backfill === null
        ? null
        : new Backfill({
            ...shared,
            ...place,
            progress: checkpoint.backfill,
            // Before the first resync there is nothing that an earlier one could have sent.
            removes: this.#sent !== null && host.generation > 0,
            told,
            log,
          });
  }

  #openKeeper(): SentKeeper | null {
    const { removals } = this.#options;
    if (removals === null) return null;
    const { sent, guard, held } = removals;
    guard.begin(sent.rows, held, Date.now());
    const { generation, hold, source, sync, mappings } = this.#host;
    return new SentKeeper({
      index: sent,
      generation,
      guard,
      hold,
      thereAgain: (entries, signal) => thereAgain(source, sync, mappings, entries, signal),
    });
  }

  accept(batch: ChangeBatch): void {
    this.#intake.accept(batch);
    if (batch.end > this.#streamAt) this.#streamAt = batch.end;
  }

  /** Sends the rows that exist, if that is still to be done, and removes records that have none; resolves when all are queued. */
  async run(until: AbortSignal): Promise<void> {
    const backfill = this.#backfill;
    if (backfill === null || backfill.progress === null) return;
    const { source, sync } = this.#host;
    const signal = AbortSignal.any([until, this.#stop.signal]);
    if (!backfill.complete) {
      this.#estimate ??= await source.estimate(sync.model, signal);
      await backfill.run(signal);
    }
    if (backfill.complete && backfill.removes) await this.#remove(backfill, signal);
  }

  stop(): void {
    this.#stop.abort();
  }

  /** See {@link Removal}. */
  async #remove(backfill: Backfill, signal: AbortSignal): Promise<void> {
    const { sync, source, queue, mappings, generation, hold, log } = this.#host;
    const { guard, held } = this.#options.removals!;
    const approved = held?.by === "resync" && held.approved && held.generation === generation;
    const removal = new Removal({
      sync,
      source,
      queue,
      mappings,
      sent: this.#sent!,
      backfill,
      streamAt: () => this.#streamAt,
      wake: () => this.#host.wake(),
      allowed: (records) => (approved ? records : guard.allowed(records)),
      hold,
      log,
    });
    await removal.run(signal);
  }

  /** What comes in is queued at once. */
  get waitingBytes(): number {
    return 0;
  }

  get waitingSince(): bigint | null {
    return null;
  }

  get settled(): boolean {
    return this.#backfill === null || this.#backfill.progress === null;
  }

  reached(items: readonly Item[]): Pick<Checkpoint, "position" | "backfill"> {
    const backfill = this.#backfill;
    if (items.length === 0) return { position: this.#tracker.reached, backfill: backfill?.progress ?? null };
    return { position: this.#tracker.reachedWith(items), backfill: backfill?.progressWith(items) ?? null };
  }

  get backfill(): Capturing["backfill"] {
    const progress = this.#backfill?.progress ?? null;
    return progress === null ? null : { rows: progress.rows, estimate: this.#estimate };
  }

  fill(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]> {
    const { source, sync, mappings } = this.#host;
    return fillEntries(source, sync, mappings, entries, signal);
  }

  retry(letters: readonly DeadLetter[], signal: AbortSignal): Promise<void> {
    return this.#retries.run(letters, signal);
  }
}
