import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TailraceError } from "../../contracts/errors.ts";
import { checksum } from "../checksum.ts";
import { APPLICATION_ID, migrate, SCHEMA_VERSION, schemaText } from "./schema.ts";
import { corrupt, isGeneral, sqliteError } from "./sqlite-error.ts";

const BUSY_TIMEOUT_MS = 5_000;
const SMALLEST_DATABASE_BYTES = 512;

/**
 * Opens the state file, makes it when there is none, and proves it sound first. Null: there is none, and `readOnly`.
 * Throws `state.corrupt` for a file that is damaged or not ours (it is left as it is), `state.version` for one that a
 * newer Tailrace wrote, `state.unavailable` when it cannot be opened.
 */
export function openDatabaseFile(path: string, readOnly: boolean): DatabaseSync | null {
  try {
    if (!existsSync(path)) {
      // The log of a database that is gone holds commits that were acknowledged: somebody's state, not a fresh start.
      if (existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0)
        throw corrupt(path, "the file is missing, but its write-ahead log (-wal) is there");
      if (readOnly) return null;
      createDatabaseFile(path);
    }
    if (statSync(path).size < SMALLEST_DATABASE_BYTES) throw corrupt(path, "the file is empty or cut off");
  } catch (error) {
    throw fileError(error, path);
  }
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly, timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    if (pragma(database, "application_id") !== APPLICATION_ID)
      throw corrupt(path, "the file is not a Tailrace state file, or its header is damaged");
    if (!readOnly) {
      database.exec("PRAGMA journal_mode = WAL");
      database.exec("PRAGMA synchronous = FULL");
    }
    prove(database, path);
    upgrade(database, path, readOnly);
    return database;
  } catch (error) {
    try {
      if (database?.isTransaction === true) database.exec("ROLLBACK");
      database?.close();
    } catch {
      // The first error says more.
    }
    // Nothing is asked here but what every state file answers: a general error (an unknown file format, a table that
    // is not there) comes from the file.
    if (isGeneral(error)) throw new TailraceError("state.corrupt", sqliteError(error, path).message, { cause: error });
    throw sqliteError(error, path);
  }
}

/**
 * Made whole under another name and then linked to its own, so that a crash leaves either no file or a complete one:
 * an empty or half-written state file is therefore always damage.
 */
function createDatabaseFile(path: string): void {
  const folder = dirname(resolve(path));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.new-${randomUUID()}`;
  // SQLite gives the -wal and -shm files the mode of the main file.
  closeSync(openSync(draft, "wx", 0o600));
  try {
    const database = new DatabaseSync(draft);
    try {
      database.exec("PRAGMA synchronous = FULL");
      database.exec("BEGIN");
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      migrate(database, 0);
      database.exec("COMMIT");
      database.exec("PRAGMA journal_mode = WAL");
    } finally {
      database.close();
    }
    sync(draft);
    place(draft, path);
    sync(folder);
  } finally {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(`${draft}${suffix}`, { force: true });
  }
}

function place(draft: string, path: string): void {
  try {
    // Unlike a rename, a link never replaces what another process has just made.
    linkSync(draft, path);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(errnoOf(error))) throw error;
    if (!existsSync(path)) renameSync(draft, path);
  }
}

/** That the file's trees are whole, and its schema is what its version says. */
function prove(database: DatabaseSync, path: string): void {
  // Not quick_check: that one does not compare an index with its table, and a row missing from an index is a lost row.
  const findings = database.prepare("PRAGMA integrity_check(1)").all();
  const first = findings[0]?.["integrity_check"];
  if (first !== "ok") throw corrupt(path, `integrity check: ${String(first)}`);

  const version = pragma(database, "user_version");
  const meta = database.prepare("SELECT value, checksum FROM meta WHERE name = 'schema'").get();
  const value = String(meta?.["value"]);
  if (meta?.["checksum"] !== checksum("meta", ["schema", value]) || value !== String(version))
    throw corrupt(path, "the schema's version is damaged");
  if (version > SCHEMA_VERSION)
    throw new TailraceError(
      "state.version",
      `${path} has state schema ${version}; this Tailrace knows schemas up to ${SCHEMA_VERSION}`,
    );
  const reference = new DatabaseSync(":memory:");
  try {
    migrate(reference, 0, version);
    if (schemaText(reference) !== schemaText(database)) throw corrupt(path, "the schema is damaged");
  } finally {
    reference.close();
  }
}

function upgrade(database: DatabaseSync, path: string, readOnly: boolean): void {
  if (pragma(database, "user_version") === SCHEMA_VERSION) return;
  if (readOnly)
    throw new TailraceError(
      "state.version",
      `${path} has an older state schema (this Tailrace has ${SCHEMA_VERSION}) and was opened read-only; \`tailrace run\` brings it up to date`,
    );
  database.exec("BEGIN IMMEDIATE");
  // Read again under the lock: another process may have done it.
  const version = pragma(database, "user_version");
  if (version < SCHEMA_VERSION) migrate(database, version);
  database.exec("COMMIT");
}

function pragma(database: DatabaseSync, name: "application_id" | "user_version"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

function fileError(error: unknown, path: string): TailraceError {
  if (error instanceof TailraceError) return error;
  if ((error as { errcode?: number }).errcode !== undefined) return sqliteError(error, path);
  const message = error instanceof Error ? error.message : String(error);
  return new TailraceError("state.unavailable", `${path}: ${message}`, { cause: error });
}
