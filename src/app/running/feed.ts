import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Model } from "../../contracts/model.ts";
import type { Source, SourceCheckpoint } from "../../contracts/source.ts";
import { backoffMs } from "../../engine/delivery/backoff.ts";
import { Control } from "./control.ts";
import type { Destinations } from "./destinations.ts";
import type { Member } from "./member.ts";
import { readLog } from "./reading.ts";
import { GRACE_MS } from "./requests.ts";
import { Round } from "./round.ts";
import { Silence } from "./silence.ts";

/** Who has all feeds of a source in view. */
export interface FeedOwner {
  /** The models of every sync that has, or will have, a place in the log. */
  models(): readonly Model[];
  /** What this feed's place in the log must keep. */
  places(feed: Feed): readonly SourceCheckpoint[];
  /** One opening at a time: all feeds of a source share its publication. */
  opening<T>(work: () => Promise<T>): Promise<T>;
  /** The feed's place in the log keeps what its members need. */
  opened(feed: Feed): void;
  /** A checkpoint was stored. */
  stored(): void;
  /** A member holds back the others of the feed. True: it leaves, and must not be read for any more. */
  behind(member: Member): boolean;
  /** A gap between where the member is and this feed's place, while another place still keeps its log. */
  keptElsewhere(member: Member): void;
  /** A feed of its own could not be had for a sync. */
  refused(feed: Feed, error: TailraceError): void;
  /** About once a second; never throws. */
  tick(feed: Feed): Promise<void>;
}

export interface FeedOptions {
  readonly source: Source;
  /** A sync's own place in the log, or the one that the others share. */
  readonly detached: boolean;
  readonly budgetBytes: number;
  readonly destinations: Destinations;
  readonly owner: FeedOwner;
  readonly log: Log;
  /** Catch up with what is committed now, then end. */
  readonly once: boolean;
}

/**
 * One reader of a source's log and the syncs that it feeds. What changes the set of running syncs (pause, resume, resync, a
 * sync that comes back) is dealt with between two *rounds*: the pipelines are drained, and made again from their
 * checkpoints. Within a round, a lost source connection is opened anew under the running pipelines, and a sync may leave.
 */
