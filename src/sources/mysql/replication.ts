// The half of the source that reads the log: proves continuity, reads.
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import { BinlogDecoder, type ReadTables } from "./binlog-decoder.ts";
import type { BinlogStream } from "./binlog-stream.ts";
import type { Connection } from "./connection.ts";
import { type Opened, openLog } from "./continuity.ts";
import { relationId } from "./describe.ts";
import type { Relation } from "../../contracts/relation.ts";
import { startDump } from "./dump.ts";
import type { GtidSet } from "./gtid-set.ts";
import { fromGtids, parseIncarnation } from "./incarnation.ts";
import { parsePosition } from "./position.ts";
import type { ReadFrom } from "./read-from.ts";
import { readBatches } from "./reader.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { readCharsets } from "./server.ts";
import type { Reading } from "./snapshot.ts";
import { asSourceError } from "./source-error.ts";
import { redefinedIn } from "./statements.ts";
import type { SqlSession } from "./sql-session.ts";
import { TableShapes } from "./table-shapes.ts";

export interface ReplicationOptions {
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  /** For what is asked beside the stream; never for long. */
  readonly side: SqlSession;
  readonly versions: RelationVersions;
  /** Of tables that are named without one. */
  readonly database: string | undefined;
  readonly serverId: number;
  readonly silentAfterMs: number;
}

const NOTHING: GtidSet = new Map();

export class Replication implements AsyncDisposable {
  readonly #options: ReplicationOptions;
  #opened: Opened | null = null;
  #stream: BinlogStream | null = null;
  #decoder: BinlogDecoder | null = null;
  #redefined = 0;
  /** A gap that was met while reading, and a place before it: who has come no further meets it again. */
  #broken: { readonly after: Position; readonly error: TailraceError } | null = null;

  constructor(options: ReplicationOptions) {
    this.#options = options;
  }

  /** See Source.open. */
  async open(
    models: readonly Model[],
    stored: readonly SourceCheckpoint[],
    signal: AbortSignal,
  ): Promise<SourceCheckpoint> {
    const opened = await this.prove(models, stored, signal);
    this.#opened = opened;
    return opened.checkpoint;
  }

