import type { DatabaseSync } from "node:sqlite";
import { checksum } from "../checksum.ts";

/** "Trce": tells our file from any other SQLite database. */
export const APPLICATION_ID = 0x54726365;

/**
 * Numbered steps, forward only; a step that was released is never edited. Step n makes schema version n.
 *
 * Every row that matters carries a checksum over its own content. Tables whose key is text are WITHOUT ROWID, so
 * that a row lives in one place only.
 */
const STEPS: readonly string[] = [
  `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Long, rarely changed and shared by the syncs of a source: kept once, named by its own hash.
  CREATE TABLE incarnation (
    hash TEXT PRIMARY KEY, text TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE sync (
    name TEXT PRIMARY KEY,
    position TEXT,
    incarnation TEXT REFERENCES incarnation (hash),
    backfill TEXT,
    paused INTEGER NOT NULL,
    stopped TEXT,
    generation INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    checksum TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE failure (
    sync TEXT NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    op TEXT NOT NULL,
    position TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    answer TEXT,
    attempts INTEGER NOT NULL,
    failed_at_ms INTEGER NOT NULL,
    payload TEXT,
    checksum TEXT NOT NULL,
    PRIMARY KEY (sync, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX failure_order ON failure (sync, position, id);

  -- AUTOINCREMENT: the id of a request that was taken is never given to a later one.
  CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sync TEXT NOT NULL,
    request TEXT NOT NULL,
    checksum TEXT NOT NULL
  ) STRICT;

  CREATE TABLE lease (
    sync TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    owner TEXT,
    pid INTEGER,
    started TEXT,
    boot TEXT,
    namespace TEXT,
    beat_ms INTEGER,
    beat_at_ms INTEGER
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE report (
    sync TEXT PRIMARY KEY, report TEXT NOT NULL, reported_at_ms INTEGER NOT NULL, checksum TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // JSON of SyncState.heldDeletes.
  "ALTER TABLE sync ADD COLUMN held TEXT",
  // record: JSON of a DroppedFailure. The count goes on where records are forgotten.
  `
  CREATE TABLE dropped (
    sync TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    id TEXT NOT NULL,
    record TEXT NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (sync, at_ms, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dropped_count (
    sync TEXT PRIMARY KEY, count INTEGER NOT NULL, checksum TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // SyncState.writerMemory.
  "ALTER TABLE sync ADD COLUMN writer TEXT",
];

export const SCHEMA_VERSION = STEPS.length;

/** Brings a database from schema `from` to `to`. Runs inside the caller's transaction. */
export function migrate(database: DatabaseSync, from: number, to: number = SCHEMA_VERSION): void {
  for (const step of STEPS.slice(from, to)) database.exec(step);
  const value = String(to);
  database
    .prepare("INSERT OR REPLACE INTO meta (name, value, checksum) VALUES ('schema', ?, ?)")
    .run(value, checksum("meta", ["schema", value]));
  // A pragma takes no parameter; this is a number of ours.
  database.exec(`PRAGMA user_version = ${to}`);
}

/** The text of every table and index, for comparing a file's schema with what its version should have. */
export function schemaText(database: DatabaseSync): string {
  const rows = database.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").all();
  return JSON.stringify(rows.map((row) => [row["type"], row["name"], row["tbl_name"], row["sql"]]));
}
