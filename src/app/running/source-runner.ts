import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Source, SourceCheckpoint } from "../../contracts/source.ts";
import type { Model } from "../../contracts/model.ts";
import type { StateStore, SyncRequest } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import { backoffMs } from "../../engine/delivery/backoff.ts";
import type { Observer } from "../../engine/observer.ts";
import type { Pipeline } from "../../engine/pipeline.ts";
import type { FailureSettings } from "../config/config.ts";
import type { Destinations } from "./destinations.ts";
import { FailureKeeper } from "./failure-keeper.ts";
import { EMPTY, Member, type ReportListener } from "./member.ts";
import { Round } from "./round.ts";
import { Silence } from "./silence.ts";

export interface SourceRunnerOptions {
  readonly name: string;
  readonly source: Source;
  readonly syncs: readonly Sync[];
  readonly destinations: Destinations;
  readonly store: StateStore;
  readonly failures: FailureSettings;
  /** Who is told what happens to a sync's rows. */
  readonly observer: (sync: string) => Observer;
  readonly log: Log;
  readonly onReport?: ReportListener | undefined;
  /** Catch up with what is committed now, then end. */
  readonly once: boolean;
}

/**
 * Runs every sync of one source on one reader. What changes the set of running syncs (pause, resume, resync, a
 * destination that comes back) is dealt with between two *rounds*: the pipelines are drained, and made again from their
 * checkpoints. Within a round, a lost source connection is opened anew under the running pipelines.
 */
export class SourceRunner {
  readonly #options: SourceRunnerOptions;
  readonly #log: Log;
  readonly #members: Member[] = [];
  readonly #silence: Silence;
  #openFailures = 0;
  #obeying: Promise<void> = Promise.resolve();

  constructor(options: SourceRunnerOptions) {
    this.#options = options;
    this.#silence = new Silence(options.source);
    this.#log = options.log.child({ source: options.name });
  }

