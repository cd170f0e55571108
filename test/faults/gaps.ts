// Ways in which a log gets a hole, or becomes another log: each as an operator, a migration or a failure brings it about.
import { execFileSync } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import type { Server, ServerOptions } from "../../src/cli/demo/embedded-postgres.ts";
import { type Sql, sqlOn } from "./sql.ts";
import type { Version } from "./postgres-versions.ts";

/** What a gap is made in: table `public.t` (id, name), which a sync mirrors through the publication `pub` and the slot `slot`. */
export interface Stage {
  readonly server: Server;
  readonly database: string;
  /** On the stage's database. */
  readonly sql: Sql;
  readonly publication: string;
  readonly slot: string;
  /** Inserts the next rows into `t`. */
  readonly write: (rows: number) => Promise<void>;
  /** Runs the engine until it has caught up. */
  readonly deliver: () => Promise<void>;
  /** Asks for a resync, which the next run begins with. */
  readonly resync: () => Promise<void>;
  /** Another server of the same version; the stage ends it. */
  readonly another: () => Promise<Server>;
  /** From now on the engine's URL leads there. */
  readonly lead: (to: Server) => void;
}

export interface Gap {
  readonly name: string;
  /** `stopped`: it comes about while no engine runs; `running`: beside a running one. */
  readonly during: "stopped" | "running";
  readonly version?: Version;
  readonly server?: ServerOptions;
  /** Brings it about; what it writes in between must not be lost in silence. */
  make(stage: Stage): Promise<void>;
  /** What the error asks for, before a resync. */
  mend?(stage: Stage): Promise<void>;
}

/** The stage's table, and a role for the engine that is no superuser: row security is not for these. */
export async function setUp(sql: Sql, database: string): Promise<void> {
  await sql(`
    CREATE ROLE engine LOGIN REPLICATION PASSWORD 'engine';
    GRANT CREATE ON DATABASE ${database} TO engine;
    GRANT ALL ON SCHEMA public TO engine;
    CREATE TABLE t (id int PRIMARY KEY, name text);
    ALTER TABLE t OWNER TO engine`);
}

const SMALL_LOG: ServerOptions = {
  initdb: ["--wal-segsize=1"],
  settings: { max_slot_wal_keep_size: "2MB", min_wal_size: "2MB", max_wal_size: "4MB" },
};

async function publicationGone(stage: Stage): Promise<void> {
  await stage.sql(`DROP PUBLICATION ${stage.publication}`);
  await stage.write(3);
  await stage.sql(`CREATE PUBLICATION ${stage.publication} FOR TABLE t WITH (publish_via_partition_root)`);
  await stage.write(3);
}

async function tableOutAndIn({ sql, publication, write }: Stage): Promise<void> {
  await sql(`ALTER PUBLICATION ${publication} DROP TABLE t`);
  await write(3);
  await sql(`ALTER PUBLICATION ${publication} ADD TABLE t`);
  await write(3);
}

async function insertsUnpublished({ sql, publication, write }: Stage): Promise<void> {
  await sql(`ALTER PUBLICATION ${publication} SET (publish = 'update, delete')`);
  await write(3);
  await sql(`ALTER PUBLICATION ${publication} SET (publish = 'insert, update, delete, truncate')`);
  await write(3);
}

async function rowsFiltered({ sql, publication, write }: Stage): Promise<void> {
  await sql(`ALTER PUBLICATION ${publication} SET TABLE t WHERE (id < 0)`);
  await write(3);
}

async function filterTakenOff({ sql, publication }: Stage): Promise<void> {
  await sql(`ALTER PUBLICATION ${publication} SET TABLE t`);
}

