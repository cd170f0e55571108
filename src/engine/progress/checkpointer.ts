import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { failpoint } from "../../contracts/failpoint.ts";
import type { Log } from "../../contracts/log.ts";
import type { Checkpoint, DeadLetter, Lease, StateChange } from "../../contracts/state.ts";
import { Alarm } from "../delivery/alarm.ts";
import { backoffMs } from "../delivery/backoff.ts";

/**
 * Stores how far a sync has come, together with the dead letters that this speaks for, in one step. What is not stored
 * yet is kept and tried again; until then nothing reports a position beyond it.
 */
export class Checkpointer {
  readonly #lease: Lease;
  readonly #current: () => Checkpoint;
  readonly #stored: (checkpoint: Checkpoint) => void;
  readonly #log: Log;
  #deadLetters: DeadLetter[] = [];
  #resolved: string[] = [];
  #delivered = 0;
  #rejected = 0;
  #last: Checkpoint;
  #lastAtMs = 0;
  #running: Promise<void> | null = null;
  readonly #alarm = new Alarm(() => {
    this.#commit().catch((error: unknown) => this.#failed(TailraceError.from(error, "state.unavailable")));
  });
  #failures = 0;
  #closed = false;

  constructor(options: {
    readonly lease: Lease;
    /** What is stored now. */
    readonly stored: Checkpoint;
    /** How far the sync has come at this moment. */
    readonly current: () => Checkpoint;
    /** A checkpoint is durable. */
    readonly onStored: (checkpoint: Checkpoint) => void;
    readonly log: Log;
  }) {
    this.#lease = options.lease;
    this.#last = options.stored;
    this.#current = options.current;
    this.#stored = options.onStored;
    this.#log = options.log;
  }

  get storedPosition(): Position {
    return this.#last.position;
  }

  /** Whether the state can be written. While it cannot, nothing more should be read. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** Counts deliveries for the status, and sees to it that they are stored soon. */
  delivered(count: number): void {
    this.#delivered += count;
    this.#soon(INTERVAL_MS);
  }

  deadLetter(letter: DeadLetter): void {
    this.#deadLetters.push(letter);
    this.#rejected += 1;
    this.#soon(0);
  }

  /** A dead letter was delivered after all, or is dropped. */
  resolve(id: string): void {
    this.#resolved.push(id);
    this.#soon(INTERVAL_MS);
  }

  get hasDeadLetters(): boolean {
    return this.#deadLetters.length > 0;
  }

  /** The position may have moved without a delivery. Stored less often: it only lets the source forget. */
  moved(): void {
    this.#soon(Math.max(0, this.#lastAtMs + IDLE_INTERVAL_MS - Date.now(), INTERVAL_MS));
  }

  /** Stores all that has happened before the call; rejects when that cannot be done. */
  async flush(): Promise<void> {
    if (this.#running !== null) await this.#running.catch(() => {});
    await this.#commit();
  }

  /** No more timers; `flush` first. */
  close(): void {
    this.#closed = true;
    this.#alarm.off();
  }

  #soon(ms: number): void {
    if (!this.#closed) this.#alarm.set(ms);
  }

  #failed(error: TailraceError): void {
    if (error.code === "state.lease_lost") return;
    const waitMs = backoffMs(this.#failures, 500, 10_000);
    this.#log.error("the state could not be written; reading stops until it can", {
      code: error.code,
      error: error.message,
    });
    this.#soon(waitMs);
  }

  #commit(): Promise<void> {
    // One at a time: what happens during a commit belongs to the next one.
    this.#running ??= this.#commitNow().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #commitNow(): Promise<void> {
    const checkpoint = this.#current();
    const deadLetters = this.#deadLetters;
    const resolved = this.#resolved;
    const counts = { delivered: this.#delivered, rejected: this.#rejected };
    const same = sameCheckpoint(checkpoint, this.#last);
    if (same && deadLetters.length === 0 && resolved.length === 0 && counts.delivered === 0) return;
    this.#deadLetters = [];
    this.#resolved = [];
    this.#delivered = 0;
    this.#rejected = 0;
    const before = this.#last;
    if (checkpoint.backfill?.rows !== before.backfill?.rows) failpoint("chunk-acked");
    const change: StateChange = { checkpoint, deadLetters, resolved, counts };
    try {
      await this.#lease.commit(change);
    } catch (error) {
      this.#failures += 1;
      this.#deadLetters = [...deadLetters, ...this.#deadLetters];
      this.#resolved = [...resolved, ...this.#resolved];
      this.#delivered += counts.delivered;
      this.#rejected += counts.rejected;
      throw error;
    }
    failpoint("state-written");
    if (checkpoint.backfill === null && before.backfill !== null) failpoint("backfill-done");
    if (deadLetters.length > 0) failpoint("dead-letter-written");
    this.#failures = 0;
    this.#last = checkpoint;
    this.#lastAtMs = Date.now();
    this.#stored(checkpoint);
  }
}

function sameCheckpoint(a: Checkpoint, b: Checkpoint): boolean {
  return (
    a.position === b.position &&
    a.incarnation === b.incarnation &&
    a.backfill?.generation === b.backfill?.generation &&
    a.backfill?.rows === b.backfill?.rows &&
    a.backfill?.removing === b.backfill?.removing &&
    (a.backfill === null) === (b.backfill === null)
  );
}

/** At most this much is delivered again after a crash, beside what was on its way. */
const INTERVAL_MS = 50;
const IDLE_INTERVAL_MS = 1_000;
