// All rows of a model. They are written to a file of our own first, at DuckDB's pace, and read from there at the caller's: the source's
// files are open no longer than that, and what was read while they were written to is never given out.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChunkLimit, Cursor } from "../../contracts/source.ts";
import { type Database, interruptible, openDatabase, type Resources } from "../../kit/duckdb/database.ts";
import { loadDuckdb } from "../../kit/duckdb/library.ts";
import { quoteLiteral } from "../../kit/sql.ts";
import { type DescribedModel, rowsSql } from "./models.ts";
import { chunksOf, type RowChunk } from "./row-chunks.ts";
import { asSourceError } from "./source-error.ts";

/** Read one after the other, a group at a time is in memory. */
const GROUP_ROWS = 20_480;

export class StagedRows implements AsyncDisposable {
  readonly #folder: string;
  readonly #resources: Resources;

  private constructor(folder: string, resources: Resources) {
    this.#folder = folder;
    this.#resources = resources;
  }

  static async make(resources: Resources): Promise<StagedRows> {
    return new StagedRows(await mkdtemp(join(resources.temp_directory ?? tmpdir(), "tailrace-scan-")), resources);
  }

  get #file(): string {
    return join(this.#folder, "rows.parquet");
  }

  async write(database: Database, described: DescribedModel, after: Cursor | null): Promise<void> {
    await database.rows(
      `COPY (${rowsSql(described, after)}) TO ${quoteLiteral(this.#file)} (FORMAT parquet, ROW_GROUP_SIZE ${GROUP_ROWS})`,
    );
  }

  async *read(limit: ChunkLimit, signal: AbortSignal): AsyncGenerator<RowChunk, void, undefined> {
    const duckdb = await loadDuckdb("source.config");
    const database = await openDatabase(duckdb, null, "READ_ONLY", { ...this.#resources, threads: 1 });
    try {
      const chunks = chunksOf(database.connection, `SELECT * FROM read_parquet(${quoteLiteral(this.#file)})`, limit);
      for (;;) {
        const next = await interruptible(database.connection, signal, () => chunks.next());
        if (next.done === true) return;
        yield next.value;
        if (next.value.last) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw asSourceError(error, "the rows that were read");
    } finally {
      await database.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
