import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import type { Feed, FeedOwner } from "./feed.ts";

/** Nobody's disk is filled: who needs more log than is allowed loses its place. */
export class RetentionWatch {
  readonly #opening: FeedOwner["opening"];
  readonly #lookedAtMs = new WeakMap<Feed, number>();

  constructor(opening: FeedOwner["opening"]) {
    this.#opening = opening;
  }

  /** Asks the source, not more often than every few seconds. Throws what the source throws. */
  async look(feed: Feed, signal: AbortSignal): Promise<void> {
    const nowMs = Date.now();
    if (nowMs - (this.#lookedAtMs.get(feed) ?? 0) < RETENTION_MS) return;
    this.#lookedAtMs.set(feed, nowMs);
    const { retainedBytes, over } = await feed.source.retention(
      AbortSignal.any([signal, AbortSignal.timeout(RETENTION_MS)]),
    );
    if (feed.detached) for (const member of feed.members) member.detached = { retainedBytes };
    const holding = [...feed.members].filter((member) => member.stored !== null && !member.lostItsPlace);
    // All have lost their place, and nobody is about to take one.
    if (!feed.detached && feed.members.size > 0 && [...feed.members].every((member) => member.lostItsPlace)) {
      await this.#opening(() => feed.source.forget(signal));
      return;
    }
    if (over === null) return;
    const lowest = lowestOf(holding.flatMap(({ stored }) => stored ?? []));
    for (const member of holding) {
      if (member.stored?.position === lowest) await member.stop(new TailraceError("source.gap.over_budget", over));
    }
    feed.restart();
  }
}

export function lowestOf(places: readonly SourceCheckpoint[]): Position | null {
  let lowest: Position | null = null;
  for (const { position } of places) if (lowest === null || position < lowest) lowest = position;
  return lowest;
}

const RETENTION_MS = 5_000;
