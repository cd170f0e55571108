import type { Capture } from "../../contracts/capture.ts";
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { Log } from "../../contracts/log.ts";
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
} from "../../contracts/source.ts";
import { ComparedModel } from "./compared-model.ts";
import { FollowedModel } from "./followed-model.ts";
import type { Warehouse } from "./model-feed.ts";
import type { ModelReader } from "./model-reader.ts";
import type { Poll } from "./pace.ts";

export interface FeedSourceOptions {
  /** Disposed with the source. */
  readonly warehouse: Warehouse;
  readonly poll: Poll;
  readonly log: Log;
}

/**
 * A Source over what a warehouse keeps of each of its tables. Its connector says `sharing: "model"`: `open` and what goes with it are
 * about one model at a time.
 */
export class FeedSource implements Source {
  readonly #options: FeedSourceOptions;
  readonly #isBranch: boolean;
  readonly #readers = new Map<string, ModelReader>();
  /** The one that was opened. */
  #opened: ModelReader | null = null;

  constructor(options: FeedSourceOptions, isBranch = false) {
    this.#options = options;
    this.#isBranch = isBranch;
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    return this.#options.warehouse.check(needs, signal);
  }

  async describe(model: Model, signal: AbortSignal): Promise<Relation> {
    return (await this.#reader(model, signal)).relation(signal);
  }

  async capture(model: Model, signal: AbortSignal): Promise<Capture> {
    return (await this.#reader(model, signal)).capture;
  }

  async plan(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    return (await this.#reader(theOne(models), signal)).plan(stored, signal);
  }

  async open(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<SourceCheckpoint> {
    const reader = await this.#renewed(theOne(models), signal);
    this.#opened = reader;
    return reader.open(stored, signal);
  }

  read(after: Position, signal: AbortSignal): AsyncIterable<ChangeBatch> {
    if (this.#opened === null) throw new TailraceError("internal.defect", "a feed is read before it is opened");
    return this.#opened.read(after, signal);
  }

  get lastByteAtMs(): number | null {
    return this.#opened?.heardAtMs ?? null;
  }

  /** A branch holds nothing: what the trunk is told counts for all. */
  ack(stored: Position): void {
    if (!this.#isBranch) this.#opened?.ack(stored);
  }

  /** Another reader of the same history, over the same connection. */
  branch(): Source {
    return new FeedSource(this.#options, true);
  }

  keeps(): boolean {
    return true;
  }

  sameModel(model: Model, stored: SourceCheckpoint): boolean {
    return this.#readers.get(model.name)?.same(stored) ?? true;
  }

  retention(): Promise<Retention> {
    return Promise.resolve({ retainedBytes: null, over: null });
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  async settle(signal: AbortSignal): Promise<void> {
    await this.#opened?.settle(signal);
  }

  async snapshot(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return (await this.#reader(model, signal)).snapshot(after, limit, signal);
  }

  async *scan(
    model: Model,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    yield* (await this.#reader(model, signal)).scan(after, limit, signal);
  }

  async lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    return (await this.#reader(model, signal)).lookup(keys, signal);
  }

  async estimate(model: Model, signal: AbortSignal): Promise<number | null> {
    return (await this.#reader(model, signal)).estimate(signal);
  }

  async holdings(_branches: readonly string[], signal: AbortSignal): Promise<readonly Holding[]> {
    return (await this.#options.warehouse.holdings?.(signal)) ?? [];
  }

  release(name: string, signal: AbortSignal): Promise<void> {
    const { warehouse } = this.#options;
    if (warehouse.release !== undefined) return warehouse.release(name, signal);
    return Promise.reject(new TailraceError("source.config", `nothing is held on this source, so not ${name} either`));
  }

  explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    return this.#options.warehouse.explain(model, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.#readers.values()) reader.close();
    if (!this.#isBranch) await this.#options.warehouse[Symbol.asyncDispose]();
  }

  async #reader(model: Model, signal: AbortSignal): Promise<ModelReader> {
    return this.#readers.get(model.name) ?? this.#renewed(model, signal);
  }

  async #renewed(model: Model, signal: AbortSignal): Promise<ModelReader> {
    const { warehouse, poll, log } = this.#options;
    const reading = await warehouse.reading(model, signal);
    const known = this.#readers.get(model.name);
    if (known?.renew(reading) === true) return known;
    known?.close();
    const label = `model \`${model.name}\``;
    const reader =
      reading.kind === "feed"
        ? new FollowedModel({ feed: reading, label, poll, log })
        : new ComparedModel({ rows: reading, label, meaning: meaningOf(model), poll });
    this.#readers.set(model.name, reader);
    return reader;
  }
}

function theOne(models: readonly Model[]): Model {
  const [model, ...others] = models;
  if (model === undefined || others.length > 0)
    throw new TailraceError("internal.defect", `a feed is of one model, not of ${models.length}`);
  return model;
}

function meaningOf(model: Model): string {
  return model.kind === "query" ? model.sql : JSON.stringify([model.table.namespace, model.table.name]);
}
