import { existsSync } from "node:fs";
import { TailraceError } from "../../contracts/errors.ts";
import type { KnownRows, RowIndexOptions } from "../../contracts/row-index.ts";
import type { OtherGenerations } from "../../contracts/sent-index.ts";
import type { DroppedFailures, FailureDrop, FailurePage, FailureQuery } from "../../contracts/failures.ts";
import type {
  DeadLetter,
  StateChange,
  StatusReport,
  StoredStatus,
  SyncRequest,
  SyncState,
} from "../../contracts/state.ts";
import { apply, NOTHING_YET } from "../apply.ts";
import { recordOf } from "../dropped-record.ts";
import { Connection } from "./connection.ts";
import { openDatabaseFile } from "./database-file.ts";
import { DeadLetters, type FailureGroup } from "./dead-letters.ts";
import { Dropped } from "./dropped.ts";
import { IndexedRows, type OpenedRows } from "./indexed-rows.ts";
import { SentDatabase } from "./sent-database.ts";
import { lookIntoSentFile, openSentFile, sentPath } from "./sent-file.ts";
import type { SentRows } from "./sent-rows.ts";
import { leaseLost, Leases, type Held } from "./leases.ts";
import { Reports, type StoredReport } from "./reports.ts";
import { Requests, type StoredRequest } from "./requests.ts";
import { SyncRows } from "./sync-rows.ts";

export interface StateDatabaseOptions {
  readonly path: string;
  readonly readOnly: boolean;
  /** A holder whose heartbeat has not moved for this long may be succeeded. */
  readonly staleMs: number;
}

interface Tables {
  readonly connection: Connection;
  readonly syncs: SyncRows;
  readonly letters: DeadLetters;
  readonly dropped: Dropped;
  readonly requests: Requests;
  readonly leases: Leases;
  readonly reports: Reports;
}

/**
 * The state file with its rules, synchronous: each call that writes returns when it is on the disk. Runs in the
 * worker thread. Leases are named by their owner.
 */
export class StateDatabase {
  readonly #options: StateDatabaseOptions;
  readonly #onLost: (owner: string) => void;
  readonly #held = new Map<string, Held>();
  /** Reports not yet written, by sync. */
  readonly #unwritten = new Map<string, StoredReport & { readonly held: Held }>();
  /** null: read-only, and there is no file (yet). */
  #tables: Tables | null;
  /** Opened when first asked for: most processes need none of it. */
  #sent: SentDatabase | null = null;
  readonly #warn: (message: string) => void;

  constructor(
    options: StateDatabaseOptions,
    onLost: (owner: string) => void,
    warn: (message: string) => void = () => {},
  ) {
    this.#options = options;
    this.#onLost = onLost;
    this.#warn = warn;
    this.#tables = this.#open();
  }

  /** For tests. */
  get connection(): Connection {
    return this.#writable().connection;
  }

  /** The owner of a new lease; null when somebody alive holds it, or has the file locked. */
  tryAcquire(sync: string): string | null {
    const held = this.#writable().leases.tryAcquire(sync);
    if (held === null) return null;
    this.#held.set(held.owner, held);
    return held.owner;
  }

  /** Whether or not it can be written: without a heartbeat the lease ends by itself. */
  release(owner: string): void {
    const held = this.#held.get(owner);
    if (held === undefined) return;
    this.#held.delete(owner);
    this.flushReports();
    this.#writable().leases.release(held);
  }

