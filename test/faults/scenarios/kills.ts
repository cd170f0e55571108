import { setTimeout as delay } from "node:timers/promises";
import type { Cli } from "../../support/cli.ts";
import { forkLoad } from "../../support/load-process.ts";
import { faults } from "../../support/receiver-script.ts";
import { type Prng, prng } from "../../support/prng.ts";
import { lastLines, type Rig, startRig, TABLE } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { verdict } from "../verdict.ts";

const SIZES = {
  short: { kills: 8, keys: 5_000, ratePerSecond: 3_000 },
  full: { kills: 200, keys: 50_000, ratePerSecond: 1_000 },
};

/** What one batch of the log and the requests on their way can hold, and what 50 ms between two checkpoints can send. */
const MOST_REPEATED_A_KILL = 10_000;

export const kills: Scenario = {
  name: "kills",
  summary: "SIGKILL at random moments of a mixed load, with lost connections and a receiver that fails now and then",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const { kills: wanted, keys, ratePerSecond } = SIZES[scale];
    const random = prng(seed);
    await using rig = await startRig({
      postgresUrl,
      rows: keys * 0.8,
      script: faults({ rate: 0.02, kinds: ["503", "reset-before", "reset-after"], seed }),
    });
    await using load = forkLoad({ url: rig.database.url, table: TABLE, changes: 1e9, keys, seed, ratePerSecond });
    const endAtMs = minutes === null ? Infinity : performance.now() + minutes * 60_000;
    let killed = 0;
    let terminated = 0;
    while (minutes === null ? killed < wanted : performance.now() < endAtMs) {
      await rig.receiver.restart();
      await using engine = rig.start();
      if (random.chance(0.2)) terminated += await loseConnection(rig, random);
      await someMoment(rig, engine, random);
      engine.kill("SIGKILL");
      const { signal, code } = await engine.exit;
      if (signal !== "SIGKILL") throw new Error(`the engine ended by itself (${code}): ${lastLines(engine)}`);
      killed += 1;
      if (killed % 10 === 0) log(`${killed} kills, ${rig.receiver.counts.rows} rows received`);
    }
    load.stop();
    const { changes } = await load.done;
    log(`${changes} changes committed; catching up`);
    await rig.catchUp();
    const { lost, inversions, duplicates, overlaps, needless, ok } = await verdict(rig);
    const figures = {
      keys,
      connectionsTerminated: terminated,
      requests: rig.receiver.counts.requests,
      rowsReceived: rig.receiver.counts.rows,
      overlaps,
      needless,
    };
    const bounded = duplicates.max <= MOST_REPEATED_A_KILL;
    return {
      scenario: "kills",
      seed,
      kills: killed,
      changes,
      lost,
      inversions,
      duplicates,
      ok: ok && bounded,
      figures,
    };
  },
};

/** Mostly some requests after the first one; now and then while it starts. */
async function someMoment(rig: Rig, engine: Cli, random: Prng): Promise<void> {
  const { receiver } = rig;
  if (random.chance(0.15)) {
    await delay(random.int(1_500));
    return;
  }
  const before = receiver.counts.requests;
  await receiver
    .until(({ counts }) => counts.requests > before, 60_000)
    .catch((error: unknown) => {
      throw new Error(`${String(error)} ${lastLines(engine)}`);
    });
  const after = receiver.counts.requests + random.int(60);
  await receiver.until(({ counts }) => counts.requests >= after, 2_000).catch(() => {});
}

/** The server ends the connection that reads the log, once it is there; as a failover or an operator does. */
async function loseConnection(rig: Rig, random: Prng): Promise<number> {
  const before = rig.receiver.counts.requests;
  await rig.receiver.until(({ counts }) => counts.requests > before + random.int(10), 5_000).catch(() => {});
  const rows = await rig.database.rows(
    "SELECT pg_terminate_backend(active_pid)::text FROM pg_replication_slots WHERE database = current_database() AND active_pid IS NOT NULL",
  );
  return rows.length;
}
