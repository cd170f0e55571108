import type { Capture } from "../../contracts/capture.ts";
import type { ChangeBatch, Position } from "../../contracts/change.ts";
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
import { asTable } from "./as-table.ts";
import { check } from "./check.ts";
import { type ConnectOptions, connect } from "./connection.ts";
import { type DescribeOptions, describe } from "./describe.ts";
import { explain } from "./explain.ts";
import { branchName, objectName } from "./object-names.ts";
import { RelationVersions } from "./relation-versions.ts";
import { Replication } from "./replication.ts";
import type { Settings } from "./settings.ts";
import { settle } from "./settle.ts";
import { SnapshotReader } from "./snapshot.ts";
import { SqlSession } from "./sql-session.ts";
import { streamCatalogue } from "./stream-catalogue.ts";

const BLOCKED_AFTER_MS = 5000;
const MEMBERSHIP_MS = 30_000;

/** PostgreSQL, by its logical replication log. */
export class PostgresSource implements Source {
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #names: { readonly slot: string; readonly sharedSlot: string; readonly publication: string };
  readonly #describing: DescribeOptions;
  /** Backfills may hold it for seconds; what the stream asks has a session of its own. */
  readonly #reads: SqlSession;
  readonly #side: SqlSession;
  readonly #snapshots: SnapshotReader;
  readonly #replication: Replication;

  /** `branch`: the sync that this reader is for alone; see Source.branch. */
  constructor(settings: Settings, context: SourceContext, branch: string | null = null) {
    this.#settings = settings;
    this.#context = context;
    const sharedSlot = settings.slot ?? objectName(context.project, context.name);
    const slot = branch === null ? sharedSlot : branchName(sharedSlot, branch);
    this.#names = { slot, sharedSlot, publication: settings.publication ?? sharedSlot };
    this.#describing = { schema: settings.schema, publication: this.#names.publication };
    const { baseDirectory } = context;
    const open = (signal: AbortSignal) => connect(settings, { replication: false, signal, baseDirectory });
    this.#reads = new SqlSession(open);
    this.#side = new SqlSession(open);
    const versions = new RelationVersions();
    this.#snapshots = new SnapshotReader(this.#reads, this.#describing, versions);
    this.#replication = new Replication({
      connect: (replication: boolean, signal: AbortSignal) =>
        connect(settings, { replication, signal, baseDirectory } satisfies ConnectOptions),
      side: this.#side,
      catalogue: streamCatalogue(this.#side),
      versions,
      log: context.log,
      ...this.#names,
      publicationShared: settings.publication !== undefined,
      schema: settings.schema,
      failover: settings.failover,
      walBudget: settings.wal_budget,
      heartbeatMs: settings.heartbeat_ms,
      silentAfterMs: settings.silent_after_ms,
      membershipMs: MEMBERSHIP_MS,
      blockedAfterMs: BLOCKED_AFTER_MS,
    });
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    return check(this.#settings, needs, { ...this.#names, signal, baseDirectory: this.#context.baseDirectory });
  }

  describe(model: Model, signal: AbortSignal): Promise<Relation> {
    return this.#snapshots.describe(asTable(model), signal);
  }

  async capture(model: Model, _signal: AbortSignal): Promise<Capture> {
    asTable(model);
    return { kind: "log" };
  }

  open(models: readonly Model[], stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint> {
    return this.#replication.open(models.map(asTable), stored, signal);
  }

  plan(models: readonly Model[], stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<readonly string[]> {
    return this.#replication.plan(models.map(asTable), stored, signal);
  }

  read(after: Position, signal: AbortSignal): AsyncIterable<ChangeBatch> {
    return this.#replication.read(after, signal);
  }

  ack(stored: Position): void {
    this.#replication.ack(stored);
  }

  /** ms since the epoch when the stream last said anything; null: it does not run. */
  get lastByteAtMs(): number | null {
    return this.#replication.lastByteAtMs;
  }

  settle(signal: AbortSignal): Promise<void> {
    return settle(this.#side, this.#context.log, signal);
  }

  snapshot(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#snapshots.chunk(asTable(model), after, limit, signal);
  }

  async *scan(
    model: Model,
    after: Cursor | null,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): AsyncGenerator<SnapshotChunk, void, undefined> {
    for (let next = after; ;) {
      const chunk = await this.snapshot(model, next, limit, signal);
      yield chunk;
      if (chunk.next === null) return;
      next = chunk.next;
    }
  }

  lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#snapshots.lookup(asTable(model), keys, signal);
  }

  estimate(model: Model, signal: AbortSignal): Promise<number | null> {
    return this.#snapshots.estimate(asTable(model), signal);
  }

  branch(name: string): Source {
    return new PostgresSource(this.#settings, this.#context, name);
  }

  keeps(stored: SourceCheckpoint): boolean {
    return this.#replication.keeps(stored);
  }

  retention(signal: AbortSignal): Promise<Retention> {
    return this.#replication.retention(signal);
  }

  forget(signal: AbortSignal): Promise<void> {
    return this.#replication.forget(signal);
  }

  holdings(branches: readonly string[], signal: AbortSignal): Promise<readonly Holding[]> {
    return this.#replication.holdings(branches, signal);
  }

  release(name: string, signal: AbortSignal): Promise<void> {
    return this.#replication.release(name, signal);
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    const described = await this.#side.use(signal, (client) => describe(client, asTable(model), this.#describing));
    return explain(described, this.#names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replication[Symbol.asyncDispose]();
    await Promise.all([this.#reads[Symbol.asyncDispose](), this.#side[Symbol.asyncDispose]()]);
  }
}
