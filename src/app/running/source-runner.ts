import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Model } from "../../contracts/model.ts";
import type { Source, SourceCheckpoint } from "../../contracts/source.ts";
import type { StateStore } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Observer } from "../../engine/observer.ts";
import type { Timetable } from "../../engine/rows/timetable.ts";
import type { FailureSettings } from "../config/config.ts";
import type { Destinations } from "./destinations.ts";
import { FailureKeeper } from "./failure-keeper.ts";
import { Feed, type FeedOwner } from "./feed.ts";
import { EMPTY, Member, type ReportListener } from "./member.ts";
import { lowestOf, RetentionWatch } from "./retention.ts";

export interface SourceRunnerOptions {
  readonly name: string;
  readonly source: Source;
  readonly syncs: readonly Sync[];
  readonly destinations: Destinations;
  readonly store: StateStore;
  readonly failures: FailureSettings;
  /** Who is told what happens to a sync's rows. */
  readonly observer: (sync: string) => Observer;
  /** When a sync's model is compared, where it is. */
  readonly timetable: (sync: Sync) => Timetable;
  readonly log: Log;
  readonly onReport?: ReportListener | undefined;
  /** Catch up with what is committed now, then end. */
  readonly once: boolean;
}

/**
 * Runs every sync of one source. They share one feed while they keep up. One that holds the others back, or that does not run
 * and would keep the log from moving on, is *detached*: it gets a feed with a place of its own in the log, and comes back
 * when it has caught up. Which place keeps the log for a sync, its stored checkpoint says: so that after a crash at any
 * moment, each place that is needed is kept, and one that is not is dropped.
 */
export class SourceRunner implements FeedOwner {
  readonly #options: SourceRunnerOptions;
  readonly #log: Log;
  readonly #members: Member[] = [];
  #shared: Feed;
  /** Feeds of detached syncs. */
  readonly #own = new Map<Member, Feed>();
  /** Coming back: until the shared place keeps the log for them, their own must too. */
  readonly #joining = new Set<Member>();
  /** No longer needed. */
  readonly #left = new Map<Member, Source>();
  readonly #since = new WeakMap<Member, { detachedAtMs: number; stayUntilMs: number; idleSinceMs: number }>();
  readonly #running = new Map<Feed, Promise<void>>();
  /** Syncs between two feeds. */
  readonly #moves = new Set<Promise<void>>();
  #over = new AbortController();
  #failure: unknown = null;
  #acked: Position | null = null;
  #opening: Promise<unknown> = Promise.resolve();
  readonly #retention = new RetentionWatch((work) => this.opening(work));

  constructor(options: SourceRunnerOptions) {
    this.#options = options;
    this.#log = options.log.child({ source: options.name });
    this.#shared = this.#feedOf(options.source, false);
  }

  /** Resolves when `signal` aborts and all is drained, or, with `once`, when it has caught up. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#acquire(signal);
        await this.#runFeeds(signal);
        if (!(await this.#stoodDown(signal))) return;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await this.#giveUpLeases();
    }
  }

  /** Errors that keep syncs from running, after `once`. */
  get problems(): readonly { readonly sync: string; readonly message: string }[] {
    return this.#stopped;
  }

  #stopped: { readonly sync: string; readonly message: string }[] = [];

  /** By name, so that two processes that want the same syncs cannot wait for each other. */
  async #acquire(signal: AbortSignal): Promise<void> {
    const { store, syncs } = this.#options;
    for (const sync of [...syncs].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const tell = setTimeout(() => {
        this.#log.info("another process runs this sync; standing by, to take over when it ends", { sync: sync.name });
      }, STANDBY_TOLD_MS);
      const lease = await store.acquire(sync.name, signal).finally(() => clearTimeout(tell));
      const state = (await lease.load()) ?? EMPTY;
      const log = this.#log.child({ sync: sync.name });
      const failures = new FailureKeeper({ store, lease, settings: this.#options.failures, log });
      const observer = this.#options.observer(sync.name);
      const { onReport } = this.#options;
      const timetable = this.#options.timetable(sync);
      this.#members.push(new Member({ sync, lease, state, failures, observer, log, timetable, onReport }));
    }
  }

  /** Another process has taken a sync over, or may have: it has all of this source's syncs soon, so let go of them. */
  async #stoodDown(signal: AbortSignal): Promise<boolean> {
    const lost = this.#members.find(({ lease }) => lease.lost.aborted);
    if (lost === undefined || signal.aborted) return false;
    this.#log.warn(`${TailraceError.from(lost.lease.lost.reason).message}; standing by`, { sync: lost.sync.name });
    await this.#giveUpLeases();
    return true;
  }

