import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { FeedPage, From, Mark, ModelFeed, Pushed, RowPage } from "../../kit/feed/model-feed.ts";
import { bytesOf, rowPages } from "../../kit/feed/row-pages.ts";
import { firstOf, markOf, timestampOf } from "./marks.ts";
import type { ModelPlace } from "./model-place.ts";
import { netChanges } from "./net-changes.ts";
import { close, cutBy, query, type Rows, type Sessions } from "./sessions.ts";
import { isCompacted } from "./source-error.ts";
import { anyOf, behind, declareRead, fetchRows, NOW, READ_COLUMNS, readRows } from "./statements.ts";
import { Subscription } from "./subscription.ts";
import { textOf } from "./types.ts";

const PAGE_ROWS = 1_000;

/** A model by SUBSCRIBE. A mark is a timestamp. */
export class SubscribedFeed implements ModelFeed {
  readonly kind = "feed";
  readonly pushed: Pushed;
  readonly #place: ModelPlace;
  readonly #sessions: Sessions;
  #open: Subscription | null = null;

  constructor(place: ModelPlace, sessions: Sessions) {
    this.#place = place;
    this.#sessions = sessions;
    this.pushed = { after: (mark, signal) => this.#after(mark, signal), stop: () => this.#stop() };
  }

  relation(signal: AbortSignal): Promise<Relation> {
    return this.#place.relation(signal);
  }

  incarnation(signal: AbortSignal): Promise<string> {
    return this.#place.incarnation(signal);
  }

  /** Listens before there is a first mark: history is kept for a second only, unless somebody asked for more. */
  async prepare(signal: AbortSignal): Promise<void> {
    this.#open ??= await this.#place.guard(signal, () =>
      Subscription.open(this.#sessions, this.#place.from, null, signal),
    );
  }

  /** What is committed before the call is at or before it; see `strict serializable`. */
  async newest(signal: AbortSignal): Promise<Mark> {
    const { rows } = await this.#place.guard(signal, () => this.#sessions.rows(NOW, signal));
    return markOf(BigInt(rows[0]![0]!));
  }

  async prove(from: From, incarnation: string, signal: AbortSignal): Promise<void> {
    const first = firstOf(from);
    // What is open ends with an error when its object is dropped.
    if (this.#open?.covers(first)) return;
    if ((await this.incarnation(signal)) !== incarnation) {
      const why = this.#place.model.kind === "query" ? "its SQL has changed" : "it was dropped and made again";
      throw new TailraceError("source.gap.replaced", `${this.#place.label} is another one than before: ${why}`);
    }
    await this.#subscribe(first, signal);
  }

  /** A mark is held in memory until it is complete: then what is net of it can be told. */
  async *changes(from: From, upTo: Mark, signal: AbortSignal): AsyncGenerator<FeedPage, void, undefined> {
    const last = timestampOf(upTo);
    let first = firstOf(from);
    if (first > last) return;
    const open = await this.#subscribe(first, signal);
    for (;;) {
      const moments = open.take(first, last);
      const relation = this.#place.relationOf(open.fields);
      for (const { timestamp, diffs } of moments) {
        first = timestamp + 1n;
        const rows = netChanges(markOf(timestamp), timestamp * 1_000n, diffs, relation);
        for (let at = 0; at < rows.length; at += PAGE_ROWS) {
          const some = rows.slice(at, at + PAGE_ROWS);
          yield { relation, rows: some, bytes: some.reduce((sum, { values }) => sum + bytesOf(values), 0) };
        }
      }
      if (open.isComplete(last)) return;
      await this.#pull(open, signal);
    }
  }

  scanAt(
    _mark: Mark,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<RowPage, void, undefined> {
    return this.scan(after, limit, signal);
  }

  lookupAt(_mark: Mark, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    return this.lookup(keys, signal);
  }

  /** As of when it is asked, which is not before any mark that was said before. */
  async *scan(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncGenerator<RowPage, void, undefined> {
    const relation = await this.relation(signal);
    const key = keyNames(relation);
    const where = after === null ? null : behind(key, after);
    const client = await this.#place.guard(signal, () => this.#sessions.connect(signal, true));
    const next = (): Promise<Rows> =>
      this.#place.guard(signal, () => cutBy(signal, client, () => query(client, fetchRows(PAGE_ROWS))));
    try {
      await this.#place.guard(signal, () =>
        cutBy(signal, client, async () => {
          await client.query("BEGIN");
          await client.query(declareRead(readRows(this.#place.from, where, key)));
        }),
      );
      // One row comes in any case.
      let page = await next();
      const asOf = markOf(BigInt(page.rows[0]![0]!));
      const fetched = async function* (): AsyncGenerator<readonly Values[]> {
        for (; page.rows.length > 0; page = await next()) yield valuesOf(page);
      };
      for await (const each of rowPages(fetched(), relation, limit)) yield { ...each, mark: asOf };
    } finally {
      await close(client);
    }
  }

  async lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const relation = await this.relation(signal);
    const sql = readRows(this.#place.from, anyOf(keyNames(relation), keys), []);
    const found = await this.#place.guard(signal, () => this.#sessions.rows(sql, signal));
    return { relation, rows: valuesOf(found), next: null, mark: markOf(BigInt(found.rows[0]![0]!)) };
  }

  /** To count is to read. */
  estimate(): Promise<number | null> {
    return Promise.resolve(null);
  }

  async #after(mark: Mark, signal: AbortSignal): Promise<void> {
    const read = timestampOf(mark);
    const open = await this.#subscribe(read + 1n, signal);
    while (!open.isComplete(read + 1n)) await this.#pull(open, signal);
  }

  #stop(): void {
    this.#open?.close();
    this.#open = null;
  }

  /** One from which everything from `first` on comes. */
  async #subscribe(first: bigint, signal: AbortSignal): Promise<Subscription> {
    if (this.#open?.covers(first)) return this.#open;
    this.#stop();
    try {
      // What is at AS OF does not come: it is what was read last.
      this.#open = await Subscription.open(this.#sessions, this.#place.from, first - 1n, signal);
      return this.#open;
    } catch (error) {
      if (isCompacted(error)) throw this.#compacted(first);
      throw this.#place.error(error, signal);
    }
  }

  async #pull(open: Subscription, signal: AbortSignal): Promise<void> {
    try {
      await open.pull(signal);
    } catch (error) {
      this.#stop();
      throw this.#place.error(error, signal);
    }
  }

  #compacted(first: bigint): TailraceError {
    return new TailraceError(
      "source.gap.purged",
      `the history of ${this.#place.label} from ${first} on is compacted away. Let it be kept for longer than Tailrace may stand still, of the object and of what it is made of: ALTER MATERIALIZED VIEW … SET (RETAIN HISTORY FOR '1hr')`,
    );
  }
}

function keyNames({ columns, key }: Relation): string[] {
  return key.map((place) => columns[place]!.name);
}

function valuesOf({ fields, rows }: Rows): Values[] {
  return rows
    .filter(([, found]) => found !== null)
    .map((row) => row.slice(READ_COLUMNS).map((value, place) => textOf(value, fields[place + READ_COLUMNS]!)));
}
