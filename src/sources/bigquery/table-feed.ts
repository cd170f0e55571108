import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { FeedPage, FeedRow, From, Mark, ModelFeed, RowPage } from "../../kit/feed/model-feed.ts";
import type { Clock } from "./clock.ts";
import { asSourceError, Refusal } from "./errors.ts";
import type { JobOptions, Jobs, ResultPage } from "./jobs.ts";
import type { TablePlace } from "./names.ts";
import { cursorParameters, keyParameter, within } from "./row-pages.ts";
import { changesSql, DAY_US, type History, keepHistory, lookupSql, rowsSql, tableAt } from "./statements.ts";
import { type Described, nameOf, type TableMetadata, type Tables } from "./tables.ts";
import type { TableWatch } from "./table-watch.ts";

export interface TableFeedOptions {
  readonly model: TableModel;
  readonly place: TablePlace;
  readonly history: History;
  readonly tables: Tables;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly watch: TableWatch;
  readonly timeTravelUs: bigint;
  /** Whether its change history is kept, as things are now. */
  readonly keepsHistory: (signal: AbortSignal) => Promise<boolean>;
}

/** A table by its change history. A mark is when changes were committed, in µs: 16 digits. */
export class TableFeed implements ModelFeed {
  readonly kind = "feed";
  readonly #options: TableFeedOptions;
  /** For messages. */
  readonly #label: string;

  constructor(options: TableFeedOptions) {
    this.#options = options;
    this.#label = `model \`${options.model.name}\`: ${nameOf(options.place)}`;
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    return this.#described(await this.#metadata(signal)).relation;
  }

  async incarnation(signal: AbortSignal): Promise<string> {
    return this.#incarnationOf(await this.#metadata(signal));
  }

