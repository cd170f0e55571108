import type { Capture } from "../../contracts/capture.ts";
import type { ChangeBatch, Position } from "../../contracts/change.ts";
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
import { addressOf } from "../../kit/mysql/address.ts";
import { check } from "./check.ts";
import { type Connection, connect } from "./connection.ts";
import { describeModel } from "./describe.ts";
import { explain } from "./explain.ts";
import { explainQuery } from "./explain-query.ts";
import { type QueryCaptureOptions, captureQuery } from "./query-capture.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { replicaNumber } from "./replica-number.ts";
import { Replication } from "./replication.ts";
import type { Settings } from "./settings.ts";
import { settle } from "./settle.ts";
import { SnapshotReader } from "./snapshot.ts";
import { SqlSession } from "./sql-session.ts";

/** MySQL and MariaDB, by their binary log. The server keeps the log by its own settings, and nothing for us. */
export class MysqlSource implements Source {
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #database: string | undefined;
  readonly #serverId: number;
  /** Backfills may hold it for seconds; what the stream asks has a session of its own. */
  readonly #reads: SqlSession;
  readonly #side: SqlSession;
  readonly #live: SqlSession;
  readonly #snapshots: SnapshotReader;
  /** For what live queries ask, so that no backfill makes them wait. */
  readonly #keys: SnapshotReader;
  readonly #replication: Replication;

  /** `branch`: the sync that this reader is for alone; see Source.branch. */
  constructor(settings: Settings, context: SourceContext, branch: string | null = null) {
    this.#settings = settings;
    this.#context = context;
    const address = addressOf(settings);
    this.#database = "problem" in address ? undefined : address.database;
    this.#serverId =
      branch === null && settings.server_id !== undefined
        ? settings.server_id
        : replicaNumber(context.project, context.name, branch);
    const { baseDirectory } = context;
    const open = (signal: AbortSignal): Promise<Connection> => connect(settings, { signal, baseDirectory });
    this.#reads = new SqlSession(open);
    this.#side = new SqlSession(open);
    this.#live = new SqlSession(open);
    const versions = new RelationVersions();
    this.#replication = new Replication({
      connect: open,
      side: this.#side,
      versions,
      database: this.#database,
      serverId: this.#serverId,
      silentAfterMs: settings.silent_after_ms,
    });
    const reading = () => this.#replication.reading;
    const options = { connect: open, versions, database: this.#database, reading };
    this.#snapshots = new SnapshotReader({ ...options, session: this.#reads });
    this.#keys = new SnapshotReader({ ...options, session: this.#live });
  }

  get #queries(): QueryCaptureOptions {
    return {
      side: this.#side,
      inSnapshot: (signal, work) => this.#keys.inSnapshot(signal, work),
      database: this.#database,
      redefined: () => this.#replication.redefined,
    };
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    const { baseDirectory } = this.#context;
    return check(this.#settings, needs, { signal, baseDirectory, database: this.#database, serverId: this.#serverId });
  }

  describe(model: Model, signal: AbortSignal): Promise<Relation> {
    return this.#snapshots.describe(model, signal);
  }

  capture(model: Model, signal: AbortSignal): Promise<Capture> {
    return model.kind === "table" ? Promise.resolve({ kind: "log" }) : captureQuery(model, this.#queries, signal);
  }

  open(models: readonly Model[], stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint> {
    return this.#replication.open(models, stored, signal);
  }

  async plan(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    await this.#replication.prove(models, stored, signal);
    return [];
  }

  read(after: Position, signal: AbortSignal): AsyncIterable<ChangeBatch> {
    return this.#replication.read(after, signal);
  }

  sameModel(model: Model, stored: SourceCheckpoint): boolean {
    return this.#replication.sameModel(model, stored);
  }

  /** The server does not ask how far its readers have come. */
  ack(): void {}

  /** ms since the epoch when the stream last said anything; null: it does not run. */
  get lastByteAtMs(): number | null {
    return this.#replication.lastByteAtMs;
  }

  settle(signal: AbortSignal): Promise<void> {
    return settle(this.#side, () => this.#replication.seen, signal);
  }

  snapshot(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    return this.#snapshots.chunk(model, after, limit, signal);
  }

  scan(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<SnapshotChunk> {
    return this.#snapshots.scan(model, after, limit, signal);
  }

  lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    return (model.kind === "query" ? this.#keys : this.#snapshots).lookup(model, keys, signal);
  }

  estimate(model: Model, signal: AbortSignal): Promise<number | null> {
    return this.#snapshots.estimate(model, signal);
  }

  branch(name: string): Source {
    return new MysqlSource(this.#settings, this.#context, name);
  }

  keeps(stored: SourceCheckpoint): boolean {
    return this.#replication.keeps(stored);
  }

  retention(): Promise<Retention> {
    return Promise.resolve({ retainedBytes: null, over: null });
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  holdings(): Promise<readonly Holding[]> {
    return Promise.resolve([]);
  }

  release(name: string): Promise<void> {
    return Promise.reject(new TailraceError("source.config", `nothing is held on the server: there is no ${name}`));
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    if (model.kind === "query")
      return this.#side.use(signal, (connection) => explainQuery(connection, model, this.#database));
    return explain(await this.#side.use(signal, (connection) => describeModel(connection, model, this.#database)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replication[Symbol.asyncDispose]();
    await Promise.all([this.#reads, this.#side, this.#live].map((session) => session[Symbol.asyncDispose]()));
  }
}
