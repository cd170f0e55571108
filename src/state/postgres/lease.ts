import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { FailureDrop } from "../../contracts/failures.ts";
import type { KnownRows, RowIndexOptions } from "../../contracts/row-index.ts";
import type { Lease, StateChange, StatusReport, SyncState } from "../../contracts/state.ts";
import { openRows, rowsKnown } from "../../kit/row-index/open-tables.ts";
import { TableRowIndex } from "../../kit/row-index/table-index.ts";
import { apply, NOTHING_YET } from "../apply.ts";
import { recordOf } from "../dropped-record.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Dropped } from "./dropped.ts";
import type { Acquired, Holder, Leases } from "./leases.ts";
import type { Pulse } from "./pulse.ts";
import type { Reports } from "./reports.ts";
import type { Names } from "./schema.ts";
import { openSent, PostgresSentIndex, type SentAccess } from "./sent-index.ts";
import type { Requests, StoredRequest } from "./requests.ts";
import type { Session, Sessions } from "./sessions.ts";
import { OutcomeUnknown } from "./state-error.ts";
import type { SyncRows } from "./sync-rows.ts";
import { Term } from "./term.ts";

export interface Parts {
  readonly names: Names;
  readonly sessions: Sessions;
  readonly leases: Leases;
  readonly syncs: SyncRows;
  readonly letters: DeadLetters;
  readonly dropped: Dropped;
  readonly requests: Requests;
  readonly reports: Reports;
  readonly pulse: Pulse;
  readonly giveUpMs: number;
}

const ASK_AGAIN_MS = 250;

/** While it is held nobody else writes the sync's row: what it holds is known here without asking. */
export class PostgresLease implements Lease {
  readonly sync: string;
  readonly #parts: Parts;
  readonly #holder: Holder;
  readonly #term: Term;
  readonly #onEnd: () => void;
  #state: SyncState | null;
  /** Of the commits of this lease, the last that is stored. */
  #serial = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** Of what the index was asked: each takes effect before the next. */
  #lastSent: Promise<unknown> = Promise.resolve();
  #ended: Promise<void> | null = null;

