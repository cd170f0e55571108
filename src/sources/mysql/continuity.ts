// Is the log unbroken from where we stopped?
import { TailraceError } from "../../contracts/errors.ts";
import type { Model } from "../../contracts/model.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { SourceCheckpoint } from "../../contracts/source.ts";
import type { Connection } from "./connection.ts";
import { type DescribedModel, describeModel, relationId } from "./describe.ts";
import { type DumpOptions, type LogStart, probeDump } from "./dump.ts";
import { parseGtidSet } from "./gtid-set.ts";
import { parseGtidState } from "./gtid-state.ts";
import {
  type Done,
  type Incarnation,
  type Stored,
  doneAt,
  formatIncarnation,
  fromGtids,
  readStored,
} from "./incarnation.ts";
import { heardOf, hearsTheLog, knowQuery } from "./known-query.ts";
import { positionAt } from "./position.ts";
import { baseRelation, definitionRelation } from "./query-reads.ts";
import { type LogEnd, type LogFile, type Server, readLogEnd, readLogFiles, readServer } from "./server.ts";

/** A source that was opened. */
export interface Opened {
  readonly checkpoint: SourceCheckpoint;
  readonly server: Server;
  readonly incarnation: Incarnation;
  /** The files' name without their numbers. */
  readonly base: string;
  /** MySQL: the UUIDs of the servers that its transactions come from. */
  readonly uuids: readonly string[];
  /** The tables that are read, by the id of their relation. */
  readonly tables: ReadonlyMap<string, DescribedModel>;
  readonly queries: ReadQueries;
}

/** What the models read that are queries. */
export interface ReadQueries {
  /** Tables of those that are followed, by the id of their relation. */
  readonly bases: ReadonlyMap<string, Relation>;
  /** Of all tables and views that concern one, see {@link definitionRelation}; by {@link relationId}. */
  readonly definitions: ReadonlyMap<string, Relation>;
  /** See KnownQuery.meaning, by the names of the models. */
  readonly meanings: Readonly<Record<string, string>>;
}

export interface OpenOptions {
  /** The sessions for the questions, and new connections to try the log with. */
  readonly connection: Connection;
  readonly connect: () => Promise<Connection>;
  readonly database: string | undefined;
  readonly serverId: number;
  readonly silentAfterMs: number;
  /** As it was opened before in this process. */
  readonly before: Opened | null;
}

/** See Source.open. */
export async function openLog(
  options: OpenOptions,
  models: readonly Model[],
  stored: readonly SourceCheckpoint[],
): Promise<Opened> {
  const { connection, before } = options;
  const server = await readServer(connection);
  requireSettings(server);
  const tables = await describeAll(connection, models, options.database);
  const queries = await readQueries(connection, server, models, options.database);
  const { meanings } = queries;
  const now = await readNow(connection, server);
  const { end } = now;
  const uuids = now.done.mariadb ? [] : [...now.done.set.keys()];
  const common = { server, base: end.base, uuids, tables, queries };
  // What was read in this process without being stored yet must not be lost either.
  const promised = (stored.length > 0 ? stored : before ? [before.checkpoint] : []).map(readStored);
  const oldest = promised.toSorted((a, b) => (a.checkpoint.position < b.checkpoint.position ? -1 : 1))[0];
  const probe = probing(options, server, end);
  if (oldest === undefined) {
    const { begun } = await probe({ by: "place", epoch: 1, place: { ...PLACE, file: end.file, offset: end.offset } });
    const incarnation: Incarnation = { server: server.identity, epoch: 1, done: now.done, meanings };
    const position = positionAt({ ...PLACE, file: end.file, offset: end.offset, begun });
    return { ...common, incarnation, checkpoint: { position, incarnation: formatIncarnation(incarnation) } };
  }
  const isHere = ({ place, incarnation }: Stored): boolean =>
    [incarnation, before?.incarnation].some(
      (known) => known?.server === server.identity && known.epoch === place.epoch,
    );
  for (const one of promised) {
    if (one.incarnation.done.mariadb !== server.mariadb)
      throw new TailraceError("source.gap.cluster", "the checkpoint was made on another kind of server");
  }
  const here = promised.filter(isHere);
  await proveHere(here, now.files, probe);
  // Where the oldest place is on another server, this one must have all that came after it.
  const elsewhere = promised.filter((one) => !isHere(one));
  for (const { place, incarnation } of elsewhere) await probe(fromGtids(incarnation.done, place, place.epoch, uuids));
  const epoch = epochOf(promised, isHere, server, before);
  const done = doneAt(oldest.incarnation.done, oldest.place, uuids);
  const incarnation: Incarnation = { server: server.identity, epoch, done, meanings };
  const { position } = oldest.checkpoint;
  return { ...common, incarnation, checkpoint: { position, incarnation: formatIncarnation(incarnation) } };
}

/** Of this server's positions: the one that they have already, where all others are of earlier ones. */
function epochOf(
  promised: readonly Stored[],
  isHere: (one: Stored) => boolean,
  server: Server,
  before: Opened | null,
): number {
  const made = [...promised.map(({ incarnation }) => incarnation), ...(before === null ? [] : [before.incarnation])];
  const ours = Math.max(0, ...made.filter((one) => one.server === server.identity).map(({ epoch }) => epoch));
  const latest = Math.max(...promised.map(({ place }) => place.epoch), ...made.map(({ epoch }) => epoch));
  const taken = promised.some((one) => one.place.epoch === ours && !isHere(one));
  return ours === latest && !taken ? ours : latest + 1;
}

