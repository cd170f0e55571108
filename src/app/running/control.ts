import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Member } from "./member.ts";
import { obey } from "./requests.ts";
import type { Round } from "./round.ts";
import type { Silence } from "./silence.ts";

export interface ControlOptions {
  /** Those of a feed, as they are at the moment. */
  readonly members: ReadonlySet<Member>;
  readonly silence: Silence;
  /** About once a second; never throws. */
  readonly tick: () => Promise<void>;
  readonly log: Log;
}

/** What a feed does beside reading: takes what the command line asks of its syncs, and says how they are. */
export class Control {
  readonly #options: ControlOptions;
  #obeying: Promise<void> = Promise.resolve();
  #isTicking = false;

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  /** Until the round ends. */
  async run(round: Round): Promise<void> {
    let reportedAtMs = 0;
    while (!round.signal.aborted) {
      await this.obeyAll(round);
      if (Date.now() - reportedAtMs >= REPORT_MS) {
        reportedAtMs = Date.now();
        this.report(round);
        this.#tick();
      }
      await delay(CONTROL_MS, undefined, { signal: round.signal }).catch(() => {});
    }
  }

  /** Beside the reports: it asks the source, which may not answer. */
  #tick(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    void this.#options.tick().finally(() => {
      this.#isTicking = false;
    });
  }

  /** One after the other, so that no request is obeyed twice. */
  obeyAll(round: Round): Promise<void> {
    this.#obeying = this.#obeying.then(() => this.#obeyWaiting(round));
    return this.#obeying;
  }

  async #obeyWaiting(round: Round): Promise<void> {
    const { members, log } = this.#options;
    try {
      for (const member of members) {
        if (member.lease.lost.aborted) round.end("again");
        else for (const asked of await member.lease.requests()) await obey(member, asked, round, log);
      }
      round.requestsTaken =
        [...members].some(({ pipeline }) => pipeline !== null) &&
        [...members].every(({ pipeline, failures }) => pipeline === null || !failures.retrying);
    } catch (error) {
      log.warn("requests could not be read", { error: TailraceError.from(error).message });
    }
  }

  /** A status line of each sync; null: between two rounds. */
  report(round: Round | null): void {
    const silentMs = this.#options.silence.lastsMs(Date.now());
    for (const member of this.#options.members) {
      member.report(silentMs, round === null && member.wanted ? "starting" : null).catch(() => {
        // A status line is worth nothing to the sync; the next one will tell.
      });
    }
  }
}

const REPORT_MS = 1_000;
const CONTROL_MS = 250;
