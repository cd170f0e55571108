import { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { FeedPage, FeedRow, From, Mark, ModelFeed, RowPage } from "../../kit/feed/model-feed.ts";
import { bytesOf } from "../../kit/feed/row-pages.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { columnsOf, type DeltaTable } from "./delta-table.ts";
import { enableFeed, Refusal, SCHEMA_CHANGE } from "./errors.ts";
import { type ModelShape, shapeOf, valuesOf } from "./model-shape.ts";
import { selectByKeys, selectRows } from "./select-rows.ts";
import type { Row, Session } from "./session.ts";
import { changesOf, changesSql, tableAt } from "./statements.ts";

/** What the feed adds to a table's columns. */
const FEED_COLUMNS: ReadonlySet<string> = new Set(["_change_type", "_commit_version", "_commit_timestamp"]);
const OLD: ReadonlySet<unknown> = new Set(["delete", "update_preimage"]);
const MARK_DIGITS = 19;

export interface TableFeedOptions {
  readonly session: Session;
  readonly table: DeltaTable;
  readonly model: TableModel;
  readonly versions: RelationVersions;
}

/** A Delta table by its change data feed. A mark is a version of the table. */
export class TableFeed implements ModelFeed {
  readonly kind = "feed";
  readonly #session: Session;
  readonly #table: DeltaTable;
  readonly #model: TableModel;
  readonly #versions: RelationVersions;
  #key: readonly string[] | null;

  constructor({ session, table, model, versions }: TableFeedOptions) {
    this.#session = session;
    this.#table = table;
    this.#model = model;
    this.#versions = versions;
    this.#key = model.key;
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    return this.#guard(signal, async () => (await this.#shape(this.#table.name, signal)).relation);
  }

  async incarnation(signal: AbortSignal): Promise<string> {
    return String((await this.#table.identity(signal)).id);
  }

  async newest(signal: AbortSignal): Promise<Mark> {
    return markOf(await this.#table.newest(signal));
  }

  async prove(from: From, incarnation: string, signal: AbortSignal): Promise<void> {
    const { label, name } = this.#table;
    const { id, feed } = await this.#table.identity(signal);
    if (id !== incarnation)
      throw new TailraceError(
        "source.gap.replaced",
        `${label} is another table than before: it was dropped and made again`,
      );
    if (feed === null)
      throw new TailraceError(
        "source.gap.feed",
        `the change data feed of ${label} was turned off. ${enableFeed(name)}`,
      );
    const first = firstOf(from);
    const oldest = await this.#oldestFrom(first, signal);
    if (oldest <= first) return;
    throw new TailraceError(
      "source.gap.purged",
      `the history of ${label} begins with version ${oldest}, after version ${first}, which is not read yet. Let the log be kept for longer than Tailrace may stand still: ALTER TABLE ${name} SET TBLPROPERTIES (delta.logRetentionDuration = 'interval 30 days')`,
    );
  }

  /** The oldest version in the log, or one that is not after `first`. */
  async #oldestFrom(first: bigint, signal: AbortSignal): Promise<bigint> {
    for (let limit = 1n; ;) {
      const versions = await this.#table.history(limit, signal);
      const oldest = versions.at(-1);
      if (oldest === undefined) return first;
      if (oldest <= first || BigInt(versions.length) < limit) return oldest;
      // Others commit meanwhile.
      limit = versions[0]! - first + 2n;
    }
  }

  async *changes(from: From, upTo: Mark, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const first = firstOf(from);
    const last = versionOf(upTo);
    if (first <= last) yield* this.#between(first, last, signal);
  }

  /** A range over a change of columns that cannot be read at once is read in halves, down to single versions. */
  async *#between(first: bigint, last: bigint, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    let begun = false;
    try {
      const from = changesOf(this.#table.name, first, last);
      const shape = await this.#shape(from, signal);
      for await (const rows of this.#session.pages(changesSql(from, shape), signal)) {
        begun = true;
        yield pageOf(rows, shape);
      }
    } catch (error) {
      const splits = !begun && first < last && error instanceof Refusal && error.is(SCHEMA_CHANGE);
      if (!splits) throw this.#table.error(error, signal);
      const middle = (first + last) / 2n;
      yield* this.#between(first, middle, signal);
      yield* this.#between(middle + 1n, last, signal);
    }
  }

  async *scanAt(
    mark: Mark,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<RowPage, void, undefined> {
    const from = tableAt(this.#table.name, versionOf(mark));
    try {
      yield* selectRows(this.#session, from, await this.#shape(from, signal), after, limit, signal);
    } catch (error) {
      throw this.#table.error(error, signal);
    }
  }

  async lookupAt(mark: Mark, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const from = tableAt(this.#table.name, versionOf(mark));
    return this.#guard(signal, async () =>
      selectByKeys(this.#session, from, await this.#shape(from, signal), keys, signal),
    );
  }

  async estimate(signal: AbortSignal): Promise<number | null> {
    const [row] = await this.#table.rows(`SELECT CAST(count(*) AS STRING) AS n FROM ${this.#table.name}`, signal);
    return Number(row?.["n"]);
  }

  /** The statement that reads the changes of the newest version. */
  async example(signal: AbortSignal): Promise<string> {
    const version = versionOf(await this.newest(signal));
    const from = changesOf(this.#table.name, version, version);
    return this.#guard(signal, async () => changesSql(from, await this.#shape(from, signal)));
  }

  /** Of a FROM over the table. */
  async #shape(from: string, signal: AbortSignal): Promise<ModelShape> {
    this.#key ??= await this.#table.primaryKey(signal);
    const { label } = this.#table;
    if (this.#key.length === 0)
      throw new TailraceError("source.model", `${label} has no primary key; give the model \`key\``);
    const columns = (await columnsOf(this.#session, from, signal)).filter(({ name }) => !FEED_COLUMNS.has(name));
    const { namespace, name } = this.#model.table;
    const shape = shapeOf({ id: this.#table.name, namespace: namespace ?? "", name, label }, columns, this.#key);
    return { ...shape, relation: this.#versions.intern(shape.relation) };
  }

  async #guard<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#table.error(error, signal);
    }
  }
}

function pageOf(rows: readonly Row[], shape: ModelShape): FeedPage {
  let bytes = 0;
  const images = rows.map((row): FeedRow => {
    const values = valuesOf(row, shape);
    bytes += bytesOf(values);
    return {
      mark: markOf(BigInt(row["v"] as string)),
      committedAt: BigInt(row["us"] as string),
      image: OLD.has(row["op"]) ? "old" : "new",
      values,
      row: null,
    };
  });
  return { relation: shape.relation, rows: images, bytes };
}

function markOf(version: bigint): Mark {
  return version.toString().padStart(MARK_DIGITS, "0");
}

function versionOf(mark: Mark): bigint {
  return BigInt(mark);
}

function firstOf({ mark, side }: From): bigint {
  return versionOf(mark) + (side === "after" ? 1n : 0n);
}
