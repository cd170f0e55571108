import type { Model } from "../../contracts/model.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { RowPage } from "../../kit/feed/model-feed.ts";
import { rowPages } from "../../kit/feed/row-pages.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { type Described, describeModel, label, lookupStatement, rowsStatement } from "./described.ts";
import type { ObjectName } from "./names.ts";
import type { SnowflakeSession, StatementOptions } from "./session.ts";

export interface ModelReaderOptions {
  readonly session: SnowflakeSession;
  readonly versions: RelationVersions;
  readonly model: Model;
  /** null: the model is a query. */
  readonly table: ObjectName | null;
}

/** One model's rows and what they look like, however its changes are known. */
export class ModelReader {
  readonly #options: ModelReaderOptions;
  readonly what: string;
  #described: Described | null = null;

  constructor(options: ModelReaderOptions) {
    this.#options = options;
    this.what = label(options.model);
  }

  /** What is known of it may be so no more. */
  renew(): void {
    this.#described = null;
  }

  async described(signal: AbortSignal): Promise<Described> {
    return this.#described ?? this.describeAgain(signal);
  }

  async describeAgain(signal: AbortSignal): Promise<Described> {
    const { session, versions, model, table } = this.#options;
    this.#described = await describeModel(session, versions, model, table, signal, this.#described);
    return this.#described;
  }

  /** `at`: what goes behind the table's name. */
  async *scan(
    at: string,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<RowPage, void, undefined> {
    const described = await this.described(signal);
    const { sql, binds } = rowsStatement(described, at, after);
    const reply = await this.#options.session.run(sql, { ...this.with(signal), binds });
    yield* rowPages(reply.pages(signal) as AsyncIterable<Values[]>, described.relation, limit);
  }

  async lookup(at: string, keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const described = await this.described(signal);
    const { sql, binds } = lookupStatement(described, at, keys);
    const rows = await this.#options.session.rows(sql, { ...this.with(signal), binds });
    return { relation: described.relation, rows, next: null };
  }

  with(signal: AbortSignal): StatementOptions {
    return { what: this.what, signal };
  }
}
