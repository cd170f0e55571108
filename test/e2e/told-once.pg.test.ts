// Modes in which a row that is new is told once, whoever comes to it first: the log, or the reading of the rows that exist.
import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { rowsOf } from "../support/ledger-order.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";
import { OK } from "../support/receiver-script.ts";

test.each(["event", "insert"])(
  "mode %s: rows that were inserted while the rows that exist were sent are told once, also when another process goes on with that",
  { timeout: 120_000 },
  async (mode) => {
    await using database = await testDatabase();
    await database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 30000)");
    await using receiver = await startReceiver({
      script: ({ rows }) => (rows.some(({ id }) => (id ?? "").includes("-read0-")) ? { ...OK, afterMs: 200 } : OK),
    });
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { t: { source: db, table: public.t } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true, batch: { format: array, rows: 100 } } }
syncs: { t: { model: t, destination: receiver, mode: ${mode}, backfill: true } }
`);
    const idsOf = (key: (id: number) => boolean): Set<string> =>
      new Set(
        [...rowsOf(receiver.ledger.entries)].flatMap((row) =>
          row.acknowledged && key(Number(row.key)) ? [row.id ?? ""] : [],
        ),
      );
    const isNew = (id: number): boolean => id > 100_000;
    {
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await receiver.until(({ counts }) => counts.acknowledgedRows > 100);
      await database.sql("INSERT INTO t SELECT generate_series(100001, 100050)");
      await receiver.until(() => idsOf(isNew).size === 50);
      engine.kill("SIGTERM");
      expect(await engine.exit).toEqual({ code: 0, signal: null });
    }
    expect(idsOf((id) => id === 30_000).size).toBe(0);
    const command = async (...args: string[]): Promise<void> => {
      const { code, stdout } = await runCli([...args, "-c", at.folder], { cwd: at.folder });
      expect(code, stdout).toBe(0);
    };
    await command("run", "--once");
    expect(idsOf((id) => id <= 30_000).size).toBe(30_000);
    expect(idsOf(isNew).size).toBe(50);
    // All rows again: what was told before does not count.
    await command("resync", "t");
    await command("run", "--once");
    expect(idsOf((id) => id <= 30_000).size).toBe(60_000);
    expect(idsOf(isNew).size).toBe(100);
  },
);
