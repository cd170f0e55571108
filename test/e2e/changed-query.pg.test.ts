import { expect, test } from "vitest";
import { runCli } from "../support/cli.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

test(
  "a query that was changed while nothing ran, and a view of it, have their other rows sent, and only those",
  { timeout: 240_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(`
      CREATE TABLE users (id int PRIMARY KEY, name text, plan text);
      INSERT INTO users SELECT i, 'user ' || i, CASE WHEN i % 4 = 0 THEN 'paid' ELSE 'free' END FROM generate_series(1, 40) i;
      CREATE VIEW named AS SELECT id, upper(name) AS name, plan FROM users`);
    await using receiver = await startReceiver();
    const yaml = (sql: string) => `
sources: { db: { type: postgres, url: "${database.url}" } }
models:
  golden: { source: db, key: id, sql: "${sql}" }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  golden: { model: golden, destination: receiver, mode: mirror, max_deletes: 100% }
`;
    const all = "SELECT id, name FROM named";
    const some = "SELECT id, name FROM named WHERE plan = 'free'";
    await using at = await testProject(yaml(all));
    const run = async (sql: string): Promise<number> => {
      const before = receiver.counts.acknowledgedRows;
      await at.configure(yaml(sql));
      expect(await runCli(["run", "--once", "-c", at.folder], { cwd: at.folder })).toMatchObject({ code: 0 });
      const columns = { table: `(${sql}) AS golden`, key: ["id"], mapping: { id: "id", name: "name" } };
      expect(await compare(receiver.ledger.entries, database, columns)).toMatchObject({ equal: true });
      return receiver.counts.acknowledgedRows - before;
    };
    expect(await run(all)).toBe(40);
    expect(await run(all)).toBe(0);
    expect(await run(some)).toBe(10);
    await database.sql(
      "CREATE OR REPLACE VIEW named AS SELECT id, CASE WHEN id > 35 THEN name ELSE upper(name) END AS name, plan FROM users",
    );
    expect(await run(some)).toBe(3);
    expect(await run(some)).toBe(0);
    expect(await run(all)).toBe(10);
  },
);