  /** Renews every lease that is held here; those that others have taken are reported lost. */
  heartbeat(): void {
    if (this.#held.size === 0) return;
    const { connection, leases } = this.#writable();
    const lost = connection.write("volatile", () => [...this.#held.values()].filter((held) => !leases.beat(held)));
    for (const { owner } of lost) this.#lose(owner);
  }

  loadHeld(owner: string): SyncState | null {
    const held = this.#heldBy(owner);
    return this.load(held.sync);
  }

  commit(owner: string, change: StateChange): void {
    const held = this.#heldBy(owner);
    const { connection, leases, syncs, letters, dropped, requests } = this.#writable();
    // No checkpoint may outlive what the index knew when it was made.
    this.#sent?.sync();
    const ours = connection.write("durable", () => {
      if (!leases.isOurs(held)) return false;
      const before = syncs.load(held.sync);
      const after = apply(before ?? NOTHING_YET, change);
      // Resolved first: a delivery that is in both lists has failed again.
      for (const id of change.resolved ?? []) letters.remove(held.sync, id);
      this.#drop(held.sync, change.dropped ?? []);
      if (change.forgetDroppedBeforeMs !== undefined) dropped.forgetBefore(held.sync, change.forgetDroppedBeforeMs);
      for (const letter of change.deadLetters ?? []) letters.put(held.sync, letter);
      for (const id of change.takenRequests ?? []) requests.take(held.sync, id);
      syncs.save(held.sync, after, before);
      return true;
    });
    if (!ours) throw this.#lose(owner);
  }

  #drop(sync: string, drops: readonly FailureDrop[]): void {
    const { letters, dropped } = this.#writable();
    const records = drops.flatMap((drop) => {
      const letter = letters.one(sync, drop.id);
      return letter === null ? [] : [recordOf(letter, drop)];
    });
    dropped.add(sync, records);
    for (const { id } of records) letters.remove(sync, id);
  }

  openSent(owner: string, identity: string): { readonly id: number; readonly isNew: boolean; readonly rows: number } {
    return this.#asHolder(owner, ({ records }, sync) => records.open(sync, identity));
  }

  announceSent(...[owner, ...args]: [owner: string, ...Parameters<SentRows["announce"]>]): number {
    return this.#asHolder(owner, ({ records }) => records.announce(...args));
  }

  knownSent(...[owner, ...args]: [owner: string, ...Parameters<SentRows["known"]>]): string[] {
    this.#heldBy(owner);
    return this.#sentDatabase().records.known(...args);
  }

  forgetSent(...[owner, ...args]: [owner: string, ...Parameters<SentRows["forget"]>]): void {
    this.#asHolder(owner, ({ records }) => records.forget(...args));
  }

  otherSent(...[owner, ...args]: [owner: string, ...Parameters<SentRows["others"]>]): OtherGenerations {
    this.#heldBy(owner);
    return this.#sentDatabase().records.others(...args);
  }

  openRows(owner: string, options: RowIndexOptions): OpenedRows {
    return this.#asHolder(owner, ({ rows }, sync) => rows.open(sync, options));
  }

  /** Of a sync that may be another's; for looking only. A file that cannot be read is as none: whoever opens it mends it. */
  knownRows(sync: string): KnownRows | null {
    if (this.#sent !== null) return this.#sent.rows.known(sync);
    const path = sentPath(this.#options.path);
    if (!this.#options.readOnly) return existsSync(path) ? this.#sentDatabase().rows.known(sync) : null;
    const connection = lookIntoSentFile(path);
    if (connection === null) return null;
    try {
      return new IndexedRows(connection).known(sync);
    } finally {
      connection.close();
    }
  }

  findRows(...[owner, ...args]: [owner: string, ...Parameters<IndexedRows["find"]>]): string {
    this.#heldBy(owner);
    return this.#sentDatabase().rows.find(...args);
  }

  announceRows(...[owner, ...args]: [owner: string, ...Parameters<IndexedRows["announce"]>]) {
    return this.#asHolder(owner, ({ rows }) => rows.announce(...args));
  }

  confirmRows(...[owner, ...args]: [owner: string, ...Parameters<IndexedRows["confirm"]>]): number {
    return this.#asHolder(owner, ({ rows }) => rows.confirm(...args));
  }

  matchingRows(...[owner, ...args]: [owner: string, ...Parameters<IndexedRows["matching"]>]): string[] {
    this.#heldBy(owner);
    return this.#sentDatabase().rows.matching(...args);
  }

  pageRows(...[owner, ...args]: [owner: string, ...Parameters<IndexedRows["page"]>]) {
    this.#heldBy(owner);
    return this.#sentDatabase().rows.page(...args);
  }

  /** Writes to the index while the state is locked, so that nobody takes the sync over meanwhile. */
  #asHolder<T>(owner: string, work: (sent: SentDatabase, sync: string) => T): T {
    const held = this.#heldBy(owner);
    const { connection, leases } = this.#writable();
    const sent = this.#sentDatabase();
    const done = connection.write("volatile", () =>
      leases.isOurs(held) ? { result: sent.write(() => work(sent, held.sync)) } : null,
    );
    if (done === null) throw this.#lose(owner);
    return done.result;
  }

  #sentDatabase(): SentDatabase {
    if (this.#sent === null) {
      const path = sentPath(this.#options.path);
      const { connection, damaged } = openSentFile(path);
      if (damaged !== null)
        this.#warn(
          `the index of what was sent was damaged: it is made anew, and what was moved to ${damaged} is not needed; a resync removes only what is sent from now on, and the rows of queries are sent again`,
        );
      this.#sent = new SentDatabase(connection);
    }
    return this.#sent;
  }

  requestsHeld(owner: string): StoredRequest[] {
    return this.#writable().requests.of(this.#heldBy(owner).sync);
  }

  /** Of a sync that may be another's; for looking only. */
  waitingRequests(sync: string): StoredRequest[] {
    return this.#readable()?.requests.of(sync) ?? [];
  }

  /** Kept in memory until {@link flushReports}. */
  report(owner: string, report: StatusReport): void {
    const held = this.#held.get(owner);
    if (held !== undefined) this.#unwritten.set(held.sync, { held, report, reportedAtMs: Date.now() });
  }

  flushReports(): void {
    if (this.#unwritten.size === 0) return;
    const { connection, leases, reports } = this.#writable();
    const waiting = [...this.#unwritten];
    this.#unwritten.clear();
    connection.write("volatile", () => {
      for (const [sync, stored] of waiting) if (leases.isOurs(stored.held)) reports.put(sync, stored);
    });
  }

  statuses(): StoredStatus[] {
    const tables = this.#readable();
    if (tables === null) return [];
    this.flushReports();
    return tables.connection.read(() => {
      const states = tables.syncs.all();
      const reports = tables.reports.all();
      const failures = tables.letters.counts();
      const running = new Set(tables.leases.heldSyncs());
      const names = new Set([...states.keys(), ...reports.keys(), ...running]);
      return [...names].sort().map((sync) => ({
        sync,
        state: states.get(sync) ?? NOTHING_YET,
        report: reports.get(sync)?.report ?? null,
        reportedAtMs: reports.get(sync)?.reportedAtMs ?? null,
        running: running.has(sync),
        failures: failures.get(sync) ?? 0,
      }));
    });
  }

  load(sync: string): SyncState | null {
    const tables = this.#readable();
    return tables === null ? null : tables.connection.read(() => tables.syncs.load(sync));
  }

  failures(sync: string, page: FailurePage): DeadLetter[] {
    return this.#readable()?.letters.page(sync, page) ?? [];
  }

  failureGroups(sync: string, where?: FailureQuery): FailureGroup[] {
    return this.#readable()?.letters.groups(sync, where) ?? [];
  }

  droppedFailures(sync: string, limit: number, offset: number): DroppedFailures {
    return this.#readable()?.dropped.page(sync, limit, offset) ?? { total: 0, records: [] };
  }

  failure(sync: string, id: string): DeadLetter | null {
    return this.#readable()?.letters.one(sync, id) ?? null;
  }

  request(sync: string, request: SyncRequest): void {
    const { connection, requests } = this.#writable();
    connection.write("durable", () => requests.add(sync, request));
  }

  forget(sync: string): void {
    const { connection, leases, syncs, letters, dropped, requests, reports } = this.#writable();
    connection.write("durable", () => {
      if (leases.isHeld(sync))
        throw new TailraceError("state.lease_held", `${sync} is running; stop it before its state is forgotten`);
      syncs.forget(sync);
      letters.removeAll(sync);
      dropped.removeAll(sync);
      requests.takeAll(sync);
      reports.forget(sync);
      leases.forget(sync);
    });
    if (existsSync(sentPath(this.#options.path))) this.#sentDatabase().forget(sync);
  }

  /** Releases every lease that can be. Throws after everything is closed. */
  close(): void {
    if (this.#tables === null) return;
    const { connection } = this.#tables;
    const failures: unknown[] = [];
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        failures.push(error);
      }
    };
    for (const owner of this.#held.keys()) attempt(() => this.release(owner));
    this.#tables = null;
    attempt(() => this.#sent?.close());
    attempt(() => connection.close());
    if (failures.length > 0) throw failures[0];
  }

  #open(): Tables | null {
    const { path, readOnly, staleMs } = this.#options;
    const database = openDatabaseFile(path, readOnly);
    if (database === null) return null;
    const connection = new Connection(path, database);
    const tables: Tables = {
      connection,
      syncs: new SyncRows(connection),
      letters: new DeadLetters(connection),
      dropped: new Dropped(connection),
      requests: new Requests(connection),
      leases: new Leases(connection, staleMs),
      reports: new Reports(connection),
    };
    try {
      // A damaged checkpoint is said at once, not when its sync starts.
      tables.syncs.all();
    } catch (error) {
      connection.close();
      throw error;
    }
    return tables;
  }

  #readable(): Tables | null {
    this.#tables ??= this.#options.readOnly ? this.#open() : null;
    return this.#tables;
  }

  #writable(): Tables {
    if (this.#options.readOnly) throw new TailraceError("internal.defect", "the state was opened read-only");
    if (this.#tables === null) throw new TailraceError("internal.defect", "the state is closed");
    return this.#tables;
  }

  #heldBy(owner: string): Held {
    const held = this.#held.get(owner);
    if (held === undefined) throw new TailraceError("state.lease_lost", "this lease has ended");
    return held;
  }

  #lose(owner: string): TailraceError {
    const sync = this.#held.get(owner)?.sync ?? "";
    this.#held.delete(owner);
    this.#onLost(owner);
    return leaseLost(sync);
  }
}
