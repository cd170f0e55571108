import { closeSync, existsSync, openSync, renameSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Connection } from "./connection.ts";
import { corrupt, sqliteError } from "./sqlite-error.ts";

const BUSY_TIMEOUT_MS = 5_000;
const VERSION = 1;

/**
 * The index of what was sent has a file of its own beside the state's: it may be large, and the state file is proven sound
 * whenever it is opened. One row for each record; without row ids, so that a record lives in one place only.
 * `detail`: JSON of what identifies it, where the key alone does not. `hash`: for the hash of what was last sent.
 */
const SCHEMA = `
  CREATE TABLE sent_of (id INTEGER PRIMARY KEY, sync TEXT NOT NULL UNIQUE, identity TEXT NOT NULL, syncs INTEGER NOT NULL) STRICT;
  CREATE TABLE sent (
    sync INTEGER NOT NULL, key TEXT NOT NULL, generation INTEGER NOT NULL, detail TEXT, hash BLOB,
    PRIMARY KEY (sync, key)
  ) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${VERSION};
`;

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

function open(path: string): Connection {
  // Keys are in it: only for its owner's eyes. SQLite gives its other files the same mode.
  closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    // Keys in no order touch a page each: small ones, which the log carries over to the file seldom, cost less.
    database.exec("PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    database.exec("PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 16000");
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (version === 0) {
      database.exec("BEGIN IMMEDIATE");
      // Read again under the lock: another process may have done it.
      if (Number(database.prepare("PRAGMA user_version").get()?.["user_version"]) === 0) database.exec(SCHEMA);
      database.exec("COMMIT");
    } else if (version !== VERSION) throw corrupt(path, `it has version ${version} of the index, not ${VERSION}`);
    return new Connection(path, database);
  } catch (error) {
    database.close();
    throw error;
  }
}
