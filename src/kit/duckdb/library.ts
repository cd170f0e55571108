// DuckDB itself: some 70 MB, loaded only where it is configured.
import type * as duckdb from "@duckdb/node-api";
import type { ErrorCode } from "../../contracts/errors.ts";
import { loadOptional } from "../optional-library.ts";

export type Duckdb = typeof duckdb;

/** The version that this Tailrace is tested with; package.json has the same. */
export const DUCKDB_VERSION = "1.5.6-r.1";

const LIBRARY = { title: "DuckDB's library", package: "@duckdb/node-api", version: DUCKDB_VERSION };

/** Throws `code`, with the command that mends it, where the library is not installed. */
export function loadDuckdb(code: ErrorCode): Promise<Duckdb> {
  return loadOptional(LIBRARY, code, () => import("@duckdb/node-api"));
}
