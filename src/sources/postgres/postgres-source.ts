import type pg from "pg";
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
import { check } from "./check.ts";
import { type ConnectOptions, connect } from "./connection.ts";
import { meaningThen } from "./continuity.ts";
import { type DescribeOptions, describe } from "./describe.ts";
import { explain } from "./explain.ts";
import { explainQuery } from "./explain-query.ts";
import { LogMark } from "./log-mark.ts";
import { branchName, objectName } from "./object-names.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { Replication } from "./replication.ts";
import { type Settings, schemasOf } from "./settings.ts";
import { settle } from "./settle.ts";
import type { ReadModels } from "./published-table.ts";
import { captureQuery, readQueries } from "./query-capture.ts";
import { QueryReader } from "./query-reader.ts";
import { scan } from "./scan.ts";
import { SnapshotReader } from "./snapshot.ts";
import { SourceIndexes } from "./source-index.ts";
import { SqlSession } from "./sql-session.ts";
import { streamCatalogue } from "./stream-catalogue.ts";

const BLOCKED_AFTER_MS = 5000;
const MEMBERSHIP_MS = 30_000;
/** A model's SQL may take long until its first row. */
const QUERY_SILENT_AFTER_MS = 600_000;

/** PostgreSQL, by its logical replication log. */
export class PostgresSource implements Source {
  readonly #settings: Settings;
  readonly #context: SourceContext;
  readonly #names: { readonly slot: string; readonly sharedSlot: string; readonly publication: string };
  readonly #describing: DescribeOptions;
  /** Backfills may hold it for seconds; what the stream asks has a session of its own. */
  readonly #reads: SqlSession;
  readonly #side: SqlSession;
  /** For the SQL of models. */
  readonly #queries: SqlSession;
  /** For what live queries ask again and again, kept warm: it is planned once, and waits for nothing else. */
  readonly #live: SqlSession;
  readonly #mark: LogMark;
  readonly #snapshots: SnapshotReader;
  readonly #queryReader: QueryReader;
  readonly #replication: Replication;
  readonly #indexSession: SqlSession;
  readonly rowIndexes: SourceIndexes;
  /** Of the queries, by name, when it was opened. */
  #meanings: ReadonlyMap<string, string> = new Map();