const PLACE = { epoch: 1, file: 0, offset: 0, ordinal: 0, begun: 0, gtid: "" };

interface Now {
  readonly end: LogEnd;
  readonly files: readonly LogFile[];
  /** In the log before `end`. */
  readonly done: Done;
}

async function readNow(connection: Connection, server: Server): Promise<Now> {
  // Before the end is read, so that it is not more than what lies before the end.
  const state = server.mariadb ? ((await connection.value("SELECT @@GLOBAL.gtid_binlog_pos")) ?? "") : "";
  const end = await readLogEnd(connection, server);
  const files = await readLogFiles(connection);
  return {
    end,
    files,
    done: server.mariadb
      ? { mariadb: true, state: parseGtidState(state) }
      : { mariadb: false, set: parseGtidSet(end.executed) },
  };
}

/** Throws `source.config` when the server does not write what is to be read. */
function requireSettings({ mariadb, variables }: Server): void {
  const wanting = (what: string): never => {
    throw new TailraceError("source.config", `${what}; \`tailrace check\` prints the statements`);
  };
  if (variables.log_bin !== "ON") wanting("the server writes no binary log (log_bin is OFF)");
  if (variables.binlog_format !== undefined && variables.binlog_format !== "ROW")
    wanting(`binlog_format is ${variables.binlog_format}, and must be ROW`);
  if (!mariadb && variables.gtid_mode !== "ON") wanting(`gtid_mode is ${variables.gtid_mode ?? "OFF"}, and must be ON`);
  if (variables.binlog_row_value_options === "PARTIAL_JSON")
    wanting("binlog_row_value_options is PARTIAL_JSON, and must be empty");
}

async function describeAll(
  connection: Connection,
  models: readonly Model[],
  database: string | undefined,
): Promise<ReadonlyMap<string, DescribedModel>> {
  const tables = new Map<string, DescribedModel>();
  for (const model of models) {
    if (model.kind !== "table") continue;
    const described = await describeModel(connection, model, database);
    const other = tables.get(described.relation.id);
    if (other !== undefined && String(other.relation.key) !== String(described.relation.key)) {
      throw new TailraceError(
        "source.config",
        `two models give ${described.relation.id} different keys: use one, or a source of its own for each`,
      );
    }
    tables.set(described.relation.id, described);
  }
  return tables;
}

async function readQueries(
  connection: Connection,
  server: Server,
  models: readonly Model[],
  database: string | undefined,
): Promise<ReadQueries> {
  const bases = new Map<string, Relation>();
  const definitions = new Map<string, Relation>();
  const meanings: Record<string, string> = {};
  for (const model of models) {
    if (model.kind !== "query") continue;
    const known = await knowQuery(connection, model, database);
    meanings[model.name] = known.meaning;
    if (!hearsTheLog(model, known)) continue;
    const { tables, views } = heardOf(known);
    const followed = known.because.length === 0;
    for (const table of followed ? tables : [])
      bases.set(relationId(table.database, table.name), baseRelation(table, server));
    for (const { database: schema, name } of [...tables, ...views]) {
      definitions.set(relationId(schema, name), definitionRelation(schema, name));
    }
  }
  return { bases, definitions, meanings };
}

type Probe = (from: Parameters<typeof probeDump>[1]) => Promise<LogStart>;

function probing({ connect, serverId, silentAfterMs }: OpenOptions, server: Server, end: LogEnd): Probe {
  const options: DumpOptions = { mariadb: server.mariadb, serverId, silentAfterMs, base: end.base };
  return async (from) => probeDump(await connect(), from, options);
}

/** Of places in the log of this very server. */
async function proveHere(here: readonly Stored[], files: readonly LogFile[], probe: Probe): Promise<void> {
  const begun = new Map<number, number>();
  for (const { place } of here) {
    const file = files.find(({ number }) => number === place.file);
    if (file === undefined) {
      const first = files[0];
      if (first !== undefined && place.file < first.number) {
        throw new TailraceError(
          "source.gap.purged",
          `the server has deleted its binary log up to ${first.name}; the checkpoint is in number ${place.file}`,
        );
      }
      throw new TailraceError(
        "source.gap.cluster",
        `the server's binary log does not reach the checkpoint's file, number ${place.file}: it was reset, or the server was restored to an older state`,
      );
    }
    if (place.offset > file.bytes) {
      throw new TailraceError(
        "source.gap.cluster",
        `${file.name} ends before the checkpoint: the binary log was reset, or the server was restored to an older state`,
      );
    }
    let seconds = begun.get(place.file);
    if (seconds === undefined) {
      seconds = (await probe({ by: "place", epoch: place.epoch, place: { ...place, offset: 4, ordinal: 0 } })).begun;
      begun.set(place.file, seconds);
    }
    if (seconds !== place.begun) {
      throw new TailraceError(
        "source.gap.cluster",
        `${file.name} is another file than the checkpoint was made in: the binary log was reset`,
      );
    }
  }
}
