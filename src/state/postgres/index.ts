import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { FailurePage, FailureQuery } from "../../contracts/failures.ts";
import type { Log } from "../../contracts/log.ts";
import type { Lease, StateStore, StoredStatus, SyncRequest, SyncState } from "../../contracts/state.ts";
import { clientConfig } from "../../kit/postgres/client-config.ts";
import type { ConnectionSettings } from "../../kit/postgres/settings.ts";
import { removeRows, rowsKnown } from "../../kit/row-index/open-tables.ts";
import { NOTHING_YET } from "../apply.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Dropped } from "./dropped.ts";
import { type Parts, PostgresLease } from "./lease.ts";
import { type Acquired, Leases } from "./leases.ts";
import { Pulse } from "./pulse.ts";
import { Reports } from "./reports.ts";
import { Requests } from "./requests.ts";
import { namesIn, prepareSchema, type SchemaOptions } from "./schema.ts";
import { removeSent } from "./sent-index.ts";
import { Sessions } from "./sessions.ts";
import { SyncRows } from "./sync-rows.ts";
import { describeState } from "./where.ts";

const FAILURES_PER_PAGE = 100;
/** Beside the one for heartbeats. */
const CONNECTIONS = 3;

/** How leases are kept. The defaults are what docs/state.md promises; tests shorten them. */
export interface LeaseTiming {
  readonly heartbeatMs: number;
  /** How long a lease lasts after the database ran a heartbeat, by the database's clock. */
  readonly leaseMs: number;
  /** How long a holder acts after it sent its last confirmed heartbeat, by its own clocks. Less than `leaseMs`. */
  readonly giveUpMs: number;
  /** How often a waiting {@link StateStore.acquire} looks again. */
  readonly pollMs: number;
  /** A connection without a byte for so long, when an answer is due, is dead. */
  readonly silentAfterMs: number;
}

const TIMING: LeaseTiming = { heartbeatMs: 2_000, leaseMs: 10_000, giveUpMs: 8_000, pollMs: 250, silentAfterMs: 5_000 };

export interface PostgresStateOptions extends ConnectionSettings {
  /** Made when it is not there. */
  readonly schema?: string | undefined;
  /** Writes nothing, ever; without our tables it is an empty state. */
  readonly readOnly?: boolean | undefined;
  readonly log: Log;
  /** Where the file names of `tls` start. */
  readonly baseDirectory?: string | undefined;
  readonly timing?: Partial<LeaseTiming> | undefined;
}

/**
 * Opens the state in a schema of a PostgreSQL database, and makes its tables when there are none. Rejects with `state.corrupt`,
 * `state.version`, `state.refused`, `state.unavailable` or `config.invalid`.
 */
export async function openPostgresState(options: PostgresStateOptions): Promise<StateStore> {
  const { schema = "tailrace", readOnly = false, log, baseDirectory = ".", timing: given, ...settings } = options;
  const timing = { ...TIMING, ...given };
  const codes = { config: "config.invalid", tls: "config.invalid" } as const;
  const config = () => clientConfig(settings, { baseDirectory, codes });
  const where = describeState(settings, schema);
  const sessionOptions = { config, where, silentAfterMs: timing.silentAfterMs };
  await using stack = new AsyncDisposableStack();
  const sessions = stack.use(new Sessions({ ...sessionOptions, most: CONNECTIONS }));
  const pulseSessions = new Sessions({ ...sessionOptions, most: 1, silentAfterMs: timing.silentAfterMs / 2 });
  pulseSessions.opened();
  const names = namesIn(schema);
  const syncs = new SyncRows(names, where);
  const leases = new Leases(names, sessions, syncs, timing.leaseMs);
  const parts: Parts = {
    names,
    sessions,
    leases,
    syncs,
    letters: new DeadLetters(names, where),
    dropped: new Dropped(names, where),
    requests: new Requests(names, where),
    reports: new Reports(names, sessions, where),
    pulse: stack.use(new Pulse(leases, pulseSessions, timing.heartbeatMs, log)),
    giveUpMs: timing.giveUpMs,
  };
  const store = new PostgresStateStore(parts, { sessions, schema, where, readOnly }, timing.pollMs, log);
  await store.open();
  sessions.opened();
  stack.move();
  return store;
}

class PostgresStateStore implements StateStore {
  readonly #parts: Parts;
  readonly #schema: SchemaOptions;
  readonly #pollMs: number;
  readonly #log: Log;
  readonly #held = new Set<PostgresLease>();
  /** Whether our tables are there. */
  #found = false;
  #closed = false;

  constructor(parts: Parts, schema: SchemaOptions, pollMs: number, log: Log) {
    this.#parts = parts;
    this.#schema = schema;
    this.#pollMs = pollMs;
    this.#log = log;
  }

