import type { Capture } from "../../contracts/capture.ts";
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { ChunkLimit, Cursor, KeyValues, SnapshotChunk, SourceCheckpoint } from "../../contracts/source.ts";
import type { ModelFeed, ModelRows } from "./model-feed.ts";

/** The part of a Source that is about one model. */
export interface ModelReader {
  readonly capture: Capture;
  /** To be read so from now on; false: that is another way of reading, which takes another reader. */
  renew(reading: ModelFeed | ModelRows): boolean;
  /** When something last came from the warehouse, in ms since the epoch; null: never. */
  readonly heardAtMs: number | null;
  relation(signal: AbortSignal): Promise<Relation>;
  plan(stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<readonly string[]>;
  open(stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint>;
  read(after: Position, signal: AbortSignal): AsyncIterable<ChangeBatch>;
  ack(stored: Position): void;
  /** Whether it reads the same rows as when the checkpoint was made. */
  same(stored: SourceCheckpoint): boolean;
  settle(signal: AbortSignal): Promise<void>;
  snapshot(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk>;
  scan(after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<SnapshotChunk>;
  lookup(keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk>;
  estimate(signal: AbortSignal): Promise<number | null>;
  /** Closes what is open for it. */
  close(): void;
}
