// Models whose rows are compared: queries, and tables whose changes are not tracked.
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { ModelRows, RowPage } from "../../kit/feed/model-feed.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { label } from "./described.ts";
import { ModelReader } from "./model-reader.ts";
import { lastChange } from "./metadata.ts";
import type { ObjectName } from "./names.ts";
import { dependenciesOf } from "./dependencies.ts";
import type { SnowflakeSession } from "./session.ts";

export interface QueryRowsOptions {
  readonly session: SnowflakeSession;
  readonly versions: RelationVersions;
  readonly model: Model;
  /** null: it is a query. */
  readonly table: ObjectName | null;
  readonly because: readonly string[];
}

export class QueryRows implements ModelRows {
  readonly kind = "rows";
  readonly because: readonly string[];
  readonly timeDependent: boolean;
  readonly state: ModelRows["state"];
  readonly #options: QueryRowsOptions;

  private constructor(options: QueryRowsOptions, tables: readonly ObjectName[] | null, unsteady: readonly string[]) {
    this.#options = options;
    this.because =
      unsteady.length === 0
        ? options.because
        : [...options.because, `its result changes by itself: ${unsteady.join(", ")}`];
    this.timeDependent = unsteady.length > 0;
    this.state =
      tables === null
        ? null
        : async (signal) => (await lastChange(options.session, tables, { what: label(options.model), signal })).token;
  }

  static async of(options: QueryRowsOptions, signal: AbortSignal): Promise<QueryRows> {
    const { session, model, table } = options;
    if (table !== null) return new QueryRows(options, [table], []);
    const { sql } = model as { sql: string };
    const { tables, unsteady } = await dependenciesOf(session, sql, { what: label(model), signal });
    return new QueryRows(options, tables, unsteady);
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    return (await this.#reader().described(signal)).relation;
  }

  scan(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<RowPage> {
    return this.#reader().scan(" AS M", after, limit, signal);
  }

  lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    return this.#reader().lookup(" AS M", keys, signal);
  }

  estimate(): Promise<number | null> {
    return Promise.resolve(null);
  }

  /** A new one each time: nothing says when a query's columns change. */
  #reader(): ModelReader {
    return new ModelReader(this.#options);
  }
}