  constructor(parts: Parts, { holder, stored, sent }: Acquired, onEnd: () => void) {
    this.sync = holder.sync;
    this.#parts = parts;
    this.#holder = holder;
    this.#state = stored?.state ?? null;
    this.#onEnd = onEnd;
    this.#term = new Term(holder.sync, parts.giveUpMs, sent);
    parts.pulse.add(holder, this.#term);
  }

  get lost(): AbortSignal {
    return this.#term.lost;
  }

  // oxlint-disable-next-line require-await -- rejects, and does not throw
  async load(): Promise<SyncState | null> {
    this.#mustHold();
    return this.#state;
  }

  /** When it rejects nothing of it is stored: an answer that did not come is asked for, as long as the lease lasts. */
  commit(change: StateChange): Promise<void> {
    // One at a time: each builds on what the one before has stored.
    const turn = this.#last.then(() => this.#commit(change));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #commit(change: StateChange): Promise<void> {
    this.#mustHold();
    const state = apply(this.#state ?? NOTHING_YET, change);
    const serial = this.#serial + 1;
    try {
      if (!(await this.#write(change, state, serial))) throw this.#taken();
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error;
      if (!(await this.#isStored(serial))) throw error.failure;
    }
    this.#serial = serial;
    this.#state = state;
  }

  /** false: another has the lease, and nothing was written. */
  async #write(change: StateChange, state: SyncState, serial: number): Promise<boolean> {
    const { sessions, leases, syncs, letters, dropped, requests } = this.#parts;
    const { sync, epoch } = this.#holder;
    const written = await sessions.write(async (session) => {
      if (!(await leases.isOurs(session, this.#holder))) return null;
      // Resolved first: a delivery that is in both lists has failed again.
      await letters.remove(session, sync, change.resolved ?? []);
      await this.#drop(session, change.dropped ?? []);
      if (change.forgetDroppedBeforeMs !== undefined)
        await dropped.forgetBefore(session, sync, change.forgetDroppedBeforeMs);
      await letters.put(session, sync, change.deadLetters ?? []);
      await requests.take(session, sync, change.takenRequests ?? []);
      await syncs.save(session, sync, { state, mark: { epoch, serial } }, this.#state);
      return true;
    });
    return written !== null;
  }

  async #drop(session: Session, drops: readonly FailureDrop[]): Promise<void> {
    if (drops.length === 0) return;
    const { letters, dropped } = this.#parts;
    const byId = new Map(drops.map((drop) => [drop.id, drop]));
    const found = await letters.some(session, this.sync, [...byId.keys()]);
    await dropped.add(
      session,
      this.sync,
      found.map((letter) => recordOf(letter, byId.get(letter.id)!)),
    );
    await letters.remove(session, this.sync, [...byId.keys()]);
  }

  /**
   * Whether the commit `serial`, whose answer did not come, happened. Asks until it is known: the transaction, if it is still
   * open, has the lease's row locked until it ends, and the one that asks waits for that.
   */
  async #isStored(serial: number): Promise<boolean> {
    const { sessions, leases, syncs } = this.#parts;
    const { sync, epoch } = this.#holder;
    for (;;) {
      if (this.lost.aborted) throw this.lost.reason;
      try {
        const answer = await sessions.write(async (session) => {
          if (!(await leases.isOurs(session, this.#holder, "FOR UPDATE"))) return "taken";
          const mark = (await syncs.load(session, sync))?.mark;
          return mark?.epoch === epoch && mark.serial === serial ? "stored" : "not stored";
        });
        if (answer === "taken") throw this.#taken();
        return answer === "stored";
      } catch (error) {
        const failure = error instanceof OutcomeUnknown ? error.failure : error;
        if (!(failure instanceof TailraceError) || failure.code !== "state.unavailable") throw failure;
        await delay(ASK_AGAIN_MS, undefined, { signal: this.lost }).catch(() => {});
      }
    }
  }

  async openSentIndex(identity: string): Promise<PostgresSentIndex> {
    const { names } = this.#parts;
    const opened = await this.#writeSent((session) => openSent(session, names, this.sync, identity));
    return new PostgresSentIndex(this.sync, this.#indexAccess(), opened);
  }

  knownRows(): Promise<KnownRows | null> {
    const { names, sessions } = this.#parts;
    return this.#inTurn(() => sessions.read((session) => rowsKnown(session, names, this.sync)));
  }

  async openRowIndex(options: RowIndexOptions): Promise<TableRowIndex> {
    const { names } = this.#parts;
    const opened = await this.#writeSent((session) => openRows(session, names, this.sync, options));
    return new TableRowIndex(this.sync, this.#indexAccess(), options.parts, opened);
  }

  #indexAccess(): SentAccess {
    const { names, sessions } = this.#parts;
    return {
      names,
      write: (work) => this.#writeSent(work),
      read: (work) => this.#inTurn(() => sessions.read(work)),
    };
  }

  /** Does not wait for the disk: the next commit, whose record comes later in the database's log, does. */
  #writeSent<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const { sessions, leases } = this.#parts;
      try {
        const written = await sessions.write(async (session) => {
          if (!(await leases.isOurs(session, this.#holder))) return null;
          await session.rows("SELECT pg_catalog.set_config('synchronous_commit', 'off', true)");
          return { result: await work(session) };
        });
        if (written === null) throw this.#taken();
        return written.result;
      } catch (error) {
        // Each may be done twice.
        throw error instanceof OutcomeUnknown ? error.failure : error;
      }
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastSent.then(() => {
      this.#mustHold();
      return work();
    });
    this.#lastSent = turn.catch(() => {});
    return turn;
  }

  async requests(): Promise<readonly StoredRequest[]> {
    this.#mustHold();
    const { sessions, requests } = this.#parts;
    return sessions.read((session) => requests.of(session, this.sync));
  }

  async report(status: StatusReport): Promise<void> {
    if (this.#ended === null && !this.lost.aborted) this.#parts.reports.put(this.#holder, status);
  }

  #mustHold(): void {
    if (this.#ended !== null) throw new TailraceError("state.lease_lost", "this lease has ended");
    if (this.lost.aborted) throw this.lost.reason;
  }

  #taken(): TailraceError {
    this.#parts.pulse.remove(this.#holder);
    this.#term.taken();
    return this.#term.lost.reason as TailraceError;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    const { pulse, leases, reports } = this.#parts;
    try {
      await this.#last;
      await this.#lastSent;
      const lost = this.lost.aborted;
      pulse.remove(this.#holder);
      this.#term.close();
      if (lost) {
        leases.abandon(this.#holder);
        return;
      }
      await reports.flush();
      await leases.release(this.#holder);
    } catch (error) {
      // Nothing that matters is written at an end: without a heartbeat the lease runs out by itself.
      if (!["state.unavailable", "internal.defect"].includes(TailraceError.from(error).code)) throw error;
    } finally {
      this.#onEnd();
    }
  }
}
