import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Capture } from "../../contracts/capture.ts";
import type { Change, ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues, SnapshotChunk, SourceCheckpoint } from "../../contracts/source.ts";
import type { Mark, ModelFeed, ModelRows, RowPage } from "./model-feed.ts";
import type { ModelReader } from "./model-reader.ts";
import { Pace, type Poll } from "./pace.ts";
import { changeAt, endOf, fromPosition } from "./position.ts";

const KIND = "rows:";
/** The relation of which any change makes a comparison due. */
const TABLES = "tables";

export interface ComparedOptions {
  readonly rows: ModelRows;
  /** The model, for messages. */
  readonly label: string;
  /** What it means: the query, or the table. */
  readonly meaning: string;
  readonly poll: Poll;
}

/**
 * A model whose rows are compared. Its marks are states of the tables that it reads, `TTTTTTTTTTTT_DDDDDDDDDDDDDDDD`: when a state was
 * first seen (ms since the epoch, never twice the same) and which one it was, so that a start knows whether it is still the same.
 */
export class ComparedModel implements ModelReader {
  heardAtMs: number | null = null;
  #rows: ModelRows;
  readonly #label: string;
  readonly #incarnation: string;
  readonly #poll: Poll;
  #mark: Mark | null = null;

  constructor({ rows, label, meaning, poll }: ComparedOptions) {
    this.#rows = rows;
    this.#label = label;
    this.#incarnation = KIND + digestOf(meaning);
    this.#poll = poll;
  }

  renew(reading: ModelFeed | ModelRows): boolean {
    if (reading.kind !== "rows") return false;
    this.#rows = reading;
    return true;
  }

  get capture(): Capture {
    const { because, state, timeDependent } = this.#rows;
    return { kind: "diff", because, triggers: state === null ? null : new Set([TABLES]), timeDependent };
  }

  relation(signal: AbortSignal): Promise<Relation> {
    return this.#rows.relation(signal);
  }

  plan(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async open(stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint> {
    if (stored.some(({ incarnation }) => !incarnation.startsWith(KIND)))
      throw new TailraceError(
        "source.gap.feed",
        `${this.#label} was followed by its history until now, and can only be compared from now on: ${this.#rows.because.join("; ")}`,
      );
    const positions = stored.map(({ position }) => position).sort();
    const newest = positions.at(-1);
    if (newest !== undefined) this.#mark ??= fromPosition(newest).mark;
    await this.#look(signal);
    return { position: positions[0] ?? endOf(this.#mark!), incarnation: this.#incarnation };
  }

  async *read(after: Position, signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    const pace = new Pace(this.#poll, Date.now());
    let reached = fromPosition(after).mark;
    try {
      for (let first = true; ; first = false) {
        signal.throwIfAborted();
        const mark = await this.#look(signal);
        const differs = digestIn(mark) !== digestIn(reached);
        // Once in any case, so that whoever reads only up to now gets there; and as a sign of life where nothing is asked.
        if (mark > reached || first || this.#rows.state === null) {
          const changes = differs ? [touched(mark)] : [];
          yield { changes, end: endOf(mark > reached ? mark : reached), bytes: 0 };
        }
        if (differs) pace.changed(Date.now());
        if (mark > reached) reached = mark;
        await delay(pace.waitMs(Date.now()), undefined, { signal });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  ack(): void {}

  same({ incarnation }: SourceCheckpoint): boolean {
    return incarnation === this.#incarnation;
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  async snapshot(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    for await (const chunk of this.scan(after, limit, signal)) return chunk;
    throw new TailraceError("source.unreachable", `the rows of ${this.#label} ended before the last one`);
  }

  async *scan(
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    const mark = await this.#look(signal);
    for await (const page of this.#rows.scan(after, limit, signal)) yield chunkOf(mark, page);
  }

  async lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    const mark = await this.#look(signal);
    if (keys.length > 0) return chunkOf(mark, await this.#rows.lookup(keys, signal));
    return chunkOf(mark, { relation: await this.#rows.relation(signal), rows: [], next: null });
  }

  estimate(signal: AbortSignal): Promise<number | null> {
    return this.#rows.estimate(signal);
  }

  close(): void {}

  /** The state as it is now; a new mark where it is another one than before. */
  async #look(signal: AbortSignal): Promise<Mark> {
    const { state } = this.#rows;
    const digest = state === null ? NO_STATE : digestOf(await state(signal));
    this.heardAtMs = Date.now();
    if (this.#mark === null || digestIn(this.#mark) !== digest) {
      const lastMs = this.#mark === null ? 0 : Number.parseInt(this.#mark, 16);
      const seenMs = Math.max(Date.now(), lastMs + 1);
      this.#mark = `${seenMs.toString(16).padStart(12, "0")}_${digest}`;
    }
    return this.#mark;
  }
}

const NO_STATE = "0".repeat(16);

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function digestIn(mark: Mark): string {
  return mark.slice(13);
}

/** What is read after a state was seen is not older than it. */
function chunkOf(mark: Mark, page: RowPage): SnapshotChunk {
  return { ...page, high: endOf(mark), sees: () => true };
}

function touched(mark: Mark): Change {
  const relation: Relation = {
    id: TABLES,
    namespace: "",
    name: TABLES,
    version: 1,
    columns: [],
    key: [],
    oldRows: "key",
  };
  const transaction = { id: mark, committedAt: BigInt(Date.now()) * 1000n };
  return { op: "touched", relation, before: null, after: null, position: changeAt(mark, 0), transaction };
}