  /** What opening finds; it makes nothing on the source. */
  async prove(models: readonly Model[], stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<Opened> {
    const { connect, side, database, serverId, silentAfterMs } = this.#options;
    const broken = this.#broken;
    try {
      if (broken !== null && stored.some(({ position }) => position <= broken.after)) throw broken.error;
      return await side.use(signal, (connection) => {
        const options = { connection, connect: () => connect(signal), database, serverId, silentAfterMs };
        return openLog({ ...options, before: this.#opened }, models, stored);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#sourceError(error);
    }
  }

  /** Once continuity is broken, a reading that begins anew owes nothing to the old one. */
  #sourceError(error: unknown): TailraceError {
    const named = asSourceError(error);
    if (named.consequence === "gap") this.#opened = null;
    // What swallowed the stream has swallowed the session beside it.
    if (named.code === "source.silent") this.#options.side.cut();
    return named;
  }

  /** See Source.keeps. */
  keeps({ incarnation }: SourceCheckpoint): boolean {
    if (this.#opened === null) return true;
    try {
      return parseIncarnation(incarnation).server === this.#opened.server.identity;
    } catch {
      // Not a checkpoint of ours at all: opening says so.
      return true;
    }
  }

  get reading(): Reading {
    const incarnation = this.#opened?.incarnation;
    return { epoch: incarnation?.epoch ?? 1, server: incarnation?.server ?? null };
  }

  /** MySQL: the transactions that the log has brought. */
  get seen(): GtidSet {
    return this.#decoder?.seen.set ?? NOTHING;
  }

  /** ms since the epoch when the stream last said anything; null: it does not run. */
  get lastByteAtMs(): number | null {
    return this.#stream?.lastByteAtMs ?? null;
  }

  /** See Source.read. */
  async *read(after: Position, signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    const opened = this.#opened;
    if (!opened) throw new TailraceError("internal.defect", "read before open");
    if (this.#stream) throw new TailraceError("internal.defect", "a second read beside the first");
    if (signal.aborted) return;
    const { connect, side, versions, serverId, silentAfterMs } = this.#options;
    const { server, base } = opened;
    const { mariadb } = server;
    let stream: BinlogStream | null = null;
    const abort = () => stream?.fail(new TailraceError("source.unreachable", "stopped"));
    signal.addEventListener("abort", abort);
    let readTo = after;
    try {
      const charsets = await side.use(signal, (connection) => readCharsets(connection, server));
      const from = readFrom(opened, after);
      const dump = await startDump(await connect(signal), from, { mariadb, serverId, silentAfterMs, base });
      ({ stream } = dump);
      this.#stream = stream;
      if (signal.aborted) return;
      const decoder = new BinlogDecoder({
        mariadb,
        from,
        after,
        checksums: dump.checksums,
        tables: this.#readTables(opened),
      });
      this.#decoder = decoder;
      const keys = new Map(
        [...relationsOf(opened)].map(([id, { key, columns }]) => [id, key.map((place) => columns[place]!.name)]),
      );
      const shapes = new TableShapes({ side, versions, mariadb, charsets, keys });
      for await (const batch of readBatches(stream, decoder, after, (map) => shapes.shapeOf(map))) {
        readTo = batch.end;
        yield batch;
      }
    } catch (error) {
      if (signal.aborted) return;
      const named = this.#sourceError(error);
      if (named.consequence === "gap") this.#broken = { after: readTo, error: named };
      throw named;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#stream = null;
      await stream?.close();
    }
  }

  #readTables(opened: Opened): ReadTables {
    const { tables, queries } = opened;
    const { versions } = this.#options;
    const relations = relationsOf(opened);
    const names = [...tables.values()].map(({ table }) => table);
    return {
      has: (database, table) => relations.has(relationId(database, table)),
      relationOf: (database, table) => versions.intern(relations.get(relationId(database, table))!),
      touchedBy: ({ database, table }) =>
        names.filter((one) => one.database === database && (table ?? one.name) === one.name).map(({ name }) => name),
      watched: (database, table) => {
        const relation = queries.definitions.get(relationId(database, table));
        return relation === undefined ? null : versions.intern(relation);
      },
      redefinedBy: (sql, database) => {
        if (queries.definitions.size === 0) return [];
        const ids = new Set(redefinedIn(sql, database).map((name) => relationId(name.database, name.table)));
        const redefined = [...queries.definitions].filter(([id]) => ids.has(id)).map(([, relation]) => relation);
        if (redefined.length > 0) this.#redefined += 1;
        return redefined.map((relation) => versions.intern(relation));
      },
    };
  }

  /** Grows when the log tells that a table or view was altered that some query reads. */
  get redefined(): number {
    return this.#redefined;
  }

  /** See Source.sameModel. */
  sameModel(model: Model, { incarnation }: SourceCheckpoint): boolean {
    if (model.kind === "table") return true;
    return parseIncarnation(incarnation).meanings?.[model.name] === this.#opened?.queries.meanings[model.name];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stream = this.#stream;
    this.#stream = null;
    await stream?.close();
  }
}

function readFrom({ incarnation, uuids }: Opened, after: Position): ReadFrom {
  const place = parsePosition(after);
  const { epoch, done } = incarnation;
  return place.epoch === epoch ? { by: "place", epoch, place } : fromGtids(done, place, epoch, uuids);
}

/** Of the tables that are read, a model's own before those of queries. */
function relationsOf({ tables, queries }: Opened): ReadonlyMap<string, Relation> {
  return new Map([...queries.bases, ...[...tables].map(([id, { relation }]) => [id, relation] as const)]);
}
