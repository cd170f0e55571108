import type { FailurePlace, FailureQuery } from "../../contracts/failures.ts";
import type { Log } from "../../contracts/log.ts";
import type { DeadLetter, FailureChoice, Lease, StateStore } from "../../contracts/state.ts";
import type { Pipeline } from "../../engine/pipeline.ts";
import type { FailureSettings } from "../config/config.ts";

/** What a running sync does with its dead letters: sends them again, drops them, and drops those that are too old. */
export class FailureKeeper {
  readonly #store: StateStore;
  readonly #lease: Lease;
  readonly #settings: FailureSettings;
  readonly #log: Log;
  #retry: Retry | null = null;
  #expiresAtMs = 0;

  constructor(options: {
    readonly store: StateStore;
    readonly lease: Lease;
    readonly settings: FailureSettings;
    readonly log: Log;
  }) {
    this.#store = options.store;
    this.#lease = options.lease;
    this.#settings = options.settings;
    this.#log = options.log;
  }

  /** Beyond this many the sync stops. */
  get most(): number {
    return this.#settings.most;
  }

  async count(): Promise<number> {
    return (await this.#store.statuses()).find(({ sync }) => sync === this.#lease.sync)?.failures ?? 0;
  }

  /** A retry was begun, and waits for room in the queue. */
  get retrying(): boolean {
    return this.#retry !== null;
  }

  /**
   * Queues as many as there is room for, and takes the request when none is left; to be called again until then, so that a destination
   * that takes nothing does not keep other requests from being obeyed. A letter that fails again meanwhile is not retried again.
   */
  async retry(request: number, choice: FailureChoice, pipeline: Pipeline): Promise<void> {
    // After another pipeline was made, what the last one had queued and not delivered is a letter still.
    if (this.#retry?.pipeline !== pipeline) this.#retry = null;
    const retry = (this.#retry ??= { request, pipeline, untilMs: Date.now(), after: undefined });
    // One after the other.
    if (retry.request !== request) return;
    for (;;) {
      if (pipeline.full) return;
      const page = await this.#page(choice, retry);
      if (page.length > 0) await pipeline.retry(page);
      retry.after = page.at(-1);
      if (page.length === PAGE && isQuery(choice)) continue;
      this.#retry = null;
      return this.#lease.commit({ takenRequests: [request] });
    }
  }

  async drop(
    request: number,
    asked: { readonly failures: FailureChoice; readonly by: string; readonly why: string | null },
    pipeline: Pipeline | null,
  ): Promise<void> {
    const dropped = await this.#dropAll(asked.failures, asked, pipeline);
    await this.#lease.commit({ takenRequests: [request] });
    this.#log.info("failures were dropped", { failures: dropped, by: asked.by });
  }

  /** Drops what is older than the configuration wants it kept, now and then; cheap to call often. */
  async expire(pipeline: Pipeline | null): Promise<void> {
    const { keepMs } = this.#settings;
    const nowMs = Date.now();
    if (keepMs === null || nowMs < this.#expiresAtMs || this.#lease.lost.aborted) return;
    this.#expiresAtMs = nowMs + EXPIRE_EVERY_MS;
    const before = nowMs - keepMs;
    const dropped = await this.#dropAll({ untilMs: before }, { by: "failures.keep", why: null }, pipeline);
    await this.#lease.commit({ forgetDroppedBeforeMs: before });
    if (dropped > 0) {
      this.#log.warn(
        "failures older than `failures.keep` were dropped; `tailrace failures list SYNC --dropped` has them",
        { failures: dropped },
      );
    }
  }

  async #dropAll(
    choice: FailureChoice,
    { by, why }: { readonly by: string; readonly why: string | null },
    pipeline: Pipeline | null,
  ): Promise<number> {
    const retry = { untilMs: Date.now(), after: undefined };
    for (let dropped = 0; ;) {
      const page = await this.#page(choice, retry);
      const atMs = Date.now();
      if (page.length > 0) await this.#lease.commit({ dropped: page.map(({ id }) => ({ id, by, why, atMs })) });
      pipeline?.failuresDropped(page.length);
      dropped += page.length;
      if (page.length < PAGE || !isQuery(choice)) return dropped;
    }
  }

  async #page(
    choice: FailureChoice,
    { untilMs, after }: { readonly untilMs: number; readonly after: FailurePlace | undefined },
  ): Promise<readonly DeadLetter[]> {
    const { sync } = this.#lease;
    if (isQuery(choice)) {
      const where = { ...choice, untilMs: Math.min(choice.untilMs ?? Infinity, untilMs) };
      return this.#store.failures(sync, { where, after, limit: PAGE });
    }
    const letters = await Promise.all(choice.map((id) => this.#store.failure(sync, id)));
    return letters.filter((letter) => letter !== null);
  }
}

interface Retry {
  readonly request: number;
  readonly pipeline: Pipeline;
  readonly untilMs: number;
  after: FailurePlace | undefined;
}

function isQuery(choice: FailureChoice): choice is FailureQuery {
  return !Array.isArray(choice);
}

const PAGE = 1_000;
const EXPIRE_EVERY_MS = 60_000;
