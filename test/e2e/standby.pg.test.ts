import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { inversions, overlaps } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

test(
  "a second process stands by, sends nothing, and takes over when the first is killed",
  { timeout: 90_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(loadTable("public.load"));
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { load: { source: db, table: public.load } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { load: { model: load, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
    await using first = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await using load = forkLoad({ url: database.url, changes: 1e6, keys: 300, seed: 3, ratePerSecond: 1000 });
    await receiver.until(({ counts }) => counts.acknowledgedRows > 200);
    await using second = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await second.waitFor(/standing by/);
    first.kill("SIGKILL");
    await first.exit;
    await receiver.restart();
    const before = receiver.counts.acknowledgedRows;
    const killedAt = performance.now();
    await receiver.until(({ counts }) => counts.acknowledgedRows > before, 15_000);
    console.info(`taken over after ${Math.round(performance.now() - killedAt)} ms`);
    load.stop();
    await load.done;
    second.kill("SIGTERM");
    await second.exit;
    await using last = startCli(["run", "--once", "-c", at.folder], { cwd: at.folder });
    expect(await last.exit).toEqual({ code: 0, signal: null });
    const { entries } = receiver.ledger;
    expect(await compare(entries, database, { table: "public.load", key: ["id"] })).toMatchObject({ equal: true });
    expect(inversions(entries)).toEqual([]);
    expect(overlaps(entries)).toEqual([]);
  },
);
