// A model by CHANGES: read only, at times of our own. A time is used when it has passed for a while, so that no commit can still come that has it:
// CHANGES is exact to the millisecond, and two commits of one millisecond cannot be told apart.
import { setTimeout as delay } from "node:timers/promises";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { FeedPage, From, Mark, ModelFeed, RowPage } from "../../kit/feed/model-feed.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { ChangePages } from "./change-pages.ts";
import { keySql, orderedChanges } from "./changes-sql.ts";
import { textSql } from "./columns.ts";
import { microseconds, timestampSql, type Window, windowMark, windowOf } from "./marks.ts";
import { ModelReader } from "./model-reader.ts";
import { lastChange, type TableFacts, tableFacts } from "./metadata.ts";
import { type ObjectName, sqlName } from "./names.ts";
import type { SnowflakeSession } from "./session.ts";
import { Turns } from "./turns.ts";

export interface ChangesFeedOptions {
  readonly session: SnowflakeSession;
  readonly versions: RelationVersions;
  readonly model: Model;
  readonly source: ObjectName;
  readonly settleMs: number;
}

const DAY_MS = 86_400_000;
/** So long after the last change the time that is read up to moves on without one: Time Travel does not keep it for ever. */
const QUIET_MS = 3_600_000;
/** By how much the clock of a commit may be ahead of the one that we are told. */
const AHEAD_MS = 250;

export class ChangesFeed implements ModelFeed {
  readonly kind = "feed";
  readonly #options: ChangesFeedOptions;
  readonly #turns = new Turns();
  readonly #reader: ModelReader;
  #facts: TableFacts | null = null;
  /** Every window begins where the one before ended. */
  #upTo = 0;
  #mark: Mark | null = null;
  #token: string | null = null;
  /** In this time nothing changed. */
  #quiet: Window = { from: 0, upTo: 0 };

  constructor(options: ChangesFeedOptions) {
    this.#options = options;
    this.#reader = new ModelReader({ ...options, table: options.source });
  }

  renew(): void {
    this.#reader.renew();
    this.#facts = null;
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    return (await this.#reader.described(signal)).relation;
  }

  async incarnation(signal: AbortSignal): Promise<string> {
    return `changes|${(await this.#known(signal)).createdOn}`;
  }

  async prove({ mark, side }: From, incarnation: string, signal: AbortSignal): Promise<void> {
    const { source } = this.#options;
    const [kind, createdOn] = incarnation.split("|");
    if (kind !== "changes")
      throw new TailraceError(
        "source.gap.feed",
        `${this.#reader.what} was read by a stream until now, and by CHANGES from now on`,
      );
    this.#facts = null;
    const facts = await this.#known(signal);
    if (facts.createdOn !== createdOn)
      throw new TailraceError(
        "source.gap.replaced",
        `${this.#reader.what}: ${sqlName(source)} was made anew since it was last read`,
      );
    if (!facts.tracked)
      throw new TailraceError(
        "source.gap.feed",
        `${this.#reader.what}: its changes are not tracked any more: ALTER ${facts.kind === "view" ? "VIEW" : "TABLE"} ${sqlName(source)} SET CHANGE_TRACKING = TRUE`,
      );
    const { upTo, from } = windowOf(mark);
    const needed = side === "at" ? from : upTo;
    if (facts.retentionDays !== null && needed < Date.now() - facts.retentionDays * DAY_MS)
      throw new TailraceError(
        "source.gap.purged",
        `${this.#reader.what}: what changed is kept for ${facts.retentionDays} days, and was last read before that`,
      );
    this.#upTo = Math.max(this.#upTo, upTo);
  }

  /** Asks Snowflake's metadata, and waits until the time of a change has passed. */
  newest(signal: AbortSignal): Promise<Mark> {
    return this.#turns.run(async () => {
      const { session, source, settleMs } = this.#options;
      const { token, nowMs } = await lastChange(session, [source], this.#reader.with(signal));
      if (token !== this.#token || this.#mark === null) {
        await delay(AHEAD_MS + settleMs, undefined, { signal });
        this.#moveTo(Math.max(nowMs + AHEAD_MS, this.#upTo));
        this.#token = token;
      } else if (nowMs - this.#upTo > QUIET_MS) {
        const { upTo } = this.#quiet;
        this.#quiet = { from: upTo === this.#upTo ? this.#quiet.from : this.#upTo, upTo: nowMs - AHEAD_MS - settleMs };
        this.#moveTo(this.#quiet.upTo);
      }
      return this.#mark!;
    });
  }

