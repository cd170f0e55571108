import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli } from "../support/cli.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

test("a configuration in TypeScript runs, with functions for fields and for where", { timeout: 120_000 }, async () => {
  await using database = await testDatabase();
  await database.sql(`
    CREATE TABLE users (id int PRIMARY KEY, name text, plan text, spent numeric, note text);
    INSERT INTO users SELECT i, 'user ' || i, CASE WHEN i % 4 = 0 THEN 'internal' ELSE 'paid' END, i / 8.0, 'n' FROM generate_series(1, 40) i`);
  await using receiver = await startReceiver();
  await using at = await testProject("sources: {}");
  await rename(join(at.folder, "tailrace.yml"), join(at.folder, "away.txt"));
  const configure = (name: string, more = ""): Promise<void> =>
    writeFile(
      join(at.folder, "tailrace.config.ts"),
      `import { columns, defineConfig } from "tailrace";
const big: bigint = 9007199254740993n;
export default defineConfig({
  name: "${at.folder
    .replaceAll(/[^a-z0-9]/gi, "")
    .slice(-12)
    .toLowerCase()
    .replace(/^/, "t")}",
  sources: { db: { type: "postgres", url: "\${DATABASE_URL}" } },
  models: { users: { source: "db", key: "id", sql: "SELECT * FROM users", window: "5ms" } },
  destinations: { receiver: { type: "webhook", url: "${receiver.url}", allow_private: true } },
  syncs: {
    users: {
      model: "users",
      destination: "receiver",
      mode: "mirror",
      max_deletes: "100%",
      where: columns(["plan"], ({ plan }) => plan !== "internal"),
      map: {
        id: "id",
        name: columns(["name"], ${name}),
        spent: { template: columns(["spent"], ({ spent }) => spent), as: "number" },
        big: columns([], () => String(big)),
        ${more}
      },
    },
  },
});
`,
    );
  const cli = (...words: string[]) => runCli(words, { cwd: at.folder, env: { DATABASE_URL: database.url } });
  const run = async (code = 0): Promise<number> => {
    const before = receiver.counts.acknowledgedRows;
    const ended = await cli("run", "--once");
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code });
    expect(ended.stderr).toBe("");
    return receiver.counts.acknowledgedRows - before;
  };
  const equal = async (name: string): Promise<void> =>
    expect(
      await compare(receiver.ledger.entries, database, {
        table: `(SELECT id, ${name} AS name, spent, '9007199254740993' AS big FROM users WHERE plan <> 'internal') AS u`,
        key: ["id"],
        mapping: { id: "id", name: "name", spent: "spent", big: "big" },
      }),
    ).toMatchObject({ equal: true });

  await configure("({ name }) => name === null ? null : name.toUpperCase()");
  expect(await run()).toBe(30);
  await equal("upper(name)");
  // Only what the functions read is compared; a row that leaves is removed.
  await database.sql("UPDATE users SET note = 'other'; UPDATE users SET plan = 'internal' WHERE id = 1");
  expect(await run()).toBe(1);
  await equal("upper(name)");

  // Another function is another mapping.
  await configure("({ name }) => name === null ? null : name + '!'");
  expect(await run(1)).toBe(0);
  expect(await cli("resume", "users", "--approve-resend")).toMatchObject({ code: 0 });
  expect(await run()).toBe(29);
  await equal("name || '!'");

  // What it gives must be a text; its values are in no message.
  await configure("({ name }) => name + '!'", "bad: columns(['name'], ({ name }) => ({ name }) as never),");
  await cli("run", "--once");
  expect(await cli("resume", "users", "--approve-resend")).toMatchObject({ code: 0 });
  expect(await run()).toBe(0);
  const { stdout } = await cli("failures", "list", "users");
  expect(stdout).toContain("the function gave a value of type object; it must give a text or null");
  expect(stdout).not.toContain("user 2");
});
