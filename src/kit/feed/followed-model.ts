import { setImmediate as immediately, setTimeout as delay } from "node:timers/promises";
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import type { Capture } from "../../contracts/capture.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues, SnapshotChunk, SourceCheckpoint } from "../../contracts/source.ts";
import { Forgetting } from "./forgetting.ts";
import { Joiner, requireKey } from "./joiner.ts";
import type { Mark, ModelFeed, ModelRows, RowPage } from "./model-feed.ts";
import type { ModelReader } from "./model-reader.ts";
import { Pace, type Poll } from "./pace.ts";
import { beginOf, endOf, fromPosition } from "./position.ts";
import { Scans } from "./scans.ts";
import { StoredPlace } from "./stored-place.ts";

const KIND = "feed:";

export interface FollowedOptions {
  readonly feed: ModelFeed;
  /** The model, for messages. */
  readonly label: string;
  readonly poll: Poll;
  readonly log: Log;
}

/** A model by its history. */
export class FollowedModel implements ModelReader {
  readonly capture: Capture = { kind: "log" };
  heardAtMs: number | null = null;
  #feed: ModelFeed;
  readonly #label: string;
  readonly #poll: Poll;
  readonly #scans: Scans;
  readonly #forgetting: Forgetting;
  readonly #stored = new StoredPlace();
  /** As it was when it was opened. */
  #incarnation = "";

  constructor({ feed, label, poll, log }: FollowedOptions) {
    this.#feed = feed;
    this.#label = label;
    this.#poll = poll;
    this.#scans = new Scans(feed);
    this.#forgetting = new Forgetting(feed, label, log);
  }

  renew(reading: ModelFeed | ModelRows): boolean {
    if (reading.kind !== "feed") return false;
    this.#feed.pushed?.stop();
    this.#feed = reading;
    this.#scans.renew(reading);
    this.#forgetting.renew(reading);
    return true;
  }

  relation(signal: AbortSignal): Promise<Relation> {
    return this.#feed.relation(signal);
  }

  async plan(stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<readonly string[]> {
    await this.#prove(stored, signal);
    return (await this.#feed.plan?.(signal)) ?? [];
  }

  async open(stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint> {
    // First: what is made anew must not hide that it was gone.
    await this.#prove(stored, signal);
    await this.#feed.prepare?.(signal);
    this.#incarnation = await this.#feed.incarnation(signal);
    const [first] = stored.map(({ position }) => position).sort();
    const position = first ?? endOf(await this.#newest(signal));
    return { position, incarnation: KIND + this.#incarnation };
  }

  async #prove(stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<void> {
    for (const { position, incarnation } of stored) {
      if (!incarnation.startsWith(KIND))
        throw new TailraceError(
          "source.gap.feed",
          `${this.#label} was compared until now, and is followed by its history from now on`,
        );
      await this.#feed.prove(fromPosition(position), incarnation.slice(KIND.length), signal);
    }
  }

  async *read(after: Position, signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    const pace = new Pace(this.#poll, Date.now());
    let reached = after;
    try {
      for (let first = true; ; first = false) {
        signal.throwIfAborted();
        const upTo = await this.#newest(signal);
        const from = fromPosition(reached);
        if (upTo !== from.mark || from.side === "at") {
          // What is at this place now may be another table, or may have lost what is not read yet.
          await this.#feed.prove(from, this.#incarnation, signal);
          if (endOf(upTo) < reached) throw wentBack(this.#label);
          const goal = this.#goal(reached, upTo);
          if (goal.begin > reached) {
            yield { changes: [], end: goal.begin, bytes: 0 };
            await this.#stored.reached(goal.begin, signal);
            reached = goal.begin;
          }
          let changed = false;
          for await (const batch of this.#changes(reached, goal.mark, signal)) {
            changed ||= batch.changes.length > 0;
            yield batch;
          }
          if (changed) pace.changed(Date.now());
          reached = endOf(goal.mark);
          if (goal.mark !== upTo) continue;
          // Once in any case, so that whoever reads only up to now gets there.
        } else if (first) yield { changes: [], end: reached, bytes: 0 };
        await (this.#feed.pushed?.after(upTo, signal) ?? delay(pace.waitMs(Date.now()), undefined, { signal }));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#feed.pushed?.stop();
    }
  }

  /** How far to read in one go, and from where on; see {@link ModelFeed.firstBetween}. */
  #goal(reached: Position, upTo: Mark): { readonly mark: Mark; readonly begin: Position } {
    const { mark, side } = fromPosition(reached);
    if (this.#feed.firstBetween === undefined) return { mark: upTo, begin: reached };
    if (side === "at") return { mark, begin: reached };
    const first = this.#feed.firstBetween(mark, upTo);
    return first === null ? { mark: upTo, begin: reached } : { mark: first, begin: beginOf(first) };
  }

  async *#changes(after: Position, upTo: Mark, signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    const joiner = new Joiner(after);
    let told = after;
    for await (const page of this.#feed.changes(fromPosition(after), upTo, signal)) {
      this.heardAtMs = Date.now();
      const changes = joiner.take(page);
      const { end } = joiner;
      if (end === null || end === told) continue;
      told = end;
      yield { changes, end, bytes: page.bytes };
    }
    yield { changes: joiner.finish(upTo), end: endOf(upTo), bytes: 0 };
  }

  ack(stored: Position): void {
    this.#stored.note(stored);
    const { mark, side } = fromPosition(stored);
    if (side === "after") this.#forgetting.done(mark);
  }

  same(): boolean {
    return true;
  }

  async settle(signal: AbortSignal): Promise<void> {
    // What the reader has brought already is at or before this.
    this.#scans.newer(await this.#newest(signal));
  }

  async snapshot(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    const { mark, page } = await this.#scans.page(after, limit, signal);
    return this.#chunk(mark, page);
  }

  async *scan(
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    const mark = await this.#newest(signal);
    for await (const page of this.#feed.scanAt(mark, after, limit, signal)) yield this.#chunk(mark, page);
  }

  async lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    const mark = await this.#newest(signal);
    this.#scans.newer(mark);
    const page =
      keys.length > 0
        ? await this.#feed.lookupAt(mark, keys, signal)
        : { relation: await this.#feed.relation(signal), rows: [], next: null };
    this.#scans.newer(page.mark ?? mark);
    // An older chunk that was given out just now comes to its place first.
    await immediately();
    return this.#chunk(mark, page);
  }

  estimate(signal: AbortSignal): Promise<number | null> {
    return this.#feed.estimate(signal);
  }

  close(): void {
    this.#feed.pushed?.stop();
    this.#scans.close();
  }

  async #newest(signal: AbortSignal): Promise<Mark> {
    const mark = await this.#feed.newest(signal);
    this.heardAtMs = Date.now();
    return mark;
  }

  #chunk(asked: Mark, { relation, rows, next, mark = asked }: RowPage): SnapshotChunk {
    for (const row of rows) requireKey(row, relation);
    return { relation, rows, next, high: endOf(mark), sees: (transaction) => transaction <= mark };
  }
}

function wentBack(label: string): TailraceError {
  return new TailraceError(
    "source.gap.replaced",
    `the history of ${label} ends before what was read of it: it was restored, or is another one`,
  );
}
