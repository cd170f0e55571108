// What DuckDB's errors mean for us. Its texts quote row values, so our messages are made of our own words and of names.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";
import { kindOf, lockConflict, namesIn } from "../../kit/duckdb/errors.ts";

/** `committing`: the commit was begun; when it breaks, it may have happened. */
export type Phase = "opening" | "working" | "committing";

const MEANINGS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  Constraint: ["destination.refused", "a constraint does not hold"],
  Conversion: ["destination.refused", "a text is not a value of the column's type"],
  "Invalid Input": ["destination.refused", "a value is not taken"],
  "Out of Range": ["destination.refused", "a number is out of its column's range"],
  TransactionContext: ["destination.unavailable", "the transaction could not go on"],
  "Out of Memory": ["destination.unavailable", "`memory_limit` does not do for a batch"],
  Catalog: ["destination.config", "something that is named does not exist"],
  Binder: ["destination.config", "the table does not take the statement"],
  Permission: ["destination.config", "a file may not be written"],
};

export function databaseError(error: unknown, phase: Phase): TailraceError {
  if (error instanceof TailraceError) return error;
  const lock = lockConflict(error);
  if (lock !== null) {
    const who = lock.pid === null ? "another process" : `another process (${lock.pid})`;
    return new TailraceError("destination.unavailable", `${who} has the database file open`);
  }
  const kind = kindOf(error);
  if (kind === null) return TailraceError.from(error);
  const [code, what] = MEANINGS[kind] ?? [
    phase === "opening" ? "destination.unreachable" : "destination.unavailable",
    "DuckDB failed",
  ];
  const named = namesIn(error) ?? constraintIn(error);
  const message = `${what} (${kind} error)${named === null ? "" : `: ${named}`}`;
  // What fails in a commit may be on the disk already, but for a constraint that it finds broken.
  if (phase === "committing" && kind !== "Constraint" && kind !== "TransactionContext")
    return new TailraceError("destination.unknown", message);
  return new TailraceError(code, message);
}

/** Which constraint, where the message holds no value. */
function constraintIn(error: unknown): string | null {
  const { message = "" } = error as { message?: string };
  const notNull = /^Constraint Error: NOT NULL constraint failed: ([^\n:]{1,200})$/.exec(message)?.[1];
  if (notNull !== undefined) return `column ${notNull} must not be null`;
  if (message.startsWith("Constraint Error: Duplicate key"))
    return "another row has this value of a unique column already";
  const check = /^Constraint Error: CHECK constraint failed on table ([^\n ]{1,120}) /.exec(message)?.[1];
  return check === undefined ? null : `a check of table ${check}`;
}
