import type { Capture } from "../../contracts/capture.ts";
import type { Change, ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type {
  CaptureExplanation,
  ChunkLimit,
  Cursor,
  Holding,
  KeyValues,
  ModelNeeds,
  Retention,
  SnapshotChunk,
  Source,
  SourceCheckpoint,
  SourceContext,
} from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import type { Database } from "../../kit/duckdb/database.ts";
import { loadDuckdb } from "../../kit/duckdb/library.ts";
import { checkModels } from "./check.ts";
import { explain } from "./explain.ts";
import { FileWatch, idOf } from "./file-watch.ts";
import { seeFiles } from "./files.ts";
import { FolderEvents } from "./folder-events.ts";
import { type DescribedModel, label, lastKey, lookupSql, Models, rowsSql } from "./models.ts";
import { changeIn } from "./position.ts";
import { Readings } from "./readings.ts";
import { chunksOf } from "./row-chunks.ts";
import { StagedRows } from "./scan.ts";
import type { Settings } from "./settings.ts";
import { SourceFiles } from "./source-files.ts";

/** What a position must still mean: nothing can be lost of files that are read whole. */
const INCARNATION = "duckdb";

export class DuckdbSource implements Source {
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #readings: Readings;
  readonly #models = new Models();
  readonly #files: SourceFiles;
  readonly #watch: FileWatch;

  /** `trunk`: what this is a branch of. */
  constructor(settings: Settings, context: SourceContext, trunk?: DuckdbSource) {
    this.#settings = settings;
    this.#context = context;
    this.#readings = new Readings(settings, context.baseDirectory ?? ".");
    this.#files = trunk === undefined ? new SourceFiles(this.#readings) : trunk.#files;
    this.#watch = trunk === undefined ? new FileWatch(() => this.#files.all(), settings.settle_ms) : trunk.#watch;
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    return checkModels(
      needs.map(({ model }) => model),
      (model, work) => this.#described(model, signal, work),
      signal,
    );
  }

  async describe(model: Model, signal: AbortSignal): Promise<Relation> {
    return this.#described(model, signal, (_database, { relation }) => Promise.resolve(relation));
  }

  async capture(model: Model, signal: AbortSignal): Promise<Capture> {
    const unsteady = (await this.#files.dependencies(model, signal))?.unsteady ?? [];
    const because = [
      "DuckDB has no changelog: the rows are compared with what was last sent whenever the files were written",
    ];
    if (unsteady.length > 0)
      because.push(`its result changes by itself: ${unsteady.map((name) => `${name}()`).join(", ")}`);
    const triggers = new Set((await this.#files.of(model, signal)).map(idOf));
    return { kind: "diff", because, triggers, timeDependent: unsteady.length > 0 };
  }

  async open(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<SourceCheckpoint> {
    await loadDuckdb("source.config");
    // So that the files that they name are watched from the first look on.
    for (const model of models) await this.#files.of(model, signal);
    const positions = stored.map(({ position }) => position).sort();
    await this.#watch.begin(positions, signal);
    return { position: positions[0] ?? this.#watch.position, incarnation: INCARNATION };
  }

  plan(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async *read(after: Position, signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    using events = new FolderEvents();
    let reached: Position | null = null;
    try {
      for (;;) {
        signal.throwIfAborted();
        events.watch(await this.#watch.folders());
        const waitMs = await this.#watch.look();
        const { position } = this.#watch;
        // Once in any case, so that whoever reads only up to now gets there.
        if (position !== reached) {
          const changes = this.#watch
            .changedAfter(reached ?? after)
            .map((id, ordinal) => touched(id, position, ordinal));
          reached = position;
          yield { changes, end: position > after ? position : after, bytes: 0 };
        }
        await events.next(waitMs === 0 ? this.#settings.poll_ms : waitMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  ack(): void {}

  branch(): Source {
    return new DuckdbSource(this.#settings, this.#context, this);
  }

  keeps(): boolean {
    return true;
  }

  retention(): Promise<Retention> {
    return Promise.resolve({ retainedBytes: null, over: null });
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  settle(signal: AbortSignal): Promise<void> {
    return this.#watch.rest(signal);
  }

  async snapshot(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#whole(model, signal, async (database, described) => {
      const sql = `${rowsSql(described, after)} LIMIT ${limit.rows + 1}`;
      for await (const { rows, last } of chunksOf(database.connection, sql, limit))
        return { described, rows, next: last ? null : lastKey(rows, described.relation) };
      throw new TailraceError("internal.defect", "a query ended without a chunk");
    });
  }

  async *scan(
    model: Model,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    await using staged = await StagedRows.make(this.#settings);
    const whole = await this.#whole(model, signal, async (database, described) => {
      await staged.write(database, described, after);
      return { described, rows: [], next: null };
    });
    let next: Cursor | null = null;
    for await (const { rows, last } of staged.read(limit, signal)) {
      next = lastKey(rows, whole.relation) ?? next;
      yield { ...whole, rows, next: last ? null : next };
    }
  }

  async lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    const { listValue } = await loadDuckdb("source.config");
    return this.#whole(model, signal, async (database, described) => {
      if (keys.length === 0) return { described, rows: [], next: null };
      const lists = described.relation.key.map((_place, index) => listValue(keys.map((key) => key[index]!)));
      const reader = await database.connection.runAndReadAll(lookupSql(described), lists);
      return { described, rows: reader.getRows() as Values[], next: null };
    });
  }

  async estimate(model: Model, signal: AbortSignal): Promise<number | null> {
    // Of a query, counting is as much as reading.
    if (model.kind === "query") return null;
    return this.#described(model, signal, async (database, { from }) => {
      const [row] = await database.rows(`SELECT CAST(count(*) AS VARCHAR) AS rows FROM ${from}`);
      return Number(row!["rows"]);
    });
  }

  holdings(): Promise<readonly Holding[]> {
    return Promise.resolve([]);
  }

  release(name: string): Promise<void> {
    return Promise.reject(
      new TailraceError("source.config", `nothing is held on a DuckDB source, so not ${name} either`),
    );
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    const capture = await this.capture(model, signal);
    return this.#described(model, signal, (_database, described) =>
      Promise.resolve(explain(described, capture, this.#settings)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #described<T>(
    model: Model,
    signal: AbortSignal,
    work: (database: Database, described: DescribedModel) => Promise<T>,
  ): Promise<T> {
    const tables = (await this.#files.dependencies(model, signal))?.tables ?? null;
    return this.#readings.run(label(model), tables, signal, async (database) =>
      work(database, await this.#models.describe(database, model)),
    );
  }

  /** Rows of a model from files that were at rest before, and were not written to meanwhile. */
  async #whole(
    model: Model,
    signal: AbortSignal,
    work: (
      database: Database,
      described: DescribedModel,
    ) => Promise<{ described: DescribedModel; rows: readonly Values[]; next: Cursor | null }>,
  ): Promise<SnapshotChunk> {
    await this.#watch.rest(signal);
    const dataFiles = (await this.#files.of(model, signal)).filter(({ settles }) => settles);
    const before = await Promise.all(dataFiles.map(({ patterns }) => seeFiles(patterns)));
    const { described, rows, next } = await this.#described(model, signal, work);
    for (const [index, { patterns }] of dataFiles.entries()) {
      if ((await seeFiles(patterns)).digest !== before[index]!.digest)
        throw new TailraceError("source.data", `${label(model)}: a data file was written to while it was read`);
    }
    await this.#watch.look();
    return { relation: described.relation, rows, next, high: this.#watch.position, sees: () => true };
  }
}

function touched(id: string, end: Position, ordinal: number): Change {
  const relation: Relation = { id, namespace: "", name: id, version: 1, columns: [], key: [], oldRows: "key" };
  const transaction = { id: end, committedAt: BigInt(Date.now()) * 1000n };
  return { op: "touched", relation, before: null, after: null, position: changeIn(end, ordinal), transaction };
}