export const GAPS: readonly Gap[] = [
  {
    name: "slot lost",
    during: "stopped",
    server: SMALL_LOG,
    make: async ({ sql, slot, write }) => {
      await write(3);
      await sql("CREATE TABLE noise (v text)");
      for (let lost = false; !lost;) {
        await sql("INSERT INTO noise SELECT repeat(md5(g::text), 30) FROM generate_series(1, 5000) g");
        await sql("CHECKPOINT");
        const [row] = await sql(`SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${slot}'`);
        lost = row?.["wal_status"] === "lost";
      }
    },
  },
  {
    name: "slot dropped",
    during: "stopped",
    make: async ({ sql, slot, write }) => {
      await sql(`SELECT pg_drop_replication_slot('${slot}')`);
      await write(3);
    },
  },
  {
    name: "slot recreated",
    during: "stopped",
    make: async ({ sql, slot, write }) => {
      await sql(`SELECT pg_drop_replication_slot('${slot}')`);
      await write(3);
      await sql(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    },
  },
  {
    name: "slot moved on",
    during: "stopped",
    make: async ({ sql, slot, write }) => {
      await write(3);
      await sql(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
    },
  },
  {
    name: "database restored",
    during: "stopped",
    make: async ({ server, write, deliver }) => {
      await server.stop();
      const backup = `${server.directory}-backup`;
      copy(server.directory, backup);
      await server.start();
      await write(2000);
      await deliver();
      await server.stop();
      await rm(server.directory, { recursive: true });
      copy(backup, server.directory);
      await server.start();
      await write(3);
    },
  },
  {
    name: "standby promoted",
    during: "stopped",
    make: async ({ server, another, write, deliver, lead, database }) => {
      const standby = await another();
      await standby.stop();
      await server.stop();
      await rm(standby.directory, { recursive: true });
      copy(server.directory, standby.directory);
      const primary = new URL(server.url());
      await writeFile(
        join(standby.directory, "postgresql.auto.conf"),
        `primary_conninfo = 'host=127.0.0.1 port=${primary.port} user=postgres password=postgres'\n`,
      );
      await writeFile(join(standby.directory, "standby.signal"), "");
      await server.start();
      await standby.start();
      await write(3);
      await deliver();
      const [end] = await sqlOn(server.url(database))("SELECT pg_current_wal_flush_lsn()::text AS lsn");
      const onStandby = sqlOn(standby.url(database));
      for (let there = false; !there;) {
        const [row] = await onStandby(`SELECT (pg_last_wal_replay_lsn() >= '${end!["lsn"]}')::text AS there`);
        there = row?.["there"] === "true";
      }
      // The last rows never reach the standby.
      await standby.stop();
      await write(3);
      await server.stop();
      await standby.start();
      await onStandby("SELECT pg_promote()");
      lead(standby);
      await onStandby("INSERT INTO t SELECT id + 1000000, name FROM t LIMIT 3");
    },
  },
  {
    name: "another cluster",
    during: "stopped",
    make: async ({ another, lead, database }) => {
      const other = await another();
      await sqlOn(other.url())(`CREATE DATABASE ${database}`);
      const onOther = sqlOn(other.url(database));
      await setUp(onOther, database);
      await onOther("INSERT INTO t SELECT g, 'other' FROM generate_series(1, 500) g");
      lead(other);
    },
  },
  { name: "publication recreated", during: "stopped", make: publicationGone },
  { name: "publication recreated, 15", during: "stopped", version: 15, make: publicationGone },
  { name: "publication recreated, running", during: "running", make: publicationGone },
  { name: "publication recreated, running, 15", during: "running", version: 15, make: publicationGone },
  { name: "table out and in", during: "stopped", make: tableOutAndIn },
  { name: "table out and in, running", during: "running", make: tableOutAndIn },
  {
    name: "table recreated",
    during: "stopped",
    make: async ({ sql, write }) => {
      await sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, name text); ALTER TABLE t OWNER TO engine");
      await write(3);
    },
  },
  { name: "inserts unpublished for a while", during: "stopped", make: insertsUnpublished },
  { name: "inserts unpublished for a while, running", during: "running", make: insertsUnpublished },
  { name: "row filter", during: "stopped", make: rowsFiltered, mend: filterTakenOff },
  { name: "row filter, running", during: "running", make: rowsFiltered, mend: filterTakenOff },
  {
    name: "column list",
    during: "stopped",
    make: async ({ sql, publication, write }) => {
      await sql(`ALTER PUBLICATION ${publication} SET TABLE t (id)`);
      await write(3);
    },
    mend: filterTakenOff,
  },
  {
    name: "row security",
    during: "stopped",
    // The log knows nothing of it: it is the reading of what is there that would come out empty.
    make: async ({ sql, write, resync }) => {
      await sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY");
      await sql("CREATE POLICY p ON t USING (id < 0)");
      await write(3);
      await resync();
    },
    mend: async ({ sql }) => {
      await sql("ALTER TABLE t DISABLE ROW LEVEL SECURITY");
    },
  },
];

/** A data directory with its owner and times. Its server must not run. */
function copy(from: string, to: string): void {
  if (process.platform === "win32") throw new Error("not on Windows");
  execFileSync("cp", ["-a", from, to]);
}
