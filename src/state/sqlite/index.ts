import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { FailurePage, FailureQuery } from "../../contracts/failures.ts";
import type { Log } from "../../contracts/log.ts";
import type { Lease, StateChange, StateStore, StatusReport, SyncRequest } from "../../contracts/state.ts";
import type { RowIndexOptions } from "../../contracts/row-index.ts";
import { SqliteRowIndex } from "./row-index.ts";
import { SqliteSentIndex } from "./sent-index.ts";
import { WorkerLink } from "./worker-link.ts";

const FAILURES_PER_PAGE = 100;

/** How leases are kept. The defaults are what docs/state.md promises; tests shorten them. */
export interface LeaseTiming {
  readonly heartbeatMs: number;
  /** A holder whose heartbeat has not moved for this long is succeeded, even if its process exists. */
  readonly staleMs: number;
  /** How often a waiting {@link StateStore.acquire} looks again. */
  readonly pollMs: number;
}

const TIMING: LeaseTiming = { heartbeatMs: 2_000, staleMs: 10_000, pollMs: 250 };

/**
 * Opens the state file at `path`; makes it (mode 0600) and its folder when there is none. Rejects with `state.corrupt`,
 * `state.version` or `state.unavailable`; a file that is damaged is left as it is.
 *
 * `readOnly`: writes nothing, ever; without a file it is an empty state.
 */
export async function openSqliteState(options: {
  readonly path: string;
  readonly readOnly?: boolean | undefined;
  readonly log: Log;
  readonly timing?: Partial<LeaseTiming> | undefined;
}): Promise<StateStore> {
  const { heartbeatMs, staleMs, pollMs } = { ...TIMING, ...options.timing };
  const settings = { path: options.path, readOnly: options.readOnly ?? false, heartbeatMs, staleMs };
  return new SqliteStateStore(await WorkerLink.open(settings, options.log), pollMs);
}

class SqliteStateStore implements StateStore {
  readonly #link: WorkerLink;
  readonly #pollMs: number;

  constructor(link: WorkerLink, pollMs: number) {
    this.#link = link;
    this.#pollMs = pollMs;
  }

  async acquire(sync: string, signal: AbortSignal): Promise<Lease> {
    for (;;) {
      signal.throwIfAborted();
      const owner = await this.#link.call("tryAcquire", sync);
      if (owner !== null) {
        const lease = new SqliteLease(this.#link, sync, owner);
        if (!signal.aborted) return lease;
        await lease[Symbol.asyncDispose]();
      } else {
        try {
          await delay(this.#pollMs, undefined, { signal });
        } catch {
          // Aborted: said at the top, with the signal's own reason.
        }
      }
    }
  }

  statuses() {
    return this.#link.call("statuses");
  }

  load(sync: string) {
    return this.#link.call("load", sync);
  }

  failures(sync: string, page: FailurePage = { limit: FAILURES_PER_PAGE }) {
    return this.#link.call("failures", sync, page);
  }

  failureGroups(sync: string, where?: FailureQuery) {
    return this.#link.call("failureGroups", sync, where);
  }

  droppedFailures(sync: string, page = { limit: FAILURES_PER_PAGE, offset: 0 }) {
    return this.#link.call("droppedFailures", sync, page.limit, page.offset);
  }

  failure(sync: string, id: string) {
    return this.#link.call("failure", sync, id);
  }

  request(sync: string, request: SyncRequest) {
    return this.#link.call("request", sync, request);
  }

  waitingRequests(sync: string) {
    return this.#link.call("waitingRequests", sync);
  }

  knownRows(sync: string) {
    return this.#link.call("knownRows", sync);
  }

  forget(sync: string) {
    return this.#link.call("forget", sync);
  }

  [Symbol.asyncDispose]() {
    return ending(() => this.#link.close());
  }
}

class SqliteLease implements Lease {
  readonly sync: string;
  readonly #link: WorkerLink;
  readonly #owner: string;
  readonly #lost = new AbortController();

  constructor(link: WorkerLink, sync: string, owner: string) {
    this.sync = sync;
    this.#link = link;
    this.#owner = owner;
    link.watch(owner, () =>
      this.#lost.abort(new TailraceError("state.lease_lost", `another process has taken over ${sync}`)),
    );
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  load() {
    return this.#link.call("loadHeld", this.#owner);
  }

  commit(change: StateChange) {
    return this.#link.call("commit", this.#owner, change);
  }

  requests() {
    return this.#link.call("requestsHeld", this.#owner);
  }

  async openSentIndex(identity: string) {
    return new SqliteSentIndex(this.#link, this.#owner, await this.#link.call("openSent", this.#owner, identity));
  }

  knownRows() {
    return this.#link.call("knownRows", this.sync);
  }

  async openRowIndex(options: RowIndexOptions) {
    return new SqliteRowIndex(this.#link, this.#owner, await this.#link.call("openRows", this.#owner, options));
  }

  report(status: StatusReport): Promise<void> {
    this.#link.tell("report", this.#owner, status);
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link.unwatch(this.#owner);
    if (this.#link.closed) return;
    await ending(() => this.#link.call("release", this.#owner));
  }
}

/** Nothing that matters is written at an end: a full disk must not turn an orderly stop into a failure. */
async function ending(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (TailraceError.from(error).code !== "state.unavailable") throw error;
  }
}
