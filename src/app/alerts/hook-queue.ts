import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import { askedMs, backoffMs } from "../../engine/delivery/backoff.ts";
import type { Hook } from "./hooks/hook.ts";
import type { Message } from "./message.ts";

/** The messages for one hook, one after the other, each tried a few times. Nobody waits for it. */
export class HookQueue implements AsyncDisposable {
  readonly #hook: Hook;
  readonly #log: Log;
  readonly #firstWaitMs: number;
  readonly #abort = new AbortController();
  readonly #waiting: Message[] = [];
  #working: Promise<void> | null = null;

  constructor(hook: Hook, log: Log, firstWaitMs = 1000) {
    this.#hook = hook;
    this.#log = log;
    this.#firstWaitMs = firstWaitMs;
  }

  add(message: Message): void {
    if (this.#waiting.length >= MOST_WAITING) this.#lost(this.#waiting.shift()!, "too many alerts wait for this hook");
    this.#waiting.push(message);
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
    });
  }

  async #work(): Promise<void> {
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift())
      await this.#tell(message);
  }

  async #tell(message: Message): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; ; attempt += 1) {
      try {
        signal.throwIfAborted();
        await this.#hook.send(message, signal);
        return;
      } catch (error) {
        const failure = TailraceError.from(error);
        if (signal.aborted || attempt === ATTEMPTS) return this.#lost(message, failure.message);
        const waitMs = Math.min(LONGEST_WAIT_MS, askedMs(failure.afterMs, backoffMs(attempt, this.#firstWaitMs)));
        this.#log.warn("an alert did not arrive; it will be tried again", {
          type: message.type,
          error: failure.message,
          attempt,
          waitMs: Math.round(waitMs),
        });
        await delay(waitMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  #lost({ type, data }: Message, error: string): void {
    this.#log.error("an alert did not arrive and is given up", { type, alert: data.message, error });
  }

  /** Gives what is waiting a few seconds, then ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#abort.abort(new Error("the process ended")), GRACE_MS);
    await this.#working;
    clearTimeout(timer);
    await this.#hook[Symbol.asyncDispose]();
  }
}

export const ATTEMPTS = 6;
const LONGEST_WAIT_MS = 60_000;
const MOST_WAITING = 100;
const GRACE_MS = 5_000;
