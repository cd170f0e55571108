import { setTimeout as delay } from "node:timers/promises";
import { startCli } from "../../support/cli.ts";
import { forkLoad } from "../../support/load-process.ts";
import { loadTable } from "../../support/load-statements.ts";
import { orderOf } from "../../support/ledger-order.ts";
import { compare } from "../../support/oracle.ts";
import { testDatabase } from "../../support/postgres.ts";
import { testProject } from "../../support/project.ts";
import { type Receiver, startReceiver } from "../../support/receiver.ts";
import { watchMemory } from "../peak-memory.ts";
import type { Scenario } from "../scenario.ts";

const SYNCS = 5;
const KEYS = 20_000;
const RATE_PER_SECOND = 500;
const SECONDS = { short: 15, full: 120 };
const SAMPLE_MS = 3_000;
const MOST_RESIDENT_MIB = 256;
const MOST_SHARED_BEHIND = 16 * 2 ** 20;

/** Five syncs of one table; the last one's destination is down for the whole load, and comes back after it. */
export const isolation: Scenario = {
  name: "isolation",
  summary: "one of five destinations is down: the other four keep their latency, the fifth catches up by itself",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const seconds = minutes === null ? SECONDS[scale] : minutes * 60;
    await using stack = new AsyncDisposableStack();
    const database = stack.use(await testDatabase(postgresUrl));
    await database.sql(loadTable("public.load"));
    const receivers: Receiver[] = [];
    for (let i = 0; i < SYNCS; i += 1) receivers.push(stack.use(await startReceiver({ keepBodies: false })));
    const names = receivers.map((_, i) => `s${i + 1}`);
    const at = stack.use(
      await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { load: { source: db, table: public.load } }
destinations:
${receivers.map(({ url }, i) => `  d${i + 1}: { type: webhook, url: "${url}", allow_private: true, batch: { format: array, rows: 500 } }`).join("\n")}
syncs:
${names.map((name, i) => `  ${name}: { model: load, destination: d${i + 1}, mode: mirror, max_deletes: 100% }`).join("\n")}
`),
    );
    const dead = receivers.at(-1)!;
    const well = receivers.slice(0, -1);
    const engine = stack.use(startCli(["run", "-c", at.folder], { cwd: at.folder }));
    const memory = watchMemory(engine.pid, engine.exit);
    await engine.waitFor(/"started"/, 60_000);
    const loadFor = async (forSeconds: number, part: number) => {
      await using load = forkLoad({
        url: database.url,
        changes: Math.round(RATE_PER_SECOND * forSeconds),
        keys: KEYS,
        seed: seed + part,
        ratePerSecond: RATE_PER_SECOND,
      });
      const latency: number[] = [];
      const loaded = load.done;
      const over = new AbortController();
      void loaded.finally(() => over.abort()).catch(() => {});
      let sharedBehind = 0;
      while (!over.signal.aborted) {
        const status = await readStatus(at.folder);
        for (const { sync, p99_ms } of status) if (sync !== names.at(-1) && p99_ms !== null) latency.push(p99_ms);
        const [slot] = await database.rows(
          `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::text AS behind FROM pg_replication_slots
            WHERE database = current_database() AND slot_name::text NOT LIKE '%\\_\\_%'`,
        );
        sharedBehind = Number(slot?.["behind"] ?? 0);
        await delay(SAMPLE_MS, undefined, { signal: over.signal }).catch(() => {});
      }
      const { changes } = await loaded;
      latency.sort((a, b) => a - b);
      return { changes, sharedBehind, p99: latency[Math.floor(latency.length / 2)] ?? 0 };
    };
    const before = await loadFor(seconds / 4, 1);
    log(`all five up: p99 of four ${before.p99.toFixed(1)} ms`);
    await dead.down();
    const during = await loadFor(seconds, 2);
    const detached = (await readStatus(at.folder)).find(({ sync }) => sync === names.at(-1))?.detached ?? null;
    log(`one down: p99 of the other four ${during.p99.toFixed(1)} ms, detached: ${detached !== null}`);
    // What was on its way when it went down is sent again, by a pipeline that knows nothing of it: as after a kill.
    await dead.restart();
    await dead.up();
    const upAtMs = performance.now();
    const want = { table: "public.load", key: ["id"] };
    let back = false;
    let equal = false;
    while (performance.now() - upAtMs < 180_000 && !(equal && back)) {
      await delay(1_000);
      equal = (await compare(await dead.ledger.read(), database, want)).equal;
      back = equal && (await readStatus(at.folder)).every(({ detached: own }) => own === null);
    }
    const caughtUpMs = Math.round(performance.now() - upAtMs);
    engine.kill("SIGTERM");
    await engine.exit;
    let lost = 0;
    let inversions = 0;
    let repeats = 0;
    for (const receiver of receivers) {
      const entries = await receiver.ledger.read();
      const difference = await compare(entries, database, want);
      lost += difference.lost.length + difference.different.length + difference.extra.length;
      const order = orderOf(entries);
      inversions += order.inversions.length + order.regressions.length;
      if (well.includes(receiver)) repeats += order.windows.reduce((sum, { needless }) => sum + needless, 0);
    }
    const figures = {
      p99MsAllUp: Math.round(before.p99 * 10) / 10,
      p99MsOneDown: Math.round(during.p99 * 10) / 10,
      detached: detached !== null,
      sharedSlotBehindBytes: during.sharedBehind,
      peakResidentMiB: Math.round(memory.peakMib),
      caughtUpMs,
      cameBack: back,
      repeatsOfTheFour: repeats,
    };
    // Twice, and a little for what a p99 of some seconds is worth on a machine that does other things too.
    const kept = during.p99 <= before.p99 * 2 + 20;
    const bounded = during.sharedBehind <= MOST_SHARED_BEHIND && memory.peakMib <= MOST_RESIDENT_MIB;
    const ok = lost === 0 && inversions === 0 && detached !== null && equal && back && kept && bounded;
    const changes = before.changes + during.changes;
    return {
      scenario: "isolation",
      seed,
      kills: 1,
      changes,
      lost,
      inversions,
      duplicates: { p50: repeats, p99: repeats, max: repeats },
      ok,
      figures,
    };
  },
};

interface Status {
  readonly sync: string;
  readonly p99_ms: number | null;
  readonly detached: object | null;
}

async function readStatus(folder: string): Promise<readonly Status[]> {
  await using command = startCli(["status", "--json", "-c", folder], { cwd: folder });
  await command.exit;
  return (JSON.parse(command.stdout.join("")) as { syncs: Status[] }).syncs;
}
