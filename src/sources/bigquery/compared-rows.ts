import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues } from "../../contracts/source.ts";
import type { ModelRows, RowPage } from "../../kit/feed/model-feed.ts";
import { asSourceError } from "./errors.ts";
import type { DryRun, Jobs, ResultPage } from "./jobs.ts";
import { nameOf, stateOf, type Described, type TableMetadata, type Tables } from "./tables.ts";
import type { TablePlace } from "./names.ts";
import { cursorParameters, keyParameter, within } from "./row-pages.ts";
import { lookupSql, rowsOf, rowsSql } from "./statements.ts";

export interface ComparedRowsOptions {
  readonly model: Model;
  /** A SELECT of all its rows. */
  readonly sql: string;
  /** Where it is a table, or a view. */
  readonly place: TablePlace | null;
  readonly primaryKey?: readonly string[] | undefined;
  readonly because: readonly string[];
  /** The tables whose metadata tells whether rows may have changed; null: that is not known. */
  readonly watched: readonly TablePlace[] | null;
  readonly location: string | undefined;
  readonly tables: Tables;
  readonly jobs: Jobs;
}

/** A query, a view, or a table whose history is not kept. */
export class ComparedRows implements ModelRows {
  readonly kind = "rows";
  readonly because: readonly string[];
  readonly timeDependent: boolean;
  readonly state: ModelRows["state"];
  readonly #options: ComparedRowsOptions;
  /** Where its tables are, once BigQuery said so. */
  #location: string | undefined;

  constructor(options: ComparedRowsOptions) {
    const { because, watched, tables, model } = options;
    this.#options = options;
    this.#location = options.location;
    this.because = because;
    this.timeDependent = model.kind === "query" && dependsOnTime(model.sql);
    this.state =
      watched === null
        ? null
        : async (signal) => {
            const states = await Promise.all(watched.map((place) => tables.metadata(place, signal)));
            return states.map((table, index) => `${nameOf(watched[index]!)}=${stateOf(table)}`).join("\n");
          };
  }

  async relation(signal: AbortSignal): Promise<Relation> {
    return (await this.described(signal)).relation;
  }

  async *scan(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncGenerator<RowPage, void, undefined> {
    const { relation, shape } = await this.described(signal);
    const sql = rowsSql(rowsOf(this.#options.sql), shape, after !== null);
    yield* within(this.#pages(sql, cursorParameters(after), signal), relation, limit);
  }

  async lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<RowPage> {
    const { relation, shape } = await this.described(signal);
    const sql = lookupSql(rowsOf(this.#options.sql), shape);
    const rows = [];
    for await (const page of this.#pages(sql, { keys: keyParameter(keys) }, signal)) rows.push(...page.rows);
    return { relation, rows, next: null };
  }

  async estimate(signal: AbortSignal): Promise<number | null> {
    const { place, tables } = this.#options;
    if (place === null) return null;
    const { numRows } = await tables.metadata(place, signal);
    return numRows === undefined ? null : Number(numRows);
  }

  /** As BigQuery sees the query now, without running it. */
  async described(signal: AbortSignal): Promise<Described & { readonly sql: string; readonly bytes: bigint }> {
    const { model, sql, place, primaryKey, tables } = this.#options;
    const { fields, bytes, location } = await dryRun(this.#options, sql, signal);
    this.#location = location;
    return { ...tables.describe(model, fields, { place, primaryKey, oldRows: "key" }), sql, bytes };
  }

  async *#pages(
    sql: string,
    parameters: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncGenerator<ResultPage, void, undefined> {
    const { jobs, model } = this.#options;
    try {
      yield* jobs.pages(sql, signal, { location: this.#location, parameters });
    } catch (error) {
      signal.throwIfAborted();
      throw asSourceError(error, `model ${model.name}`);
    }
  }
}

export async function dryRun(
  { jobs, model, location }: Pick<ComparedRowsOptions, "jobs" | "model" | "location">,
  sql: string,
  signal: AbortSignal,
): Promise<DryRun> {
  try {
    return await jobs.dryRun(sql, signal, { location });
  } catch (error) {
    signal.throwIfAborted();
    throw asSourceError(error, `model ${model.name}`, true);
  }
}

/** Which of a query's tables can be watched. `why`: what stands against it. */
export async function watchedTables(
  referenced: DryRun["tables"],
  tables: Tables,
  signal: AbortSignal,
): Promise<{ readonly watched: readonly TablePlace[] | null; readonly why: string | null }> {
  const places = referenced.map(({ projectId, datasetId, tableId }) => ({
    project: projectId,
    dataset: datasetId,
    table: tableId,
  }));
  if (places.length === 0) return { watched: null, why: "it reads no table that BigQuery names" };
  if (places.length >= MOST_NAMED) return { watched: null, why: "it reads more tables than BigQuery names" };
  for (const place of places) {
    const found: TableMetadata = await tables.metadata(place, signal);
    if (found.type === "EXTERNAL")
      return { watched: null, why: `${nameOf(place)} is external: BigQuery does not know when it changes` };
  }
  return { watched: places, why: null };
}

/** BigQuery names no more than so many of a query's tables. */
const MOST_NAMED = 50;

/** Texts and comments are none of the query's functions. */
const PLAIN = /--[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`/g;
const TIME = /\b(CURRENT_(TIMESTAMP|DATE|DATETIME|TIME)|RAND|GENERATE_UUID|SESSION_USER)\b/i;

function dependsOnTime(sql: string): boolean {
  return TIME.test(sql.replace(PLAIN, " "));
}
