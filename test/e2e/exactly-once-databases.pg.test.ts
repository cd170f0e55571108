// Into MySQL and DuckDB each change is written once as well, however often the process is killed.
import { describe, expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { duckdb, testFolder } from "../support/duckdb.ts";
import { MARIADB_INSTALLED, mariadbDatabase, startMariadb } from "../support/mariadb.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";

interface Sink extends AsyncDisposable {
  readonly settings: string;
  /** Ids of the events, repeats included. */
  ids(): Promise<readonly string[]>;
}

async function mysql(): Promise<Sink> {
  const server = await startMariadb();
  const database = await mariadbDatabase(server);
  // Nothing but the transaction keeps repeats out.
  await database.sql("CREATE TABLE events (id int, v text)");
  return {
    settings: `{ type: mysql, url: "${database.url}" }`,
    ids: async () => (await database.rows("SELECT id FROM events")).map(({ id }) => id!),
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function duckdbFile(): Promise<Sink> {
  const folder = await testFolder();
  const path = folder.file("w.duckdb");
  await duckdb(path, "CREATE TABLE events (id INTEGER, v VARCHAR)");
  return {
    settings: `{ type: duckdb, path: "${path}", hold_ms: 20 }`,
    ids: async () => (await duckdb(path, "SELECT id::VARCHAR AS id FROM events")).map(({ id }) => id!),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const project = (source: TestDatabase, sink: Sink): string => `
sources: { db: { type: postgres, url: "${source.url}" } }
models: { t: { source: db, table: public.t } }
destinations: { sink: ${sink.settings} }
syncs: { t: { model: t, destination: sink, object: events, mode: event, batch: { rows: 20 } } }
`;

describe.each([
  { name: "MySQL", make: mysql, missing: !MARIADB_INSTALLED },
  { name: "DuckDB", make: duckdbFile, missing: false },
])("$name", ({ make, missing }) => {
  test.skipIf(missing)(
    "killed again and again behind a commit",
    async () => {
      await using source = await testDatabase();
      await using sink = await make();
      await source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
      await using at = await testProject(project(source, sink));
      const inFolder = { cwd: at.folder };
      const once = async (): Promise<void> => {
        const { code, stderr } = await runCli(["run", "--once", "-c", at.folder], inFolder);
        expect(code, stderr).toBe(0);
      };
      await once();
      let last = 0;
      for (const batch of [1, 6]) {
        await source.sql(`INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(${last + 1}, ${last + 300}) g`);
        last += 300;
        // The batch is committed there, and nothing here knows of it.
        const env = { TAILRACE_FAILPOINT: `answer-read:${batch}` };
        await using engine = startCli(["run", "-c", at.folder], { ...inFolder, env });
        expect((await engine.exit).signal).toBe("SIGKILL");
      }
      await once();
      const ids = await sink.ids();
      expect(ids.length).toBe(last);
      expect(new Set(ids).size).toBe(last);
    },
    120_000,
  );
});
