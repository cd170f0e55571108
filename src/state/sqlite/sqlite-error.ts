import { TailraceError, type ErrorCode } from "../../contracts/errors.ts";

const CORRUPT = new Set([11, 26]);
const BUSY = new Set([5, 6]);
// PERM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, and NOMEM: of the machine, not of the file.
const UNAVAILABLE = new Set([3, 7, 8, 9, 10, 13, 14, 15]);
// A read that ended before the page did: the file is shorter than its own header says.
const SHORT_READ = 522;

interface SqliteFailure extends Error {
  readonly code?: string;
  readonly errcode?: number;
}

/** What SQLite threw, as the operator is told it. SQLite's own texts hold no values of ours. */
export function sqliteError(error: unknown, path: string): TailraceError {
  if (error instanceof TailraceError) return error;
  const failure = error as SqliteFailure;
  return new TailraceError(codeOf(failure), `${path}: ${failure.message}`, { cause: error });
}

/** Whether another connection held the lock for longer than the busy timeout. */
export function isBusy(error: unknown): boolean {
  if (error instanceof TailraceError) return isBusy(error.cause);
  return error instanceof Error && BUSY.has(((error as SqliteFailure).errcode ?? 0) & 0xff);
}

/** SQLITE_ERROR: a statement that makes no sense for this file. */
export function isGeneral(error: unknown): boolean {
  return error instanceof Error && (error as SqliteFailure).errcode === 1;
}

export function corrupt(path: string, what: string): TailraceError {
  return new TailraceError("state.corrupt", `${path}: ${what}`);
}

function codeOf(failure: SqliteFailure): ErrorCode {
  // Only a damaged integer is larger than what we ever write.
  if (failure.code === "ERR_OUT_OF_RANGE") return "state.corrupt";
  const extended = failure.errcode ?? 0;
  const primary = extended & 0xff;
  if (CORRUPT.has(primary) || extended === SHORT_READ) return "state.corrupt";
  if (BUSY.has(primary) || UNAVAILABLE.has(primary)) return "state.unavailable";
  return "internal.defect";
}