  async newest(signal: AbortSignal): Promise<Mark> {
    return markOf(await this.#options.watch.newest(signal));
  }

  async prove({ mark, side }: From, incarnation: string, signal: AbortSignal): Promise<void> {
    const { clock, timeTravelUs, history } = this.#options;
    const table = await this.#metadata(signal);
    const name = this.#label;
    if (!incarnation.startsWith(`${history}:`))
      throw new TailraceError("source.gap.feed", `${name} was followed by another function than ${history} until now`);
    if (incarnation !== this.#incarnationOf(table))
      throw new TailraceError("source.gap.replaced", `${name} was made anew, with a history of its own`);
    const from = BigInt(mark) + (side === "after" ? 1n : 0n);
    const now = clock.atLeast ?? (await clock.now(table.location, signal));
    if (from < now - timeTravelUs)
      throw new TailraceError(
        "source.gap.purged",
        `${name}: its changes are kept for ${timeTravelUs / HOUR_US} hours (the dataset's \`max_time_travel_hours\`), and what was read last is older`,
      );
  }

  async *changes({ mark, side }: From, upTo: Mark, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const end = BigInt(upTo) + 1n;
    for (let start = BigInt(mark) + (side === "after" ? 1n : 0n); start < end; start += DAY_US)
      yield* this.#window(start, start + DAY_US < end ? start + DAY_US : end, signal);
  }

  async *scanAt(
    mark: Mark,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<RowPage, void, undefined> {
    const table = await this.#metadata(signal);
    const { relation, shape } = this.#described(table);
    const sql = rowsSql(tableAt(this.#options.place, BigInt(mark)), shape, after !== null);
    const pages = this.#pages(sql, { location: table.location, parameters: cursorParameters(after) }, signal);
    yield* within(pages, relation, limit);
  }

  async lookupAt(mark: Mark, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const table = await this.#metadata(signal);
    const { relation, shape } = this.#described(table);
    const sql = lookupSql(tableAt(this.#options.place, BigInt(mark)), shape);
    const rows = [];
    for await (const page of this.#pages(
      sql,
      { location: table.location, parameters: { keys: keyParameter(keys) } },
      signal,
    ))
      rows.push(...page.rows);
    return { relation, rows, next: null };
  }

  async estimate(signal: AbortSignal): Promise<number | null> {
    const { numRows } = await this.#metadata(signal);
    return numRows === undefined ? null : Number(numRows);
  }

  async *#window(start: bigint, end: bigint, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const { jobs, place, history } = this.#options;
    for (let tried = ""; ;) {
      const table = await this.#metadata(signal);
      const described = this.#described(table);
      const sql = changesSql(history, place, described.shape, start, end);
      let isRead = false;
      try {
        for await (const page of jobs.pages(sql, signal, { location: table.location })) {
          isRead = true;
          if (page.rows.length > 0)
            yield { relation: described.relation, rows: page.rows.map(imageOf), bytes: page.bytes };
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        const isRefused = !isRead && error instanceof Refusal && INVALID.has(error.reason);
        if (!isRefused) throw this.#failure(error);
        // A column may have gone between the two requests.
        if (tried === sql) throw await this.#refused(error, sql, start, signal);
        tried = sql;
      }
    }
  }

  /** BigQuery says in words only why it does not tell the changes of a window; what can be asked is asked. */
  async #refused(error: Refusal, sql: string, start: bigint, signal: AbortSignal): Promise<TailraceError> {
    const { place, clock, timeTravelUs, history, keepsHistory } = this.#options;
    const name = this.#label;
    const gap = (code: "feed" | "purged" | "unreadable", why: string): TailraceError =>
      new TailraceError(`source.gap.${code}`, `${name}: ${why}`);
    if (/transaction/i.test(error.text))
      return gap(
        "unreadable",
        "a multi-statement transaction (BEGIN TRANSACTION … COMMIT) changed it, and BigQuery does not tell the changes of a window with one in it",
      );
    if (history === "CHANGES" && !(await keepsHistory(signal)))
      return gap("feed", `its change history was turned off. ${keepHistory(place)}`);
    const { location } = await this.#metadata(signal);
    if (start < (await clock.now(location, signal)) - timeTravelUs)
      return gap("purged", "the changes after what was read last are not kept any more");
    if (/change history|enable_change_history/i.test(error.text))
      return gap("feed", `its change history was off for a while. ${keepHistory(place)}`);
    if (/upsert|change data capture|\bCDC\b/i.test(error.text))
      return gap(
        "unreadable",
        "rows were upserted into it by the Storage Write API, which its change history does not tell",
      );
    const said = await this.#whyNot(sql, signal);
    if (/^(syntax error|unrecognized name|function not found|no matching signature)/i.test(said ?? ""))
      return new TailraceError("source.model", `${name}: ${said}`);
    return gap("unreadable", `BigQuery does not tell the changes of a window of time: ${said ?? error.reason}`);
  }

  /** A dry run reads no rows, so there is none in what it says; null: it has nothing against it. */
  async #whyNot(sql: string, signal: AbortSignal): Promise<string | null> {
    try {
      await this.#options.jobs.dryRun(sql, signal);
      return null;
    } catch (error) {
      if (error instanceof Refusal) return error.text.slice(0, 500);
      throw error;
    }
  }

  async *#pages(sql: string, options: JobOptions, signal: AbortSignal): AsyncGenerator<ResultPage, void, undefined> {
    try {
      yield* this.#options.jobs.pages(sql, signal, options);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): TailraceError {
    // Results that were fetched too late are gone; the same query gives them again.
    if (error instanceof Refusal && error.reason === "notFound" && /job/i.test(error.text))
      return new TailraceError("source.unreachable", "a query's results are not kept any more; it is run again");
    return asSourceError(error, this.#label);
  }

  #metadata(signal: AbortSignal): Promise<TableMetadata> {
    return this.#options.tables.metadata(this.#options.place, signal);
  }

  #described(table: TableMetadata): Described {
    const { tables, model, place, history } = this.#options;
    return tables.describe(model, table.schema?.fields ?? [], {
      place,
      primaryKey: table.tableConstraints?.primaryKey?.columns,
      oldRows: history === "CHANGES" ? "full" : "key",
    });
  }

  #incarnationOf({ creationTime }: TableMetadata): string {
    return `${this.#options.history}:${creationTime}`;
  }
}

const HOUR_US = 3_600_000_000n;
/** The statement is ours: what is wrong with it is the window or the table. */
const INVALID: ReadonlySet<string> = new Set(["invalid", "invalidQuery"]);

function markOf(us: bigint): Mark {
  return us.toString().padStart(16, "0");
}

function imageOf([at, image, ...values]: readonly (string | null)[]): FeedRow {
  const committedAt = BigInt(at!);
  return { mark: markOf(committedAt), committedAt, image: image === "0" ? "old" : "new", values, row: null };
}
