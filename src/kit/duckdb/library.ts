// DuckDB itself: some 70 MB, loaded only where it is configured.
import type * as duckdb from "@duckdb/node-api";
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

export type Duckdb = typeof duckdb;

/** The version that this Tailrace is tested with; package.json has the same. */
export const DUCKDB_VERSION = "1.5.6-r.1";

/** Throws `code`, with the command that mends it, where the library is not installed. */
export async function loadDuckdb(code: ErrorCode): Promise<Duckdb> {
  try {
    return await import("@duckdb/node-api");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "error";
    throw new TailraceError(
      code,
      `DuckDB's library is not there, or does not run here (${why}): npm install @duckdb/node-api@${DUCKDB_VERSION}`,
    );
  }
}