  /** `branch`: the sync that this reader is for alone; see Source.branch. */
  constructor(settings: Settings, context: SourceContext, branch: string | null = null) {
    this.#settings = settings;
    this.#context = context;
    const sharedSlot = settings.slot ?? objectName(context.project, context.name);
    const slot = branch === null ? sharedSlot : branchName(sharedSlot, branch);
    this.#names = { slot, sharedSlot, publication: settings.publication ?? sharedSlot };
    this.#describing = { schema: settings.schema, publication: this.#names.publication };
    const { baseDirectory } = context;
    const open = (signal: AbortSignal) => this.#connect(signal);
    this.#reads = new SqlSession(open);
    // What it is asked is answered at once; a reading that is opened must not wait longer for it than for the stream.
    this.#side = new SqlSession(open, settings.silent_after_ms);
    this.#queries = new SqlSession((signal) => this.#connect(signal, true), QUERY_SILENT_AFTER_MS);
    this.#live = new SqlSession((signal) => this.#connect(signal, true));
    const versions = new RelationVersions();
    this.#mark = new LogMark(this.#reads);
    this.#snapshots = new SnapshotReader(this.#reads, this.#describing, versions, this.#mark);
    const { publication } = this.#names;
    this.#queryReader = new QueryReader(this.#queries, this.#live, publication, versions, this.#mark);
    this.#indexSession = new SqlSession(open);
    this.rowIndexes = new SourceIndexes({
      project: context.project,
      session: this.#indexSession,
      open: (signal) => this.#connect(signal, true),
      reader: this.#queryReader,
      mark: (signal) => this.#mark.note(signal),
    });
    this.#replication = new Replication({
      connect: (replication: boolean, signal: AbortSignal) =>
        connect(settings, { replication, signal, baseDirectory } satisfies ConnectOptions),
      side: this.#side,
      beside: [this.#side, this.#reads, this.#queries, this.#live],
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

  /** `forModels`: for their SQL, not for our own statements. */
  #connect(signal: AbortSignal, forModels = false): Promise<pg.Client> {
    const schemas = forModels ? schemasOf(this.#settings) : undefined;
    return connect(this.#settings, { replication: false, signal, baseDirectory: this.#context.baseDirectory, schemas });
  }

  check(needs: readonly ModelNeeds[], signal: AbortSignal): Promise<readonly Finding[]> {
    return check(this.#settings, needs, { ...this.#names, signal, baseDirectory: this.#context.baseDirectory });
  }

  describe(model: Model, signal: AbortSignal): Promise<Relation> {
    if (model.kind === "query") return this.#queryReader.describe(model, signal);
    return this.#snapshots.describe(model, signal);
  }

  async capture(model: Model, signal: AbortSignal): Promise<Capture> {
    return model.kind === "table" ? { kind: "log" } : captureQuery(model, this.#queryReader, this.#live, signal);
  }

  async #readModels(models: readonly Model[], signal: AbortSignal): Promise<ReadModels> {
    const queries = await readQueries(
      models.filter((model) => model.kind === "query"),
      this.#queryReader,
      signal,
    );
    return { tables: models.filter((model) => model.kind === "table"), ...queries };
  }

  async open(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<SourceCheckpoint> {
    const read = await this.#readModels(models, signal);
    const opened = await this.#replication.open(read, stored, signal);
    this.#meanings = read.meanings;
    return opened;
  }

  async plan(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    return this.#replication.plan(await this.#readModels(models, signal), stored, signal);
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

  async snapshot(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): Promise<SnapshotChunk> {
    if (model.kind === "query")
      throw new TailraceError("internal.defect", "a query is scanned, not read chunk by chunk");
    return this.#snapshots.chunk(model, after, limit, signal);
  }

  scan(model: Model, after: Cursor | null, limit: ChunkLimit, signal: AbortSignal): AsyncIterable<SnapshotChunk> {
    return scan(
      {
        open: (inner) => this.#connect(inner, model.kind === "query"),
        begin: (client) =>
          model.kind === "query"
            ? this.#queryReader.beginScan(client, model, after)
            : this.#snapshots.beginScan(client, model, after),
        mark: (inner) => this.#mark.note(inner),
        limit,
      },
      signal,
    );
  }

  lookup(model: Model, keys: readonly KeyValues[], signal: AbortSignal): Promise<SnapshotChunk> {
    if (model.kind === "query") return this.#queryReader.lookup(model, keys, signal);
    return this.#snapshots.lookup(model, keys, signal);
  }

  estimate(model: Model, signal: AbortSignal): Promise<number | null> {
    if (model.kind === "query") return this.#queryReader.estimate(model, signal);
    return this.#snapshots.estimate(model, signal);
  }

  branch(name: string): Source {
    return new PostgresSource(this.#settings, this.#context, name);
  }

  keeps(stored: SourceCheckpoint): boolean {
    return this.#replication.keeps(stored);
  }

  /** See Source.sameModel. */
  sameModel(model: Model, stored: SourceCheckpoint): boolean {
    return model.kind === "table" || meaningThen(stored, model.name) === this.#meanings.get(model.name);
  }

  retention(signal: AbortSignal): Promise<Retention> {
    return this.#replication.retention(signal);
  }

  forget(signal: AbortSignal): Promise<void> {
    return this.#replication.forget(signal);
  }

  async holdings(branches: readonly string[], signal: AbortSignal): Promise<readonly Holding[]> {
    const slots = await this.#replication.holdings(branches, signal);
    return [...slots, ...(await this.rowIndexes.holdings(branches, signal))];
  }

  async release(name: string, signal: AbortSignal): Promise<void> {
    if (!(await this.rowIndexes.release(name, signal))) await this.#replication.release(name, signal);
  }

  async explain(model: Model, signal: AbortSignal): Promise<CaptureExplanation> {
    if (model.kind === "query") {
      const known = await this.#queryReader.know(model, signal, true);
      return this.#queries.use(signal, (client) => explainQuery(client, model, known));
    }
    const described = await this.#side.use(signal, (client) => describe(client, model, this.#describing));
    return explain(described, this.#names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#replication[Symbol.asyncDispose]();
    const sessions = [this.#reads, this.#side, this.#queries, this.#live, this.#indexSession];
    await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
  }
}