  #moveTo(upTo: number): void {
    this.#mark = windowMark(this.#upTo === 0 ? upTo : this.#upTo, upTo);
    this.#upTo = upTo;
  }

  async *changes(from: From, upTo: Mark, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    for (const window of this.#windows(from, upTo)) yield* this.#window(window.from, window.upTo, signal);
  }

  /** A window is the same on a replay only where its mark was kept: its end is when we looked. */
  firstBetween(after: Mark, upTo: Mark): Mark | null {
    const [first] = this.#windows({ mark: after, side: "after" }, upTo);
    return first === undefined ? null : windowMark(first.from, first.upTo);
  }

  #windows(from: From, upTo: Mark): Window[] {
    return windowsOf(from, upTo).filter((window) => window.from < this.#quiet.from || window.upTo > this.#quiet.upTo);
  }

  async *#window(from: number, upTo: number, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const { session } = this.#options;
    const described = await this.#reader.describeAgain(signal);
    const { columns, relation } = described;
    const names = columns.map((_column, place) => `C${place}`);
    const texts = columns.map((column, place) => `${textSql(column)} AS C${place}`).join(", ");
    const inner = `SELECT 0 AS MARK, METADATA$ACTION AS ACTION, METADATA$ROW_ID AS ROW_ID, ${keySql(described)} AS ROW_KEY, ${texts} FROM ${described.from} CHANGES(INFORMATION => DEFAULT) AT(TIMESTAMP => ${timestampSql(from)}) END(TIMESTAMP => ${timestampSql(upTo)})`;
    const reply = await session.run(orderedChanges(inner, names), this.#reader.with(signal));
    const pages = new ChangePages({ relation, values: (row) => row.slice(3) });
    const mark = windowMark(from, upTo);
    for await (const rows of reply.pages(signal))
      for (const row of rows) {
        const page = pages.add(row, mark, microseconds(upTo));
        if (page !== null) yield page;
      }
    const last = pages.take();
    if (last !== null) yield last;
  }

  scanAt(mark: Mark, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<RowPage> {
    return this.#reader.scan(at(mark), after, limit, signal);
  }

  lookupAt(mark: Mark, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    return this.#reader.lookup(at(mark), keys, signal);
  }

  async estimate(signal: AbortSignal): Promise<number | null> {
    return (await this.#known(signal)).rows;
  }

  async #known(signal: AbortSignal): Promise<TableFacts> {
    this.#facts ??= await tableFacts(this.#options.session, this.#options.source, this.#reader.with(signal));
    if (this.#facts !== null) return this.#facts;
    throw new TailraceError(
      "source.model",
      `${this.#reader.what}: there is no ${sqlName(this.#options.source)}, or we may not read it`,
    );
  }
}

function at(mark: Mark): string {
  return ` AT(TIMESTAMP => ${timestampSql(windowOf(mark).upTo)})`;
}

/**
 * A window that was left off comes again as it was. Whoever is further back than the last window began reads up to there first. None is
 * empty.
 */
function windowsOf(from: From, upTo: Mark): Window[] {
  const left = windowOf(from.mark);
  const last = windowOf(upTo);
  const windows = from.side === "at" ? [left] : [];
  if (upTo !== from.mark) {
    if (left.upTo < last.from) windows.push({ from: left.upTo, upTo: last.from });
    windows.push({ from: Math.max(left.upTo, last.from), upTo: last.upTo });
  }
  return windows.filter((window) => window.from < window.upTo);
}
