import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockFile } from "../../../src/kit/duckdb/file-locks.ts";
import { duckdb, holdOpen } from "../../support/duckdb.ts";
import { keyText } from "../../support/envelope.ts";
import type { DestinationHarness } from "../counterpart.ts";

const harness: DestinationHarness = {
  name: "DuckDB",
  waived: { secret: "it has no secrets" },
  start: async () => {
    const folder = await mkdtemp(join(tmpdir(), "conformance-duckdb-"));
    const path = join(folder, "w.duckdb");
    /** As a person would look, once the destination lets go of the file. */
    const rows = async (sql: string) => {
      const unlock = await lockFile(path, "write", new AbortController().signal);
      return duckdb(path, sql).finally(unlock);
    };
    return {
      settings: { path, create_tables: true, hold_ms: 20 },
      place: (sync) => ({ object: sync, options: {} }),
      state: async ({ sync, match }) =>
        new Map(
          (await rows(`SELECT COLUMNS(*)::VARCHAR FROM ${sync}`)).map((row) => [
            keyText(match.map((name) => row[name] ?? "")),
            row,
          ]),
        ),
      events: async ({ sync }) => (await rows(`SELECT tailrace_id AS id FROM ${sync}`)).map(({ id }) => id ?? ""),
      connections: () => openFiles(path),
      // DuckDB quotes the value that a unique column has already.
      refuse: async ({ sync }, key) => {
        await rows(
          `CREATE TABLE with_check AS FROM ${sync}; DROP TABLE ${sync}; CREATE TABLE ${sync} (id BIGINT PRIMARY KEY CHECK (id <> ${key}), region VARCHAR, name VARCHAR, "we""ird na'me" VARCHAR, amount VARCHAR, active BOOLEAN, doc JSON, seen_at TIMESTAMPTZ); INSERT INTO ${sync} FROM with_check; DROP TABLE with_check`,
        );
      },
      // Somebody else in this process reads the file.
      stall: async () => {
        const unlock = await lockFile(path, "read", new AbortController().signal);
        return () => Promise.resolve(unlock());
      },
      down: async () => {
        const unlock = await lockFile(path, "write", new AbortController().signal);
        const release = await holdOpen(path);
        unlock();
        return release;
      },
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    };
  },
};

/** How often this process has a file open; 0 where the system has no /proc. */
async function openFiles(path: string): Promise<number> {
  const descriptors = await readdir("/proc/self/fd").catch(() => []);
  const paths = await Promise.all(descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => "")));
  return paths.filter((each) => each === path).length;
}

export default [harness];
