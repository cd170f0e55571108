// A sync that is added to a configuration whose other syncs have a place in the log already.
import { describe, expect, inject, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { orderOf, rowsOf } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { run as runLoad } from "../support/load.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

const SERVERS = [
  { server: "18", url: inject("postgresUrl") },
  { server: "15", url: inject("postgres15Url") },
].filter(({ url }) => url !== "");

describe.each(SERVERS)("PostgreSQL $server", ({ url }) => {
  test(
    "a table that is added has its rows sent and its live changes, and the first one goes on where it was",
    { timeout: 120_000 },
    async () => {
      await using database = await testDatabase(url);
      await using first = await startReceiver();
      await using second = await startReceiver();
      const config = (...syncs: string[]) => `
sources: { db: { type: postgres, url: "${database.url}" } }
models:
  old: { source: db, table: public.old }
  new: { source: db, table: public.new }
destinations:
  first: { type: webhook, url: "${first.url}", allow_private: true }
  second: { type: webhook, url: "${second.url}", allow_private: true }
syncs:
  ${syncs.join("\n  ")}
`;
      const OLD = "old: { model: old, destination: first, mode: mirror }";
      const NEW = "new: { model: new, destination: second, mode: mirror }";
      await runLoad({ url: database.url, table: "public.old", changes: 500, keys: 100, seed: 1 });
      await using at = await testProject(config(OLD));
      const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
      expect((await tailrace("run", "--once")).code).toBe(0);
      const sentOnce = first.counts.acknowledgedRows;

      // Nobody runs: the old table changes, the new one is filled; then both are written to while the second run begins.
      await runLoad({ url: database.url, table: "public.old", changes: 700, keys: 100, seed: 2 });
      await runLoad({ url: database.url, table: "public.new", changes: 3000, keys: 1500, seed: 3 });
      await at.configure(config(OLD, NEW));
      const live = { url: database.url, changes: 5000, ratePerSecond: 1500 };
      await using onOld = forkLoad({ ...live, table: "public.old", keys: 100, seed: 4 });
      await using onNew = forkLoad({ ...live, table: "public.new", keys: 1500, seed: 5 });
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await second.until(({ counts }) => counts.acknowledgedRows > 100);
      await Promise.all([onOld.done, onNew.done]);
      engine.kill("SIGTERM");
      expect(await engine.exit).toEqual({ code: 0, signal: null });
      expect((await tailrace("run", "--once")).code).toBe(0);

      for (const [table, receiver] of [
        ["public.old", first],
        ["public.new", second],
      ] as const) {
        const difference = await compare(receiver.ledger.entries, database, { table, key: ["id"] });
        expect(difference, table).toMatchObject({ lost: [], extra: [], different: [] });
        expect(difference.rows).toBeGreaterThan(10);
        expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
      }
      // The first sync went on where it was: its table was not read again.
      expect(sentOnce).toBeGreaterThan(0);
      const read = [...rowsOf(first.ledger.entries)].filter(({ committedAt }) => committedAt === null);
      expect(read).toHaveLength(sentOnce);
    },
  );
});
