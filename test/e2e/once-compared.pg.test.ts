import { expect, test } from "vitest";
import { runCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

test(
  "`run --once` reads all rows of a model that is compared once, whether or not its tables changed",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(`
    CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 40) i`);
    await database.sql("SELECT pg_stat_force_next_flush()");
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models:
  # Every reading of all rows looks at the whole table once, and notes that nowhere else.
  ranked: { source: db, key: id, diff_state: local, sql: "SELECT id, name, rank() OVER (ORDER BY name) AS place FROM users" }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  ranked: { model: ranked, destination: receiver, mode: mirror, max_deletes: 100% }
`);
    const scans = async (): Promise<number> => {
      const [row] = await database.rows("SELECT seq_scan::text AS n FROM pg_stat_user_tables WHERE relname = 'users'");
      return Number(row!["n"]);
    };
    const run = async (): Promise<number> => {
      const before = await scans();
      expect(await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).toMatchObject({ code: 0 });
      return (await scans()) - before;
    };
    const first = await run();
    const quiet = await run();
    await database.sql("UPDATE users SET name = name || '!' WHERE id = 1");
    await database.sql("UPDATE users SET name = name || '!' WHERE id = 2");
    const changed = await run();
    expect({ first, quiet, changed }).toEqual({ first: quiet, quiet, changed: quiet });
  },
);
