import { forkLoad } from "../../support/load-process.ts";
import { prng } from "../../support/prng.ts";
import { startRig, TABLE } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { verdict } from "../verdict.ts";

const SIZES = { short: { stops: 5, keys: 5_000 }, full: { stops: 50, keys: 50_000 } };
const RATE_PER_SECOND = 1_500;

export const sigterm: Scenario = {
  name: "sigterm",
  summary: "clean stops at random moments of a mixed load, backfill included: nothing is sent twice",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const { stops: wanted, keys } = SIZES[scale];
    const random = prng(seed);
    await using rig = await startRig({ postgresUrl, rows: keys * 0.8 });
    const { receiver } = rig;
    await using load = forkLoad({
      url: rig.database.url,
      table: TABLE,
      changes: 1e9,
      keys,
      seed,
      ratePerSecond: RATE_PER_SECOND,
    });
    const endAtMs = minutes === null ? Infinity : performance.now() + minutes * 60_000;
    let stops = 0;
    let unclean = 0;
    const tookMs: number[] = [];
    while (minutes === null ? stops < wanted : performance.now() < endAtMs) {
      await receiver.restart();
      const before = receiver.counts.requests;
      await using engine = rig.start();
      await receiver.until(({ counts }) => counts.requests > before, 60_000);
      const after = receiver.counts.requests + random.int(60);
      await receiver.until(({ counts }) => counts.requests >= after, 2_000).catch(() => {});
      const atMs = performance.now();
      engine.kill("SIGTERM");
      const { code } = await engine.exit;
      tookMs.push(performance.now() - atMs);
      if (code !== 0) unclean += 1;
      stops += 1;
      if (stops % 10 === 0) log(`${stops} stops, ${receiver.counts.rows} rows received`);
    }
    load.stop();
    const { changes } = await load.done;
    log(`${changes} changes committed; catching up`);
    await rig.catchUp();
    const { lost, inversions, duplicates, overlaps, needless, ok } = await verdict(rig);
    const figures = {
      unclean,
      slowestStopMs: Math.round(Math.max(...tookMs)),
      rowsReceived: receiver.counts.rows,
      overlaps,
      needless,
    };
    const clean = unclean === 0 && duplicates.max === 0;
    return { scenario: "sigterm", seed, kills: stops, changes, lost, inversions, duplicates, ok: ok && clean, figures };
  },
};
