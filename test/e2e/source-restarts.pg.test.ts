// The source's sessions end at any moment, again and again: the process stays, delivers all, and does not grow.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { orderOf, overlaps } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { testDatabase } from "../support/postgres.ts";
import { prng } from "../support/prng.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";

const KILLS = 32;

/** Resident memory of a process, in bytes (Linux). */
function residentOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

test(
  "sessions are ended at random moments under load: nothing is lost, and it is the same process",
  { timeout: 180_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(loadTable("public.load"));
    await using receiver = await startReceiver();
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { load: { source: db, table: public.load } }
destinations: { hook: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { load: { model: load, destination: hook, mode: mirror, max_deletes: 100% } }
`);
    const random = prng(17);
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await using load = forkLoad({ url: database.url, changes: 100_000, keys: 300, seed: 4, ratePerSecond: 200 });
    await receiver.until(({ counts }) => counts.acknowledgedRows > 50);
    const ours = "application_name = 'tailrace' AND datname = current_database()";
    const resident: number[] = [];
    const reads = async (): Promise<boolean> =>
      (await database.rows("SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND active"))
        .length > 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      await expect.poll(reads, { timeout: 30_000, interval: 20 }).toBe(true);
      // Any of its sessions, or all: the stream while it is opened, reads, or is told a position; the one for questions.
      const one = random.chance(0.5) ? "ORDER BY random() LIMIT 1" : "";
      await database.sql(
        `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE ${ours} ${one}) s`,
      );
      const more = receiver.counts.acknowledgedRows + 1 + Math.floor(random.next() * 20);
      await receiver.until(({ counts }) => counts.acknowledgedRows >= more, 60_000);
      resident.push(residentOf(engine.pid));
    }
    load.stop();
    await load.done;
    await expect
      .poll(
        async () => (await compare(receiver.ledger.entries, database, { table: "public.load", key: ["id"] })).equal,
        {
          timeout: 30_000,
        },
      )
      .toBe(true);
    expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
    expect(overlaps(receiver.ledger.entries)).toEqual([]);
    // What it had grown to after half of the kills is what it has after all of them, but for noise.
    const [half, end] = [
      Math.max(...resident.slice(KILLS / 4, KILLS / 2)),
      Math.min(...resident.slice((3 * KILLS) / 4)),
    ];
    expect(end / half).toBeLessThan(1.1);
    expect(engine.stdout.filter((line) => line.includes("source.unreachable")).length).toBeGreaterThan(KILLS / 2);
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
  },
);
