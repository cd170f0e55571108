import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Holder, Leases } from "./leases.ts";
import type { Sessions } from "./sessions.ts";
import { now, type Term } from "./term.ts";

/** After a heartbeat that failed the next comes sooner: a short break must not cost the lease. */
const SOON_MS = 250;

/** The heartbeats of all leases that are held here, on a connection of their own: nothing that is written delays them. */
export class Pulse implements AsyncDisposable {
  readonly #leases: Leases;
  readonly #sessions: Sessions;
  readonly #everyMs: number;
  readonly #log: Log;
  readonly #held = new Map<Holder, Term>();
  #timer: NodeJS.Timeout | null = null;
  #failing = false;

  constructor(leases: Leases, sessions: Sessions, everyMs: number, log: Log) {
    this.#leases = leases;
    this.#sessions = sessions;
    this.#everyMs = everyMs;
    this.#log = log;
  }

  add(holder: Holder, term: Term): void {
    this.#held.set(holder, term);
    if (this.#timer === null) this.#next(this.#everyMs);
  }

  remove(holder: Holder): void {
    this.#held.delete(holder);
  }

  #next(afterMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), afterMs);
    this.#timer.unref();
  }

  async #beat(): Promise<void> {
    for (const [holder, term] of this.#held) if (term.lost.aborted) this.#held.delete(holder);
    const holders = [...this.#held];
    if (holders.length === 0) {
      this.#timer = null;
      return;
    }
    const sent = now();
    let afterMs = this.#everyMs;
    try {
      const renewed = await this.#leases.renew(
        this.#sessions,
        holders.map(([holder]) => holder),
      );
      for (const [holder, term] of holders) {
        if (renewed.has(holder.owner)) term.confirm(sent);
        // One that was given back meanwhile is not lost.
        else if (this.#held.delete(holder)) term.taken();
      }
      if (this.#failing) this.#log.info("heartbeats reach the state's database again");
      this.#failing = false;
    } catch (error) {
      afterMs = Math.min(SOON_MS, this.#everyMs);
      const { code, message } = TailraceError.from(error);
      if (!this.#failing) this.#log.warn("a heartbeat did not reach the state's database", { code, error: message });
      this.#failing = true;
    }
    this.#next(afterMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#sessions[Symbol.asyncDispose]();
  }
}
