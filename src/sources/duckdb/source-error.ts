// DuckDB's errors as ours. Its texts quote values and lines of files: only what errors.ts of the kit picks out is passed on.
import { TailraceError } from "../../contracts/errors.ts";
import { kindOf, lockConflict, namesIn } from "../../kit/duckdb/errors.ts";

export function asSourceError(error: unknown, what: string): TailraceError {
  if (error instanceof TailraceError) return error;
  const lock = lockConflict(error);
  if (lock !== null) {
    const who = lock.pid === null ? "another process" : `another process (${lock.pid})`;
    return new TailraceError("source.blocked", `${what}: ${who} has the database file open for writing`);
  }
  const kind = kindOf(error);
  if (kind === null) return TailraceError.from(error);
  const named = namesIn(error);
  const message = `${what}: DuckDB's ${kind} error${named === null ? "" : `: ${named}`}`;
  switch (kind) {
    case "Catalog":
    case "Binder":
    case "Parser":
      return new TailraceError("source.model", `${message}${positionIn(error)}`);
    case "INTERNAL":
    case "FATAL":
      return new TailraceError("source.unreachable", message);
    case "Out of Memory":
      return new TailraceError("source.data", `${message}: raise \`memory_limit\``);
    default:
      return new TailraceError("source.data", message);
  }
}

/** Where in the SQL it is. */
function positionIn(error: unknown): string {
  const line = /\nLINE (\d+): /.exec((error as { message?: string }).message ?? "")?.[1];
  return line === undefined ? "" : ` (line ${line} of the SQL)`;
}
