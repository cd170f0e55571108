// A capture of rows with a queue and a destination around it, without a lane: what is taken, delivered, refused and stored is said step by step.
import type { Capture } from "../../src/contracts/capture.ts";
import type { Delivery } from "../../src/contracts/destination.ts";
import { TailraceError } from "../../src/contracts/errors.ts";
import type { Schedule } from "../../src/contracts/model.ts";
import type { Source } from "../../src/contracts/source.ts";
import type { Checkpoint, DeadLetter, HeldDeletes } from "../../src/contracts/state.ts";
import type { Sync } from "../../src/contracts/sync.ts";
import { Mappings } from "../../src/engine/capture/mappings.ts";
import { deadLetterOf } from "../../src/engine/delivery/dead-letter.ts";
import { DeleteGuard, tooManyDeletes } from "../../src/engine/delivery/delete-guard.ts";
import { toDelivery } from "../../src/engine/delivery/delivery.ts";
import type { Entry } from "../../src/engine/delivery/entry.ts";
import { KeyedQueue } from "../../src/engine/delivery/keyed-queue.ts";
import { keepsIndex } from "../../src/engine/delivery/sent-keeper.ts";
import { UNOBSERVED } from "../../src/engine/observer.ts";
import { RowCapture } from "../../src/engine/rows/row-capture.ts";
import { Timetable } from "../../src/engine/rows/timetable.ts";
import type { MemoryRowIndex } from "./row-index.ts";
import { silent } from "./webhook.ts";

export interface RowPipelineOptions {
  readonly sync: Sync;
  readonly source: Pick<Source, "describe" | "estimate" | "settle" | "lookup" | "scan">;
  readonly capture: Exclude<Capture, { readonly kind: "log" }>;
  readonly index: MemoryRowIndex;
  readonly keyColumns?: number;
  readonly checkpoint: Checkpoint;
  readonly generation?: number;
  readonly compares?: boolean;
  readonly schedule?: Schedule | null;
  readonly held?: HeldDeletes | null;
  readonly onDelivered: (delivery: Delivery) => void;
}

export class RowPipeline implements AsyncDisposable {
  readonly capture: RowCapture;
  readonly queue: KeyedQueue;
  readonly letters = new Map<string, DeadLetter>();
  readonly taken: Entry[] = [];
  /** What it stopped with. */
  failure: Error | null = null;
  readonly #options: RowPipelineOptions;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: RowPipelineOptions) {
    const { sync, checkpoint, generation = 0 } = options;
    this.#options = options;
    this.queue = new KeyedQueue({ merges: sync.mode !== "event" && sync.mode !== "insert" });
    const host = {
      sync,
      source: options.source as Source,
      mappings: new Mappings(sync, silent),
      queue: this.queue,
      checkpoint,
      generation,
      observer: UNOBSERVED,
      log: silent,
      budgetBytes: 1e9,
      wake: () => {},
      moved: () => {},
      resolved: (id: string) => void this.letters.delete(id),
      deadLetter: (letter: DeadLetter) => void this.letters.set(letter.id, letter),
      hold: async (by: HeldDeletes["by"], { rows, of }: { rows: number; of: number }): Promise<never> => {
        throw tooManyDeletes({ by, rows, of, generation, until: "0", approved: false }, sync.maxDeletes);
      },
      forgetHeld: async () => {},
    };
    this.capture = new RowCapture(host, {
      capture: options.capture,
      index: options.index,
      keyColumns: options.keyColumns ?? 1,
      guard: keepsIndex(sync) ? new DeleteGuard(sync.maxDeletes) : null,
      held: options.held ?? null,
      timetable: new Timetable(options.schedule ?? null, Date.now()),
      compares: options.compares ?? false,
    });
    if (options.compares === true) this.capture.caughtUp();
    this.#running = this.capture.run(this.#end.signal).catch((error: unknown) => {
      this.failure = error as Error;
    });
  }

  /** Takes so many entries, as a lane does. */
  async take(rows: number): Promise<void> {
    const entries = this.queue.take(rows, 1e9).filter((entry) => {
      if (entry.op === "barrier") this.queue.finish(entry);
      return entry.op !== "barrier";
    });
    if (entries.length > 0) await this.capture.keeper.announce(entries);
    for (const entry of entries) entry.attempts += 1;
    this.taken.push(...entries);
  }

  /** One that was taken arrives; `known`: and its answer. */
  deliver(entry: Entry, known = true): void {
    this.#options.onDelivered(toDelivery(this.#options.sync.name, entry));
    if (!known) return;
    this.capture.keeper.accepted([entry]);
    this.queue.finish(entry);
  }

  reject(entry: Entry): void {
    const letter = deadLetterOf(this.#options.sync, entry, new TailraceError("destination.refused", "no"));
    this.capture.keeper.rejected(entry);
    this.queue.finish(entry);
    this.letters.set(letter.id, letter);
  }

  /** Delivers everything there is, until nothing is left to do. */
  async settle(): Promise<void> {
    for (const deadlineMs = Date.now() + 10_000; ;) {
      for (const entry of this.taken.splice(0)) this.deliver(entry);
      await this.take(2);
      if (this.failure !== null) throw this.failure;
      if (this.taken.length > 0) continue;
      if (this.queue.entries === 0 && this.capture.settled) return;
      if (Date.now() > deadlineMs) throw new Error("it does not come to an end");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  get checkpoint(): Checkpoint {
    return { ...this.#options.checkpoint, ...this.capture.reached([]) };
  }

  /** As a process that is killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.capture.stop();
    this.#end.abort();
    await this.#running;
  }
}