  /** Resolves when `signal` aborts and all is drained, or, with `once`, when it has caught up. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#acquire(signal);
      while (!signal.aborted) if ((await this.#round(signal)) === "end") return;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      for (const member of this.#members) await member[Symbol.asyncDispose]();
    }
  }

  /** Errors that keep syncs from running, after `once`. */
  get problems(): readonly { readonly sync: string; readonly message: string }[] {
    return this.#members.flatMap(({ sync, state }) =>
      state.stopped === null ? [] : [{ sync: sync.name, message: state.stopped.message }],
    );
  }

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
      this.#members.push(new Member({ sync, lease, state, failures, observer, log, onReport }));
    }
  }

  async #round(signal: AbortSignal): Promise<"again" | "end"> {
    // Another process has taken a sync over, or may have: it has all of this source's syncs soon, so let go of them.
    const lost = this.#members.find(({ lease }) => lease.lost.aborted);
    if (lost !== undefined) {
      const { message } = TailraceError.from(lost.lease.lost.reason);
      for (const member of this.#members.splice(0)) await member[Symbol.asyncDispose]();
      this.#log.warn(`${message}; standing by`, { sync: lost.sync.name });
      await this.#acquire(signal);
    }
    for (const member of this.#members) await member.reload();
    const round = new Round();
    const stop = (): void => round.end("end");
    signal.addEventListener("abort", stop, { once: true });
    try {
      // What was asked while nobody ran comes first: a `resume` decides whether there is anything to do at all.
      await this.#obeyAll(round);
      if (round.signal.aborted) return signal.aborted ? "end" : round.result!;
      const control = this.#control(round);
      await this.#work(round).catch((error: unknown) => this.#roundFailed(round, error));
      await control;
    } finally {
      signal.removeEventListener("abort", stop);
      round.end("again");
      await Promise.all(this.#members.map((member) => member.close(GRACE_MS)));
      this.#report(null);
    }
    return signal.aborted ? "end" : round.result!;
  }

  /** Opens the source and the pipelines, and reads until the round ends. */
  async #work(round: Round): Promise<void> {
    const { source, once } = this.#options;
    const wanted = this.#members.filter((member) => member.wanted);
    if (wanted.length === 0) {
      if (once) round.end("end");
      return round.ended;
    }
    const start = await this.#openSource(round);
    if (start === null) return;
    const share = {
      budgetBytes: Math.max(MIN_BUDGET_BYTES, BUDGET_BYTES / wanted.length),
      readsAlone: wanted.length === 1,
    };
    await Promise.all(wanted.map((member) => this.#openMember(member, start, share, round)));
    const running = wanted.filter(({ pipeline }) => pipeline !== null);
    if (running.length === 0) {
      if (once && wanted.every((member) => member.waitsFor === null)) round.end("end");
      return round.ended;
    }
    // Where a snapshot that is taken now ends in the log: catching up means to come there.
    const until = once ? (await source.lookup(running[0]!.sync.model, [], round.signal)).high : null;
    for (const { pipeline } of running) pipeline!.start();
    const asked = this.#obeyAll(round);
    const backfills = running.map((member) => this.#runBackfill(member, round));
    await this.#read(running, start.position, until, round);
    await Promise.all([asked, ...backfills]);
  }

  /** Opens the source for every sync that has, or will have, a place in its log. null: the round is over. */
  async #openSource(round: Round): Promise<SourceCheckpoint | null> {
    const present = this.#members.filter((member) => !member.lostItsPlace);
    const models = [...new Set(present.map(({ sync }) => sync.model))];
    try {
      const stored = present.flatMap((member) => member.stored ?? []);
      const start = await this.#options.source.open(models, stored, round.signal);
      this.#openFailures = 0;
      return start;
    } catch (error) {
      if (round.signal.aborted) return null;
      const failure = TailraceError.from(error, "source.unreachable");
      if (failure.consequence === "gap") await this.#stopThoseWithAGap(present, models, round);
      else if (failure.code !== "source.model" || !(await this.#setAsideBroken(present, round))) throw failure;
      round.end("again");
      return null;
    }
  }

  /** A table that was dropped or renamed stops the syncs that read it, not those of other tables. False: no model is broken. */
  async #setAsideBroken(present: readonly Member[], round: Round): Promise<boolean> {
    let found = false;
    for (const member of present) {
      try {
        await this.#options.source.describe(member.sync.model, round.signal);
      } catch (error) {
        const failure = TailraceError.from(error, "source.unreachable");
        if (failure.code !== "source.model") throw failure;
        found = true;
        member.modelIsBroken = true;
        if (member.wanted) await this.#stop(member, failure);
      }
    }
    return found;
  }

  /** A gap may be one sync's (its table was taken out of the publication for a while) or everybody's (the slot is gone). */
  async #stopThoseWithAGap(present: readonly Member[], models: readonly Model[], round: Round): Promise<void> {
    let found = false;
    for (const member of present) {
      const { stored } = member;
      if (stored === null) continue;
      try {
        await this.#options.source.open(models, [stored], round.signal);
      } catch (error) {
        const failure = TailraceError.from(error, "source.unreachable");
        if (failure.consequence !== "gap") throw failure;
        found = true;
        await this.#stop(member, failure);
      }
    }
    // It has passed between the two looks: then the next round will tell.
    if (!found) this.#log.warn("a gap was reported, but every sync's place is whole; opening again");
  }

  async #openMember(
    member: Member,
    start: SourceCheckpoint,
    share: { readonly budgetBytes: number; readonly readsAlone: boolean },
    round: Round,
  ): Promise<void> {
    const { source, destinations } = this.#options;
    try {
      await member.open({
        source,
        start,
        to: destinations.get(member.sync.destination),
        ...share,
        signal: round.signal,
        onStored: () => this.#ack(),
        onStopped: (error) => {
          if (error.code === "state.lease_lost") this.#overtaken(member, error, round);
          else void this.#stop(member, error);
        },
      });
    } catch (error) {
      if (round.signal.aborted) return;
      const failure = TailraceError.from(error, "destination.unreachable");
      if (needsPerson(failure)) await this.#stop(member, failure);
      else {
        this.#log.warn("a sync could not start; it will be tried again", {
          sync: member.sync.name,
          code: failure.code,
          error: failure.message,
        });
        member.waitsFor = failure;
        round.after(RETRY_MEMBER_MS, "again");
      }
    }
  }

  /** The destination's progress is not what this process left there: only a new pipeline, which loads it, can go on. */
  #overtaken(member: Member, error: TailraceError, round: Round): void {
    if (round.signal.aborted) return;
    this.#log.warn("the destination has other progress than was written here; going on from there", {
      sync: member.sync.name,
      code: error.code,
      error: error.message,
    });
    round.end("again");
  }

  /** A sync that cannot go on without a person. The others do. */
  async #stop(member: Member, error: TailraceError): Promise<void> {
    this.#log.error("the sync stopped", {
      sync: member.sync.name,
      code: error.code,
      error: error.message,
      hint: error.hint,
    });
    try {
      await member.lease.commit({ stopped: { code: error.code, message: error.message } });
      await member.reload();
    } catch (failure) {
      this.#log.error("the stop could not be stored", {
        sync: member.sync.name,
        error: TailraceError.from(failure).message,
      });
    }
  }

  /** The source may forget what every sync has stored, those that do not run included. */
  #ack(): void {
    let lowest: Position | null = null;
    for (const { stored, lostItsPlace } of this.#members) {
      if (stored !== null && !lostItsPlace && (lowest === null || stored.position < lowest)) lowest = stored.position;
    }
    if (lowest !== null) this.#options.source.ack(lowest);
  }

  async #read(members: readonly Member[], from: Position, target: Position | null, round: Round): Promise<void> {
    const pipelines = members.map(({ pipeline }) => pipeline!);
    let position = from;
    let until = target;
    for (let failures = 0; !round.signal.aborted;) {
      try {
        for await (const batch of this.#options.source.read(position, round.signal)) {
          failures = 0;
          position = batch.end;
          this.#silence.batchCame(Date.now());
          for (const pipeline of pipelines) pipeline.accept(batch);
          for (const pipeline of pipelines) if (pipeline.full) await Promise.race([pipeline.whenRoom(), round.ended]);
          if (round.signal.aborted) return;
          if (until !== null && position >= until) {
            until = null;
            this.#endWhenSettled(pipelines, round);
          }
        }
      } catch (error) {
        if (round.signal.aborted) return;
        const failure = TailraceError.from(error, "source.unreachable");
        if (failure.consequence !== "transient") throw failure;
        failures += 1;
        const waitMs = backoffMs(failures, 200, 15_000);
        this.#log.warn("reading broke off; it goes on where it was", {
          code: failure.code,
          error: failure.message,
          waitMs: Math.round(waitMs),
        });
        await delay(waitMs, undefined, { signal: round.signal }).catch(() => {});
        if (round.signal.aborted) return;
        // The log must still be whole before anything more is read from it.
        await this.#openSource(round).catch((reopen: unknown) => {
          if (TailraceError.from(reopen).consequence !== "transient") throw reopen;
        });
      }
    }
  }

  /** With `once`: the log is read as far as is wanted; it is over when that is delivered. */
  #endWhenSettled(pipelines: readonly Pipeline[], round: Round): void {
    if (round.requestsTaken && pipelines.every(({ stoppedBy, settled }) => stoppedBy !== null || settled))
      round.end("end");
    else round.after(SETTLE_POLL_MS, () => this.#endWhenSettled(pipelines, round));
  }

  async #runBackfill(member: Member, round: Round): Promise<void> {
    for (let failures = 0; ;) {
      const pipeline = member.pipeline;
      if (round.signal.aborted || pipeline === null || pipeline.stoppedBy !== null) return;
      try {
        await pipeline.runBackfill(round.signal);
        return;
      } catch (error) {
        if (round.signal.aborted) return;
        const failure = TailraceError.from(error);
        if (needsPerson(failure)) return pipeline.stopped(failure);
        failures += 1;
        this.#log.warn("the backfill broke off; it goes on where it was", {
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
      for (const member of this.#members) if (member.wanted) await this.#stop(member, failure);
      round.end("again");
      return;
    }
    if (this.#options.once && needsPerson(failure)) throw failure;
    this.#openFailures += 1;
    const waitMs = backoffMs(this.#openFailures, 500, failure.consequence === "transient" ? 15_000 : 60_000);
    this.#log.warn("the source cannot be read; trying again", {
      code: failure.code,
      error: failure.message,
      hint: failure.hint,
      waitMs: Math.round(waitMs),
    });
    for (const member of this.#members) member.waitsFor = failure;
    round.after(waitMs, "again");
    await round.ended;
    for (const member of this.#members) member.waitsFor = null;
  }

  /** Reports the status and takes requests, until the round ends. */
  async #control(round: Round): Promise<void> {
    let reportedAtMs = 0;
    while (!round.signal.aborted) {
      await this.#obeyAll(round);
      if (Date.now() - reportedAtMs >= REPORT_MS) {
        reportedAtMs = Date.now();
        this.#report(round);
      }
      await delay(CONTROL_MS, undefined, { signal: round.signal }).catch(() => {});
    }
  }

  /** One after the other, so that no request is obeyed twice. */
  #obeyAll(round: Round): Promise<void> {
    this.#obeying = this.#obeying.then(() => this.#obeyWaiting(round));
    return this.#obeying;
  }

  async #obeyWaiting(round: Round): Promise<void> {
    try {
      for (const member of this.#members) {
        if (member.lease.lost.aborted) round.end("again");
        else for (const { id, request } of await member.lease.requests()) await this.#obey(member, id, request, round);
      }
      round.requestsTaken =
        this.#members.some(({ pipeline }) => pipeline !== null) &&
        this.#members.every(({ pipeline, failures }) => pipeline === null || !failures.retrying);
    } catch (error) {
      this.#log.warn("requests could not be read", { error: TailraceError.from(error).message });
    }
  }

  #report(round: Round | null): void {
    const silentMs = this.#silence.lastsMs(Date.now());
    for (const member of this.#members) {
      member.report(silentMs, round === null && member.wanted ? "starting" : null).catch(() => {
        // A status line is worth nothing to the sync; the next one will tell.
      });
    }
  }

  async #obey(member: Member, id: number, request: SyncRequest, round: Round): Promise<void> {
    // A retry waits until there is something to send it with.
    if (request.kind === "retry" && member.pipeline === null) return;
    // A retry goes on as there is room, and is said once.
    if (request.kind !== "retry" || !member.failures.retrying)
      this.#log.info("request", { sync: member.sync.name, kind: request.kind });
    const { lease } = member;
    const taken = { takenRequests: [id] };
    switch (request.kind) {
      case "pause":
        await lease.commit({ ...taken, paused: true });
        return round.end("again");
      case "resume": {
        const heldDeletes = await member.heldDeletes(request.approveDeletes === true);
        await lease.commit({ ...taken, paused: false, stopped: null, heldDeletes });
        member.modelIsBroken = false;
        return round.end("again");
      }
      case "resync":
        // What is on its way belongs to the old place in the log: it must be over before the place is given up.
        await member.close(GRACE_MS);
        await lease.commit({ ...taken, reset: true, checkpoint: null, stopped: null });
        member.modelIsBroken = false;
        return round.end("again");
      case "retry":
        return member.failures.retry(id, request.failures, member.pipeline!);
      case "drop":
        return member.failures.drop(id, request, member.pipeline);
    }
  }
}

function needsPerson({ consequence }: TailraceError): boolean {
  return (
    consequence === "config" || consequence === "internal" || consequence === "gap" || consequence === "row-permanent"
  );
}

/**
 * What may wait in memory for all syncs of a source, in bytes. More would not be faster: what waits long enough to outlive
 * a young generation costs the garbage collector several times as much.
 */
const BUDGET_BYTES = 8 * 1024 * 1024;
const MIN_BUDGET_BYTES = 2 * 1024 * 1024;
const GRACE_MS = 25_000;
const STANDBY_TOLD_MS = 1_000;
const REPORT_MS = 1_000;
const CONTROL_MS = 250;
const RETRY_MEMBER_MS = 5_000;
const SETTLE_POLL_MS = 50;
