// A model on MariaDB that is followed by changes, evaluated late and in pieces.
import type { QueryModel } from "../../src/contracts/model.ts";
import type { KeyValues } from "../../src/contracts/source.ts";
import type { Values } from "../../src/contracts/values.ts";
import { RelationVersions } from "../../src/kit/relation-versions.ts";
import { type Connection, connect } from "../../src/sources/mysql/connection.ts";
import { type QueryAnalysis, analyse } from "../../src/sources/mysql/query/analyse.ts";
import { ServerCatalog } from "../../src/sources/mysql/query/catalog.ts";
import { MysqlLiveQuery } from "../../src/sources/mysql/query/live-query.ts";
import { readRows } from "../../src/sources/mysql/read-rows.ts";
import { type RelationSource, relationSource } from "../../src/sources/mysql/relation-source.ts";
import { type Server, readServer } from "../../src/sources/mysql/server.ts";
import { SnapshotReader } from "../../src/sources/mysql/snapshot.ts";
import { SqlSession } from "../../src/sources/mysql/sql-session.ts";
import { literal } from "../../src/sources/mysql/sql.ts";
import { keyColumns, valuesSql } from "../../src/sources/mysql/values-sql.ts";
import type { Choices } from "./choices.ts";
import { type ByKey, type FollowedOutcome, byKey, followSteps } from "./follow.ts";
import { LiveTables, type Row, type TableWriter, type World } from "./live-tables.ts";
import type { Mariadb } from "./mariadb.ts";
import { startBinlogServer } from "./mysql-source.ts";

const never = new AbortController().signal;

interface Room {
  readonly session: SqlSession;
  readonly snapshots: SnapshotReader;
  readonly catalog: ServerCatalog;
}

/** A server of its own, with some worlds on it, each a database. */
export class MariadbLab implements AsyncDisposable {
  readonly #mariadb: Mariadb;
  readonly #writer: Connection;
  readonly #server: Server;
  readonly #rooms = new Map<World, Room>();

  private constructor(mariadb: Mariadb, writer: Connection, server: Server) {
    this.#mariadb = mariadb;
    this.#writer = writer;
    this.#server = server;
  }

  static async start(worlds: readonly World[]): Promise<MariadbLab> {
    const mariadb = await startBinlogServer();
    const writer = await connect({ url: mariadb.url() }, { signal: never });
    for (const { schema, tables, views } of worlds) {
      await writer.rows(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`);
      await writer.rows(`USE ${schema}`);
      for (const { name, columns } of tables) {
        const list = columns.map((column) => `${column.name} ${column.type}`).join(", ");
        await writer.rows(`CREATE TABLE ${name} (${list})`);
      }
      for (const view of views.split(";").filter((text) => text.trim() !== "")) await writer.rows(view);
    }
    return new MariadbLab(mariadb, writer, await readServer(writer));
  }

  async analyse(
    world: World,
    model: QueryModel,
  ): Promise<{ readonly source: RelationSource; readonly analysis: QueryAnalysis; readonly room: Room }> {
    const room = await this.#roomOf(world);
    return room.session.use(never, async (connection) => {
      const source = await relationSource(connection, model, world.schema);
      return { source, analysis: await analyse(model, source, connection, room.catalog, this.#server), room };
    });
  }

  async #roomOf(world: World): Promise<Room> {
    const known = this.#rooms.get(world);
    if (known) return known;
    const open = (signal: AbortSignal) => connect({ url: this.#mariadb.url(world.schema) }, { signal });
    const session = new SqlSession(open);
    const snapshots = new SnapshotReader({
      session,
      connect: open,
      versions: new RelationVersions(),
      database: world.schema,
      reading: () => ({ epoch: 1, server: null }),
    });
    const room = { session, snapshots, catalog: new ServerCatalog(await open(never), this.#server, world.schema) };
    this.#rooms.set(world, room);
    return room;
  }

  get writer(): TableWriter {
    const run = async (text: string, values: Row = []) => {
      const sql = text.replace(/\$(\d+)/g, (_, n: string) => {
        const value = values[Number(n) - 1];
        return value === null || value === undefined ? "NULL" : literal(value);
      });
      const rows: Row[] = [];
      await this.#writer.stream(sql, { row: (row) => rows.push(row.map((bytes) => bytes?.toString("utf8") ?? null)) });
      return rows;
    };
    return { run, idOf: (schema, table) => Promise.resolve(`${schema}.${table}`) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of this.#rooms.values()) await session[Symbol.asyncDispose]();
    await this.#writer.close();
    await this.#mariadb[Symbol.asyncDispose]();
  }
}

/** The model over steps, see {@link followSteps}; or why it cannot be followed. */
export async function follow(
  lab: MariadbLab,
  world: World,
  model: QueryModel,
  choices: Choices,
  steps: readonly number[],
): Promise<FollowedOutcome | { readonly analysis: Extract<QueryAnalysis, { kind: "diff" }> }> {
  const { source, analysis, room } = await lab.analyse(world, model);
  if (analysis.kind === "diff") return { analysis };
  const live = new MysqlLiveQuery(source, analysis, (signal, work) => room.snapshots.inSnapshot(signal, work));
  const tables = await LiveTables.empty(lab.writer, world);
  const read = async (where: string): Promise<ByKey> => {
    const list = source.columns.map((column) => column.select("t")).join(", ");
    const sql = `SELECT ${list} FROM ${source.from}${where}`;
    const { rows } = await room.session.use(never, (connection) =>
      readRows(connection, sql, source.columns, Infinity, () => {}),
    );
    return byKey(rows as readonly (Values & Row)[], source.relation.key);
  };
  const of = (keys: readonly KeyValues[]) => read(` WHERE ${valuesSql(keyColumns(source), keys)}`);
  return followSteps({ live, tables, all: () => read(""), of }, choices, steps);
}
