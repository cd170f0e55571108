// A model by a stream on its table, view or dynamic table. Every batch that is read from the stream lies in our outbox until it is delivered.
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { FeedPage, From, Mark, ModelFeed, RowPage } from "../../kit/feed/model-feed.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import type { Shape } from "./change-pages.ts";
import { relationOf } from "./described.ts";
import { digitsOf } from "./marks.ts";
import { ModelReader } from "./model-reader.ts";
import { staleGap } from "./gaps.ts";
import { kindWord, streamFacts, streamHasData, type TableFacts, tableFacts } from "./metadata.ts";
import { Pins } from "./pins.ts";
import { type FeedNames, nameText, type ObjectName, sqlName } from "./names.ts";
import { batchesSql, columnsIn, type FeedState, nextBatchSql, prepareStatements, valuesIn } from "./outbox.ts";
import type { SnowflakeSession, TextRow } from "./session.ts";
import { pagesOf, type Taken, takenIn } from "./taken.ts";
import { Turns } from "./turns.ts";

export interface StreamFeedOptions {
  readonly session: SnowflakeSession;
  /**
   * For the block alone: whatever runs beside it in its session is in its transaction, and some statements would end that.
   */
  readonly writer: SnowflakeSession;
  readonly versions: RelationVersions;
  readonly model: Model;
  readonly source: ObjectName;
  readonly names: FeedNames;
  /** Says on what is made whose it is. */
  readonly owner: string;
}

export class StreamFeed implements ModelFeed {
  readonly kind = "feed";
  readonly #options: StreamFeedOptions;
  /** Reading the stream, and whatever means the place where it is. */
  readonly #turns = new Turns();
  readonly #reader: ModelReader;
  #incarnation: string | null = null;
  #state: FeedState | null = null;
  #taken: Taken | null = null;
  /** Of our feed's table, as of when its state was read; null: as of the next look. */
  #token: string | null = null;
  /** Done with, and to be deleted with the next batch. */
  #forget = 0;
  readonly #pins: Pins;

  constructor(options: StreamFeedOptions) {
    this.#options = options;
    this.#reader = new ModelReader({ ...options, table: options.source });
    this.#pins = new Pins(options.session, options.names);
  }

