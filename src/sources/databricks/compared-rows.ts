import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { ModelRows, RowPage } from "../../kit/feed/model-feed.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { columnsOf } from "./delta-table.ts";
import { asSourceError } from "./errors.ts";
import { type ModelShape, type Naming, shapeOf } from "./model-shape.ts";
import { selectByKeys, selectRows } from "./select-rows.ts";
import type { Session } from "./session.ts";
import { rowsSql } from "./statements.ts";

export interface ComparedRowsOptions {
  readonly session: Session;
  /** What stands in FROM. */
  readonly from: string;
  readonly naming: Naming;
  readonly key: (signal: AbortSignal) => Promise<readonly string[]>;
  readonly versions: RelationVersions;
  readonly because: readonly string[];
  readonly timeDependent: boolean;
  readonly state: ((signal: AbortSignal) => Promise<string>) | null;
}

/** A query, a view, or a table without a feed. */
export class ComparedRows implements ModelRows {
  readonly kind = "rows";
  readonly because: readonly string[];
  readonly timeDependent: boolean;
  readonly state: ((signal: AbortSignal) => Promise<string>) | null;
  readonly #options: ComparedRowsOptions;

  constructor(options: ComparedRowsOptions) {
    this.#options = options;
    this.because = options.because;
    this.timeDependent = options.timeDependent;
    this.state = options.state;
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    try {
      return (await this.#shape(signal)).relation;
    } catch (error) {
      throw this.#error(error, signal);
    }
  }

  async *scan(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncGenerator<RowPage, void, undefined> {
    const { session, from } = this.#options;
    try {
      yield* selectRows(session, from, await this.#shape(signal), after, limit, signal);
    } catch (error) {
      throw this.#error(error, signal);
    }
  }

  async lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const { session, from } = this.#options;
    try {
      return await selectByKeys(session, from, await this.#shape(signal), keys, signal);
    } catch (error) {
      throw this.#error(error, signal);
    }
  }

  /** The statement that reads all rows. */
  async example(signal: AbortSignal): Promise<string> {
    try {
      return rowsSql(this.#options.from, await this.#shape(signal), false);
    } catch (error) {
      throw this.#error(error, signal);
    }
  }

  /** To count is as much as to read. */
  estimate(): Promise<number | null> {
    return Promise.resolve(null);
  }

  async #shape(signal: AbortSignal): Promise<ModelShape> {
    const { session, from, naming, versions } = this.#options;
    const key = await this.#options.key(signal);
    if (key.length === 0)
      throw new TailraceError("source.model", `${naming.label} has no primary key; give the model \`key\``);
    const shape = shapeOf(naming, await columnsOf(session, from, signal), key);
    return { ...shape, relation: versions.intern(shape.relation) };
  }

  #error(error: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : asSourceError(error, this.#options.naming.label);
  }
}