  async #giveUpLeases(): Promise<void> {
    this.#stopped = this.#members.flatMap(({ sync, state }) =>
      state.stopped === null ? [] : [{ sync: sync.name, message: state.stopped.message }],
    );
    for (const member of this.#members.splice(0)) await member[Symbol.asyncDispose]();
  }

  async #runFeeds(signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    this.#over = new AbortController();
    this.#acked = null;
    this.#shared = this.#feedOf(source, false);
    const stop = (): void => this.#over.abort();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      for (const member of this.#members) {
        const own = source.branch(member.sync.name);
        if (member.stored !== null && !source.keeps(member.stored) && own.keeps(member.stored))
          this.#goOwn(member, own);
        else {
          this.#shared.members.add(member);
          // Left over by a process that was killed, perhaps.
          this.#left.set(member, own);
        }
      }
      this.#start(this.#shared);
      while (this.#running.size + this.#moves.size > 0) await Promise.race([...this.#running.values(), ...this.#moves]);
      if (this.#failure !== null) throw this.#failure;
    } finally {
      signal.removeEventListener("abort", stop);
      for (const own of this.#left.values()) await own[Symbol.asyncDispose]();
      for (const { source: own } of this.#own.values()) await own[Symbol.asyncDispose]();
      this.#left.clear();
      this.#own.clear();
      this.#joining.clear();
    }
  }

  #feedOf(source: Source, detached: boolean): Feed {
    const { destinations, once, syncs } = this.#options;
    const budgetBytes = detached ? BUDGET_BYTES / syncs.length : BUDGET_BYTES;
    return new Feed({ source, detached, budgetBytes, destinations, once, owner: this, log: this.#log });
  }

  #start(feed: Feed): void {
    const running = feed
      .run(this.#over.signal)
      .then(
        () => this.#ended(feed),
        (error: unknown) => this.#failed(error),
      )
      .finally(() => this.#running.delete(feed));
    this.#running.set(feed, running);
  }

  #failed(error: unknown): void {
    this.#failure ??= error;
    this.#over.abort();
  }

  #ended(feed: Feed): void {
    if (this.#members.some(({ lease }) => lease.lost.aborted)) this.#over.abort();
    if (this.#over.signal.aborted || !feed.detached || !feed.leaving) return;
    for (const member of feed.members) this.#comeBack(member);
  }

  #goOwn(member: Member, source: Source): void {
    const feed = this.#feedOf(source, true);
    feed.members.add(member);
    this.#own.set(member, feed);
    this.#joining.delete(member);
    this.#note(member).detachedAtMs = Date.now();
    member.detached = { retainedBytes: null };
    this.#start(feed);
  }

  #comeBack(member: Member): void {
    const { source } = this.#own.get(member)!;
    this.#own.delete(member);
    member.detached = null;
    if (member.stored === null || member.lostItsPlace) this.#giveUpOwn(member, source);
    else this.#left.set(member, source);
    this.#shared.members.add(member);
    // With `once`, or after an end, there may be nobody left to come back to.
    if (this.#running.has(this.#shared)) this.#shared.restart();
    else this.#start(this.#shared);
  }

  #leaveShared(member: Member, why: string): void {
    const move = this.#detach(member, why)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => this.#moves.delete(move));
    this.#moves.add(move);
  }

  async #detach(member: Member, why: string): Promise<void> {
    await this.#shared.release(member);
    if (this.#over.signal.aborted) return;
    this.#log.warn(`the sync is detached: ${why}. It reads from a place of its own in the log until it has caught up`, {
      sync: member.sync.name,
    });
    const left = this.#left.get(member);
    this.#left.delete(member);
    this.#goOwn(member, left ?? this.#options.source.branch(member.sync.name));
  }

  #note(member: Member) {
    let note = this.#since.get(member);
    if (note === undefined) {
      note = { detachedAtMs: 0, stayUntilMs: 0, idleSinceMs: 0 };
      this.#since.set(member, note);
    }
    return note;
  }

  // FeedOwner

  models(): readonly Model[] {
    return [...new Set(this.#members.filter((member) => !member.lostItsPlace).map(({ sync }) => sync.model))];
  }

  places(feed: Feed): readonly SourceCheckpoint[] {
    return this.#members.flatMap((member) => {
      const { stored } = member;
      if (stored === null || member.lostItsPlace) return [];
      if (feed.members.has(member)) return [stored];
      const needed = !feed.detached && (this.#joining.has(member) || feed.source.keeps(stored));
      return needed ? [stored] : [];
    });
  }

  opening<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#opening.then(work, work);
    this.#opening = turn.catch(() => {});
    return turn;
  }

  opened(feed: Feed): void {
    this.stored();
    if (feed.detached) return;
    for (const member of feed.members) {
      const own = this.#left.get(member);
      const needed = member.stored !== null && !member.lostItsPlace && own?.keeps(member.stored);
      if (own !== undefined && !needed) this.#giveUpOwn(member, own);
    }
  }

  #giveUpOwn(member: Member, own: Source): void {
    this.#joining.delete(member);
    this.#left.delete(member);
    // One at a time: many syncs must not mean many connections at once.
    void this.opening(() => this.#giveUp(own));
  }

  async #giveUp(own: Source): Promise<void> {
    try {
      await own.forget(this.#over.signal);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#log.warn(
        "a place in the log that is not needed any more could not be given up; `tailrace slots` shows it",
        {
          error: TailraceError.from(error).message,
        },
      );
    } finally {
      await own[Symbol.asyncDispose]();
    }
  }

  /** Each place may forget what every sync that needs it has stored, those that do not run included. */
  stored(): void {
    const lowest = lowestOf(this.places(this.#shared));
    if (lowest !== null) {
      if (this.#acked === null || lowest > this.#acked) this.#acked = lowest;
      this.#shared.source.ack(lowest);
    }
    for (const [member, feed] of this.#own) {
      if (member.stored !== null && feed.source.keeps(member.stored)) feed.source.ack(member.stored.position);
    }
  }

  behind(member: Member): boolean {
    if (!this.#mayLeave(member)) return false;
    this.#leaveShared(member, "it takes less than is written, and would hold back the others");
    return true;
  }

  keptElsewhere(member: Member): void {
    this.#shared.members.delete(member);
    const own = this.#left.get(member) ?? this.#options.source.branch(member.sync.name);
    this.#left.delete(member);
    this.#goOwn(member, own);
  }

  refused(feed: Feed, error: TailraceError): void {
    for (const member of feed.members) {
      this.#note(member).stayUntilMs = Date.now() + STAY_MS;
      this.#log.warn("a sync cannot be detached, so it holds back the others of its source", {
        sync: member.sync.name,
        code: error.code,
        error: error.message,
      });
    }
    feed.leave();
  }

  async tick(feed: Feed): Promise<void> {
    try {
      if (feed.detached) for (const member of feed.members) this.#seeWhetherCaughtUp(member, feed);
      else this.#parkIdle(feed);
      await this.#retention.look(feed, this.#over.signal);
    } catch (error) {
      this.#log.debug("what the source keeps could not be looked at", { error: TailraceError.from(error).message });
    }
  }

  /** Only while others go on from the shared place: who would be alone there may as well have it. */
  #mayLeave(member: Member): boolean {
    const others = [...this.#shared.members].some((other) => other !== member && other.pipeline !== null);
    return others && Date.now() >= this.#note(member).stayUntilMs;
  }

  /** Comes back as soon as what it needs is certain to be in the shared place too; meanwhile that place waits for it. */
  #seeWhetherCaughtUp(member: Member, feed: Feed): void {
    const { pipeline, stored } = member;
    const nowMs = Date.now();
    const keepsUp =
      !this.#options.once &&
      pipeline !== null &&
      stored !== null &&
      !pipeline.full &&
      this.#shared.running &&
      nowMs - this.#note(member).detachedAtMs >= APART_MS &&
      this.#running.has(feed) &&
      isCurrent(pipeline.report(null));
    if (!keepsUp) {
      this.#joining.delete(member);
      return;
    }
    this.#joining.add(member);
    if (this.#acked !== null && stored.position >= this.#acked) {
      this.#log.info("the sync has caught up and reads with the others again", { sync: member.sync.name });
      feed.leave();
    }
  }

  /** A sync that does not run (paused, stopped, its destination cannot be opened) must not keep the others' place from moving on. */
  #parkIdle(feed: Feed): void {
    const nowMs = Date.now();
    for (const member of feed.members) {
      const note = this.#note(member);
      const { stored } = member;
      if (member.pipeline !== null || stored === null || member.lostItsPlace) {
        note.idleSinceMs = 0;
        continue;
      }
      note.idleSinceMs ||= nowMs;
      if (!feed.running || nowMs - note.idleSinceMs < PARK_AFTER_MS || !this.#mayLeave(member)) continue;
      note.idleSinceMs = 0;
      this.#leaveShared(member, "it does not run");
    }
  }
}

function isCurrent({ phase, lagMs }: { readonly phase: string; readonly lagMs: number }): boolean {
  return (phase === "streaming" || phase === "backfilling") && lagMs < CURRENT_MS;
}

/**
 * What may wait in memory for all syncs of a source, in bytes. More would not be faster: what waits long enough to outlive
 * a young generation costs the garbage collector several times as much.
 */
const BUDGET_BYTES = 8 * 1024 * 1024;
const STANDBY_TOLD_MS = 1_000;
/** After a place of its own was refused, it is not asked for again for so long. */
const STAY_MS = 60_000;
/** How long a sync stays detached at the least. */
const APART_MS = 5_000;
const PARK_AFTER_MS = 10_000;
const CURRENT_MS = 1_000;
