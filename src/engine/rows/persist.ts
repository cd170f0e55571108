import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import { backoffMs } from "../delivery/backoff.ts";

/** Does something until it is done, with a backoff after what passes by itself. Throws what needs a person, and what it throws after `signal`. */
export async function persist(what: string, work: () => Promise<void>, signal: AbortSignal, log: Log): Promise<void> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const failure = TailraceError.from(error);
      if (!PASSES.includes(failure.consequence)) throw failure;
      const waitMs = backoffMs(failures, 500, 15_000);
      log.warn(`${what} broke off; it is tried again`, {
        code: failure.code,
        error: failure.message,
        waitMs: Math.round(waitMs),
      });
      await delay(waitMs, undefined, { signal });
    }
  }
}

/** Credentials that are refused may be accepted later. */
const PASSES = ["transient", "throttled", "unknown-outcome", "auth"];

/** How long to wait before the source is asked again for what it does not see yet; `asked`: how often it was asked. */
export function unseenMs(asked: number): number {
  return Math.min(50, 2 ** asked);
}