  async open(): Promise<void> {
    // A damaged checkpoint is said at once, not when its sync starts.
    if (await this.#readable()) await this.#parts.sessions.read((session) => this.#parts.syncs.all(session));
  }

  async acquire(sync: string, signal: AbortSignal): Promise<Lease> {
    this.#mustWrite();
    for (let failing = false; ;) {
      signal.throwIfAborted();
      try {
        const acquired = await this.#parts.leases.tryAcquire(sync);
        if (acquired !== null) return await this.#lease(acquired, signal);
        failing = false;
      } catch (error) {
        const { code, message } = TailraceError.from(error);
        signal.throwIfAborted();
        if (code !== "state.unavailable") throw error;
        if (!failing) this.#log.warn("the state cannot be reached; trying again", { sync, error: message });
        failing = true;
      }
      // When it aborts, that is said at the top, with the signal's own reason.
      await delay(this.#pollMs, undefined, { signal }).catch(() => {});
    }
  }

  async #lease(acquired: Acquired, signal: AbortSignal): Promise<Lease> {
    const lease = new PostgresLease(this.#parts, acquired, () => this.#held.delete(lease));
    this.#held.add(lease);
    if (!signal.aborted && !this.#closed) return lease;
    await lease[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw new TailraceError("internal.defect", "the state is closed");
  }

  async statuses(): Promise<readonly StoredStatus[]> {
    if (!(await this.#readable())) return [];
    const { sessions, syncs, letters, leases, reports } = this.#parts;
    await reports.flush();
    return sessions.readTogether(async (session) => {
      const states = await syncs.all(session);
      const said = await reports.all(session);
      const failures = await letters.counts(session);
      const running = await leases.heldSyncs(session);
      const names = new Set([...states.keys(), ...said.keys(), ...running]);
      return [...names].sort().map((sync) => ({
        sync,
        state: states.get(sync) ?? NOTHING_YET,
        report: said.get(sync)?.report ?? null,
        reportedAtMs: said.get(sync)?.reportedAtMs ?? null,
        running: running.has(sync),
        failures: failures.get(sync) ?? 0,
      }));
    });
  }

  async load(sync: string): Promise<SyncState | null> {
    if (!(await this.#readable())) return null;
    const { sessions, syncs } = this.#parts;
    return (await sessions.read((session) => syncs.load(session, sync)))?.state ?? null;
  }

  async failures(sync: string, page: FailurePage = { limit: FAILURES_PER_PAGE }) {
    if (!(await this.#readable())) return [];
    const { sessions, letters } = this.#parts;
    return sessions.readTogether((session) => letters.page(session, sync, page));
  }

  async failureGroups(sync: string, where?: FailureQuery) {
    if (!(await this.#readable())) return [];
    const { sessions, letters } = this.#parts;
    return sessions.readTogether((session) => letters.groups(session, sync, where));
  }

  async droppedFailures(sync: string, page = { limit: FAILURES_PER_PAGE, offset: 0 }) {
    if (!(await this.#readable())) return { total: 0, records: [] };
    const { sessions, dropped } = this.#parts;
    return sessions.readTogether((session) => dropped.page(session, sync, page.limit, page.offset));
  }

  async failure(sync: string, id: string) {
    if (!(await this.#readable())) return null;
    const { sessions, letters } = this.#parts;
    return sessions.read((session) => letters.one(session, sync, id));
  }

  async request(sync: string, request: SyncRequest): Promise<void> {
    this.#mustWrite();
    const { sessions, requests } = this.#parts;
    await sessions.writeOrFail((session) => requests.add(session, sync, request));
  }

  async waitingRequests(sync: string) {
    if (!(await this.#readable())) return [];
    const { sessions, requests } = this.#parts;
    return sessions.read((session) => requests.of(session, sync));
  }

  async knownRows(sync: string) {
    if (!(await this.#readable())) return null;
    const { names, sessions } = this.#parts;
    return sessions.read((session) => rowsKnown(session, names, sync));
  }

  async forget(sync: string): Promise<void> {
    this.#mustWrite();
    const { names, sessions, leases, syncs, letters, dropped, requests, reports } = this.#parts;
    await sessions.writeOrFail(async (session) => {
      await leases.remove(session, sync);
      await syncs.remove(session, sync);
      await letters.removeAll(session, sync);
      await dropped.removeAll(session, sync);
      await requests.removeAll(session, sync);
      await reports.remove(session, sync);
      await removeSent(session, names, sync);
      await removeRows(session, names, sync);
    });
  }

  async #readable(): Promise<boolean> {
    this.#found ||= await prepareSchema(this.#schema);
    return this.#found;
  }

  #mustWrite(): void {
    if (this.#closed) throw new TailraceError("internal.defect", "the state is closed");
    if (this.#schema.readOnly) throw new TailraceError("internal.defect", "the state was opened read-only");
  }

  /** Gives back every lease that can be. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#held].map((lease) => lease[Symbol.asyncDispose]()));
    await this.#parts.pulse[Symbol.asyncDispose]();
    await this.#parts.sessions[Symbol.asyncDispose]();
  }
}
