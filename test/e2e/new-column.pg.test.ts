import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

test("a column that is added is sent from then on; that older rows lack it is said, and resync sends them", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a'), (2, 'b')");
  await using receiver = await startReceiver();
  await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { users: { model: users, destination: receiver, mode: mirror } }
`);
  const differs = () => compare(receiver.ledger.entries, database, { table: "public.users", key: ["id"] });
  await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
  await receiver.until(({ counts }) => counts.acknowledgedRows === 2);
  await database.sql("ALTER TABLE users ADD plan text DEFAULT 'free'; INSERT INTO users VALUES (3, 'c', 'pro')");
  await receiver.until(({ counts }) => counts.acknowledgedRows === 3);
  expect(await engine.waitFor(/tailrace resync users/)).toContain("plan");
  expect((await differs()).different.map(({ key, field }) => [key, field])).toEqual([
    ["1", "plan"],
    ["2", "plan"],
  ]);
  expect((await runCli(["resync", "users", "-c", at.folder], { cwd: at.folder })).code).toBe(0);
  await receiver.until(({ counts }) => counts.acknowledgedRows === 6);
  expect(await differs()).toMatchObject({ rows: 3, equal: true });
});
