import { closeSync, existsSync, openSync, renameSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Connection } from "./connection.ts";
import { corrupt, sqliteError } from "./sqlite-error.ts";

const BUSY_TIMEOUT_MS = 5_000;

/**
 * The indexes of what was sent have a file of their own beside the state's: they may be large, and the state file is proven sound
 * whenever it is opened. Numbered steps, forward only; step n makes version n.
 */
const STEPS: readonly string[] = [
  // One row for each record; without row ids, so that a record lives in one place only. detail: JSON of what identifies it,
  // where the key alone does not. hash: for the hash of what was last sent.
  `
  CREATE TABLE sent_of (id INTEGER PRIMARY KEY, sync TEXT NOT NULL UNIQUE, identity TEXT NOT NULL, syncs INTEGER NOT NULL) STRICT;
  CREATE TABLE sent (
    sync INTEGER NOT NULL, key TEXT NOT NULL, generation INTEGER NOT NULL, detail TEXT, hash BLOB,
    PRIMARY KEY (sync, key)
  ) STRICT, WITHOUT ROWID;
  `,
  // One row for each row of a model that is not read from the log itself. last: the greatest version that was given; places: how many there
  // are, with those in indexed_free. synced: its number grows when all that was written before is to be on the disk.
  `
  CREATE TABLE indexed_model (
    id INTEGER PRIMARY KEY, sync TEXT NOT NULL UNIQUE, identity TEXT NOT NULL, parts TEXT NOT NULL,
    last INTEGER NOT NULL, places INTEGER NOT NULL, rows INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE indexed (
    model INTEGER NOT NULL, key TEXT NOT NULL, place INTEGER NOT NULL, version INTEGER NOT NULL, confirmed INTEGER NOT NULL,
    hash BLOB, record TEXT, identity TEXT,
    PRIMARY KEY (model, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE indexed_free (
    model INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (model, place)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE indexed_part (
    model INTEGER NOT NULL, places TEXT NOT NULL, value TEXT NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (model, places, value, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE synced (times INTEGER NOT NULL) STRICT;
  INSERT INTO synced VALUES (0);
  `,
];
const VERSION = STEPS.length;

export interface SentFile {
  readonly connection: Connection;
  /** Where a damaged file was moved to; null: it was whole, or not there. */
  readonly damaged: string | null;
}

/** `.tailrace/state.db` → `.tailrace/state-sent.db`. */
export function sentPath(statePath: string): string {
  return `${statePath.replace(/\.db$/, "")}-sent.db`;
}

/**
 * Opens the file, makes it when there is none. A damaged one is moved aside: the index can be made anew, and without it
 * nothing wrong is done, only less.
 */
export function openSentFile(path: string): SentFile {
  try {
    return { connection: open(path), damaged: null };
  } catch (error) {
    const failure = sqliteError(error, path);
    if (failure.code !== "state.corrupt" || !existsSync(path)) throw failure;
  }
  const damaged = `${path}.damaged-${Date.now()}`;
  for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, damaged + suffix);
  return { connection: open(path), damaged };
}

/** For looking only; null: there is none, or none that can be read as it is. */
export function lookIntoSentFile(path: string): Connection | null {
  if (!existsSync(path)) return null;
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    if (versionOf(database) === VERSION) return new Connection(path, database);
    database.close();
    return null;
  } catch (error) {
    if (sqliteError(error, path).code === "state.corrupt") return null;
    throw sqliteError(error, path);
  }
}

function open(path: string): Connection {
  // Keys are in it: only for its owner's eyes. SQLite gives its other files the same mode.
  closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    // Keys in no order touch a page each: small ones, which the log carries over to the file seldom, cost less.
    database.exec("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    database.exec("PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 16000");
    const version = versionOf(database);
    if (version > VERSION) throw corrupt(path, `it has version ${version} of the index, not ${VERSION}`);
    if (version < VERSION) {
      database.exec("BEGIN IMMEDIATE");
      // Read again under the lock: another process may have done it.
      for (const step of STEPS.slice(versionOf(database))) database.exec(step);
      database.exec(`PRAGMA user_version = ${VERSION}`);
      database.exec("COMMIT");
    }
    return new Connection(path, database);
  } catch (error) {
    database.close();
    throw error;
  }
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
}