  /** What is known may be so no more: the connection was lost, or a sync begins. */
  renew(): void {
    this.#reader.renew();
    this.#incarnation = null;
    this.#state = null;
    this.#taken = null;
    this.#token = null;
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    return (await this.#reader.described(signal)).relation;
  }

  async plan(signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#isThere(signal)) ? [] : this.#statements(await this.#facts(signal), Date.now());
  }

  async prepare(signal: AbortSignal): Promise<void> {
    if (await this.#isThere(signal)) return this.#pins.dropLeftOver(this.#reader.with(signal));
    for (const sql of this.#statements(await this.#facts(signal), Date.now()))
      await this.#options.session.rows(sql, this.#reader.with(signal));
    this.renew();
  }

  #statements(facts: TableFacts, nowMs: number): string[] {
    const { names, source, owner } = this.#options;
    return prepareStatements(names, source, kindWord(facts), nowMs, owner);
  }

  async #isThere(signal: AbortSignal): Promise<boolean> {
    const stream = await streamFacts(this.#options.session, this.#options.names.stream, this.#reader.with(signal));
    return stream !== null && !stream.stale;
  }

  async #facts(signal: AbortSignal): Promise<TableFacts> {
    const facts = await tableFacts(this.#options.session, this.#options.source, this.#reader.with(signal));
    if (facts !== null) return facts;
    throw new TailraceError(
      "source.model",
      `${this.#reader.what}: there is no ${sqlName(this.#options.source)}, or we may not read it`,
    );
  }

  async incarnation(signal: AbortSignal): Promise<string> {
    if (this.#incarnation === null) {
      const facts = await this.#facts(signal);
      const stream = await streamFacts(this.#options.session, this.#options.names.stream, this.#reader.with(signal));
      if (stream === null) throw new TailraceError("source.gap.replaced", `the stream of ${this.#reader.what} is gone`);
      if (stream.stale) throw staleGap(this.#reader.what, sqlName(this.#options.source), stream, facts);
      this.#incarnation = ["stream", stream.createdOn, facts.createdOn].join("|");
    }
    return this.#incarnation;
  }

  async prove({ mark, side }: From, incarnation: string, signal: AbortSignal): Promise<void> {
    const [kind, stream, source] = incarnation.split("|");
    if (kind !== "stream")
      throw new TailraceError(
        "source.gap.feed",
        `${this.#reader.what} was read by CHANGES until now, and by a stream from now on`,
      );
    const [, streamNow, sourceNow] = (await this.incarnation(signal)).split("|");
    const replaced =
      source === sourceNow ? (stream === streamNow ? null : "its stream") : sqlName(this.#options.source);
    if (replaced !== null)
      throw new TailraceError(
        "source.gap.replaced",
        `${this.#reader.what}: ${replaced} was made anew since it was last read`,
      );
    const { batch, forgotten } = await this.#turns.run(() => this.#known(signal));
    const from = Number(mark);
    if (from > batch)
      throw new TailraceError(
        "source.gap.replaced",
        `${this.#reader.what}: its outbox ends before what was read of it`,
      );
    if (side === "after" ? forgotten > from : forgotten >= from)
      throw new TailraceError(
        "source.gap.purged",
        `${this.#reader.what}: its outbox does not have all that came after what was read`,
      );
  }

  /** Asks Snowflake's metadata; only where the stream has something, one statement takes the warehouse. */
  newest(signal: AbortSignal): Promise<Mark> {
    return this.#turns.run(async () => {
      await this.#known(signal);
      const { has, nowMs, token } = await this.#poll(signal);
      // Somebody else took a batch: a process that was killed, whose statement was still on its way.
      if (this.#token !== null && token !== this.#token) this.#state = null;
      const state = await this.#known(signal);
      this.#token ??= token;
      if (has) await this.#orGap(signal, () => this.#take(state, nowMs, signal));
      return digitsOf(this.#state!.batch);
    });
  }

  #poll(signal: AbortSignal) {
    const { session, names } = this.#options;
    return this.#orGap(signal, () => streamHasData(session, names.stream, names.feed, this.#reader.with(signal)));
  }

  async #known(signal: AbortSignal): Promise<FeedState> {
    if (this.#state === null) {
      const { names, session } = this.#options;
      // Before the state is read, so that what is written after it is noticed.
      const { token } = await this.#poll(signal);
      // Nothing is after this: the state alone.
      const reply = await session.run(batchesSql(names, Number.MAX_SAFE_INTEGER, null), this.#reader.with(signal));
      this.#state = (await takenIn(reply, this.#reader.what)).state;
      this.#token = token;
    }
    return this.#state;
  }

  async #take(state: FeedState, nowMs: number, signal: AbortSignal): Promise<void> {
    const { writer, names } = this.#options;
    const described = await this.#reader.describeAgain(signal);
    const after = this.#taken?.after ?? state.batch;
    const forget = Math.max(state.forgotten, Math.min(this.#forget, after));
    const batch = Math.max(state.batch + 1, nowMs);
    const sql = nextBatchSql({ names, described, state, batch, forget, after });
    const reply = await writer.run(sql, this.#reader.with(signal));
    const { state: next, ...rows } = await takenIn(reply, this.#reader.what);
    this.#state = next;
    this.#taken = { after, upTo: next.batch, ...rows };
    // Ours. What others have on their way does nothing after it.
    this.#token = null;
  }

  /** A stream that cannot be read may be stale, or its table may be another one: its metadata say so, whatever the error is. */
  async #orGap<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const failure = TailraceError.from(error);
      if (failure.code === "source.unreachable") throw failure;
      const was = this.#incarnation;
      this.#incarnation = null;
      const now = await this.incarnation(signal);
      if (was !== null && was !== now)
        throw new TailraceError(
          "source.gap.replaced",
          `${this.#reader.what}: ${sqlName(this.#options.source)} was made anew`,
        );
      throw failure;
    }
  }

  async *changes(from: From, upTo: Mark, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const after = Number(from.mark) - (from.side === "at" ? 1 : 0);
    const taken = await this.#turns.run(() => this.#takenFor(after, Number(upTo), signal));
    const { relation } = await this.#reader.described(signal);
    const key = relation.key.map((place) => relation.columns[place]!.name);
    yield* pagesOf(taken, (row) => this.#shapeOf(row, key), signal);
  }

  async #takenFor(after: number, upTo: number, signal: AbortSignal): Promise<Taken> {
    const taken = this.#taken;
    this.#taken = null;
    if (taken !== null && taken.after === after && taken.upTo === upTo) return taken;
    // Another place than where the last batch began: it lies in the outbox.
    const { session, names } = this.#options;
    const reply = await session.run(batchesSql(names, after, upTo), this.#reader.with(signal));
    const { state, ...rows } = await takenIn(reply, this.#reader.what);
    if (state.forgotten > after)
      throw new TailraceError(
        "source.gap.purged",
        `${this.#reader.what}: its outbox does not have all that came after what was read`,
      );
    return { after, upTo, ...rows };
  }

  #shapeOf(row: TextRow, key: readonly string[]): Shape {
    const { versions, model, source } = this.#options;
    const columns = columnsIn(row[3]!);
    const places = key.map((name) => columns.findIndex((column) => column.name === name));
    const relation = relationOf(versions, columns, places, model, source);
    return { relation, values: (each: TextRow) => valuesIn(each[3]!, columns.length) };
  }

  async *scanAt(
    _mark: Mark,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<RowPage, void, undefined> {
    const { source } = this.#options;
    const on = `${kindWord(await this.#facts(signal))} ${sqlName(source)}`;
    const { pin, mark } = await this.#turns.run(async () => ({
      pin: await this.#pins.make(on, this.#reader.with(signal)),
      mark: digitsOf((await this.#known(signal)).batch),
    }));
    try {
      const pages = this.#reader.scan(` AT(STREAM => ${nameText(pin)})`, after, limit, signal);
      for await (const page of pages) yield { ...page, mark };
    } finally {
      await this.#pins.drop(pin, this.#reader.what);
    }
  }

  async lookupAt(_mark: Mark, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const { names } = this.#options;
    return this.#turns.run(async () => {
      const page = await this.#reader.lookup(` AT(STREAM => ${nameText(names.stream)})`, keys, signal);
      return { ...page, mark: digitsOf((await this.#known(signal)).batch) };
    });
  }

  async estimate(signal: AbortSignal): Promise<number | null> {
    return (await this.#facts(signal)).rows;
  }

  forget(mark: Mark): Promise<void> {
    this.#forget = Math.max(this.#forget, Number(mark));
    return Promise.resolve();
  }
}