export class Feed {
  readonly source: Source;
  readonly detached: boolean;
  readonly members = new Set<Member>();
  readonly #options: FeedOptions;
  readonly #silence: Silence;
  readonly #control: Control;
  #round: Round | null = null;
  #readers = new Set<Member>();
  /** Stops that are being stored. */
  readonly #stopping = new Set<Promise<void>>();
  #openFailures = 0;
  #leaves = false;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.source = options.source;
    this.detached = options.detached;
    this.#silence = new Silence(options.source);
    this.#control = new Control({
      members: this.members,
      silence: this.#silence,
      tick: () => options.owner.tick(this),
      log: options.log,
    });
  }

  /** Resolves when `signal` aborts and all is drained; with `once`, when it has caught up; after `leave`; when a lease is lost. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#leaves) if ((await this.#runRound(signal)) === "end") return;
  }

  /** Whether somebody reads. */
  get running(): boolean {
    return this.#readers.size > 0;
  }

  /** Drains the pipelines and makes them again: somebody has come, or is to go on. */
  restart(): void {
    this.#round?.end("again");
  }

  get leaving(): boolean {
    return this.#leaves;
  }

  /** Drains the pipelines; `run` resolves. */
  leave(): void {
    this.#leaves = true;
    this.#round?.end("end");
  }

  /** Takes a member out while the others go on; resolves when what it had on its way has ended. */
  async release(member: Member): Promise<void> {
    this.members.delete(member);
    this.#readers.delete(member);
    await member.close(GRACE_MS);
  }

  async #runRound(signal: AbortSignal): Promise<"again" | "end"> {
    const members = [...this.members];
    if (members.some(({ lease }) => lease.lost.aborted)) return "end";
    for (const member of members) await member.reload();
    // After a resync, or a gap, there is nothing that a place of its own would keep.
    if (this.detached && members.every((member) => member.stored === null || member.lostItsPlace)) {
      this.#leaves = true;
      return "end";
    }
    const round = new Round();
    this.#round = round;
    const stop = (): void => round.end("end");
    signal.addEventListener("abort", stop, { once: true });
    try {
      // What was asked while nobody ran comes first: a `resume` decides whether there is anything to do at all.
      await this.#control.obeyAll(round);
      if (round.signal.aborted) return signal.aborted ? "end" : round.result!;
      const control = this.#control.run(round);
      await this.#work(round).catch((error: unknown) => this.#roundFailed(round, error));
      await control;
    } finally {
      signal.removeEventListener("abort", stop);
      round.end("again");
      this.#round = null;
      this.#readers = new Set();
      await Promise.all([...this.members].map((member) => member.close(GRACE_MS)));
      // Whoever goes on must find it stopped, and its lease must not be given up before that is stored.
      await Promise.all(this.#stopping);
      this.#control.report(null);
    }
    return signal.aborted ? "end" : round.result!;
  }

  /** Opens the source and the pipelines, and reads until the round ends. */
  async #work(round: Round): Promise<void> {
    const { source, once, owner, log } = this.#options;
    const members = [...this.members];
    const wanted = members.filter((member) => member.wanted);
    const carried = this.detached && members.some(({ stored }) => stored !== null && !source.keeps(stored));
    if (wanted.length === 0 && !carried) {
      if (once) round.end("end");
      return round.ended;
    }
    const start = await this.#open(round);
    if (start === null) return;
    for (const member of members) await member.carryOver(source, start);
    owner.opened(this);
    const share = {
      budgetBytes: Math.max(MIN_BUDGET_BYTES, this.#options.budgetBytes / Math.max(1, wanted.length)),
      readsAlone: wanted.length === 1,
    };
    await Promise.all(wanted.map((member) => this.#openMember(member, start, share, round)));
    const readers = new Set(wanted.filter(({ pipeline }) => pipeline !== null));
    this.#readers = readers;
    if (readers.size === 0) {
      if (once && wanted.every((member) => member.waitsFor === null)) round.end("end");
      return round.ended;
    }
    const [first] = readers;
    // Where a snapshot that is taken now ends in the log: catching up means to come there.
    const until = once ? (await source.lookup(first!.sync.model, [], round.signal)).high : null;
    for (const { pipeline } of readers) pipeline!.start();
    const asked = this.#control.obeyAll(round);
    const captures = [...readers].map((member) => this.#capture(member, round));
    const reading = {
      source,
      silence: this.#silence,
      log,
      round,
      readers,
      reopen: () => this.#open(round),
      behind: (member: Member) => owner.behind(member),
      reached: () => {
        for (const { pipeline } of readers) pipeline?.caughtUp();
        this.#endWhenSettled(readers, round);
      },
    };
    await readLog(reading, start.position, until);
    await Promise.all([asked, ...captures]);
  }

  /** Opens the source for every sync that has, or will have, a place in its log. null: the round is over. */
  async #open(round: Round): Promise<SourceCheckpoint | null> {
    const { source, owner } = this.#options;
    try {
      const start = await owner.opening(() => source.open(owner.models(), owner.places(this), round.signal));
      this.#openFailures = 0;
      return start;
    } catch (error) {
      if (round.signal.aborted) return null;
      const failure = TailraceError.from(error, "source.unreachable");
      if (failure.consequence === "gap") await this.#stopThoseWithAGap(round);
      else if (failure.code !== "source.model" || !(await this.#setAsideBroken(round))) throw failure;
      round.end("again");
      return null;
    }
  }

  /** A table that was dropped or renamed stops the syncs that read it, not those of other tables. False: no model is broken. */
  async #setAsideBroken(round: Round): Promise<boolean> {
    let found = false;
    for (const member of this.members) {
      if (member.lostItsPlace) continue;
      try {
        await this.source.describe(member.sync.model, round.signal);
      } catch (error) {
        const failure = TailraceError.from(error, "source.unreachable");
        if (failure.code !== "source.model") throw failure;
        found = true;
        member.modelIsBroken = true;
        if (member.wanted) await member.stop(failure);
      }
    }
    return found;
  }

  /** A gap may be one sync's (its table was taken out of the publication for a while) or everybody's (the slot is gone). */
  async #stopThoseWithAGap(round: Round): Promise<void> {
    const { source, owner, log } = this.#options;
    let found = false;
    for (const member of this.members) {
      const { stored } = member;
      if (stored === null || member.lostItsPlace) continue;
      try {
        await owner.opening(() => source.open(owner.models(), [stored], round.signal));
      } catch (error) {
        const failure = TailraceError.from(error, "source.unreachable");
        if (failure.consequence !== "gap") throw failure;
        found = true;
        if (!this.detached && !source.keeps(stored)) owner.keptElsewhere(member);
        else await member.stop(failure);
      }
    }
    // It has passed between the two looks: then the next round will tell.
    if (!found) log.warn("a gap was reported, but every sync's place is whole; opening again");
  }

  async #openMember(
    member: Member,
    start: SourceCheckpoint,
    share: { readonly budgetBytes: number; readonly readsAlone: boolean },
    round: Round,
  ): Promise<void> {
    const { source, destinations, owner, log, once } = this.#options;
    try {
      await member.open({
        source,
        start,
        to: destinations.get(member.sync.destination),
        ...share,
        once,
        signal: round.signal,
        onStored: () => owner.stored(),
        onStopped: (error) => {
          if (error.code === "state.lease_lost") this.#overtaken(member, error, round);
          else this.#stopAside(member, error);
        },
      });
    } catch (error) {
      if (round.signal.aborted) return;
      const failure = TailraceError.from(error, "destination.unreachable");
      if (needsPerson(failure)) {
        member.waitsFor = null;
        await this.#stopped(member, failure);
      } else {
        log.warn("a sync could not start; it will be tried again", {
          sync: member.sync.name,
          code: failure.code,
          error: failure.message,
        });
        member.waitsFor = failure;
        round.after(RETRY_MEMBER_MS, "again");
      }
    }
  }

  /** While the others go on. */
  #stopAside(member: Member, error: TailraceError): void {
    const stopping = this.#stopped(member, error).finally(() => this.#stopping.delete(stopping));
    this.#stopping.add(stopping);
  }

  /** Stops it; where it was told to resync instead, it begins in the next round. */
  async #stopped(member: Member, error: TailraceError): Promise<void> {
    await member.stop(error);
    if (member.wanted) this.restart();
  }

  /** The destination's progress is not what this process left there: only a new pipeline, which loads it, can go on. */
  #overtaken(member: Member, error: TailraceError, round: Round): void {
    if (round.signal.aborted) return;
    this.#options.log.warn("the destination has other progress than was written here; going on from there", {
      sync: member.sync.name,
      code: error.code,
      error: error.message,
    });
    round.end("again");
  }

  /** With `once`: the log is read as far as is wanted; it is over when that is delivered. */
  #endWhenSettled(readers: ReadonlySet<Member>, round: Round): void {
    const settled =
      this.#stopping.size === 0 &&
      [...readers].every(({ pipeline }) => pipeline === null || pipeline.stoppedBy || pipeline.settled);
    if (round.requestsTaken && settled) round.end("end");
    else round.after(SETTLE_POLL_MS, () => this.#endWhenSettled(readers, round));
  }

  /** What a pipeline reads of the source's rows, beside the log. */
  async #capture(member: Member, round: Round): Promise<void> {
    for (let failures = 0; ;) {
      const pipeline = member.pipeline;
      if (round.signal.aborted || pipeline === null || pipeline.stoppedBy !== null) return;
      try {
        await pipeline.capture(round.signal);
        return;
      } catch (error) {
        // It has left this feed.
        if (round.signal.aborted || member.pipeline !== pipeline) return;
        const failure = TailraceError.from(error);
        if (needsPerson(failure)) return pipeline.stopped(failure);
        failures += 1;
        this.#options.log.warn("reading rows broke off; it goes on where it was", {
          sync: member.sync.name,
          code: failure.code,
          error: failure.message,
        });
        await delay(backoffMs(failures, 500, 15_000), undefined, { signal: round.signal }).catch(() => {});
      }
    }
  }

  async #roundFailed(round: Round, error: unknown): Promise<void> {
    if (round.signal.aborted) return;
    const failure = TailraceError.from(error);
    if (failure.consequence === "gap" || failure.consequence === "internal") {
      for (const member of this.members) if (member.wanted) await member.stop(failure);
      round.end("again");
      return;
    }
    // Credentials that are refused may be accepted later; whoever waits for a run to end wants to know now.
    if (this.#options.once && (needsPerson(failure) || failure.consequence === "auth")) throw failure;
    if (this.detached && needsPerson(failure)) return this.#options.owner.refused(this, failure);
    this.#openFailures += 1;
    const waitMs = backoffMs(this.#openFailures, 500, failure.consequence === "transient" ? 15_000 : 60_000);
    this.#options.log.warn("the source cannot be read; trying again", {
      code: failure.code,
      error: failure.message,
      hint: failure.hint,
      waitMs: Math.round(waitMs),
    });
    for (const member of this.members) member.waitsFor = failure;
    round.after(waitMs, "again");
    await round.ended;
    for (const member of this.members) member.waitsFor = null;
  }
}

function needsPerson({ consequence }: TailraceError): boolean {
  return (
    consequence === "config" || consequence === "internal" || consequence === "gap" || consequence === "row-permanent"
  );
}

const MIN_BUDGET_BYTES = 2 * 1024 * 1024;
const RETRY_MEMBER_MS = 5_000;
const SETTLE_POLL_MS = 50;
