// Tables whose rows are deleted and inserted again, as loads do that replace what they find.
import { expect, test } from "vitest";
import { runCli } from "../support/cli.ts";
import { rowsOf } from "../support/ledger-order.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

const USERS = { table: "public.users", key: ["id"] };

test(
  "rows that are deleted and inserted again do not count as removals, those that stay away do",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(
      "CREATE TABLE users (id int PRIMARY KEY, load int); INSERT INTO users SELECT n, 0 FROM generate_series(1, 20000) n",
    );
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { users: { source: db, table: public.users } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true, batch: { format: array, rows: 100 } } }
syncs: { users: { model: users, destination: receiver, mode: mirror, max_deletes: 30% } }
`);
    const once = () => runCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
    const removed = (): number =>
      [...rowsOf(receiver.ledger.entries)].filter(({ acknowledged, op }) => acknowledged && op === "delete").length;
    expect((await once()).code).toBe(0);

    // In one transaction, with a fifth that does not come back.
    await database.sql(
      "BEGIN; DELETE FROM users; INSERT INTO users SELECT n, 1 FROM generate_series(1, 20000) n WHERE n % 5 > 0; COMMIT",
    );
    expect((await once()).stdout).not.toContain("too_many_deletes");
    expect(await compare(receiver.ledger.entries, database, USERS)).toMatchObject({ rows: 16_000, equal: true });
    // In two, before anybody looks.
    await database.sql("DELETE FROM users");
    await database.sql("INSERT INTO users SELECT n, 2 FROM generate_series(1, 20000) n WHERE n % 5 > 0");
    expect((await once()).stdout).not.toContain("too_many_deletes");
    expect(await compare(receiver.ledger.entries, database, USERS)).toMatchObject({ rows: 16_000, equal: true });

    const before = removed();
    await database.sql(
      "BEGIN; DELETE FROM users; INSERT INTO users SELECT n, 3 FROM generate_series(1, 20000) n WHERE n % 5 > 2; COMMIT",
    );
    const stopped = await once();
    expect(stopped.code).not.toBe(0);
    expect(stopped.stdout).toContain("delivery.too_many_deletes");
    expect(removed() - before).toBeLessThanOrEqual(4_800);
  },
);
