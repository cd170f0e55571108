import { hastyRequests } from "../../support/ledger-order.ts";
import { forkLoad } from "../../support/load-process.ts";
import { type FaultKind, faults } from "../../support/receiver-script.ts";
import { startRig, TABLE } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { verdict } from "../verdict.ts";

const SIZES = {
  short: { changes: 4_000, ratePerSecond: 1_000 },
  // As much as such a receiver takes.
  full: { changes: 60_000, ratePerSecond: 250 },
};
const RATE = 0.3;
/** What the webhook destination has in flight at most, when it is not told otherwise. */
const CONCURRENCY = 8;
const KINDS: readonly FaultKind[] = ["429", "500", "503", "timeout", "reset-before", "reset-after", "truncated"];

export const receiverFaults: Scenario = {
  name: "receiver-faults",
  summary: "30 % of the requests meet 429 with Retry-After, 500, 503, no answer, a reset or half an answer",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const size = SIZES[scale];
    const changesWanted = minutes === null ? size.changes : Math.round(minutes * 60 * size.ratePerSecond);
    const keys = 10_000;
    await using rig = await startRig({
      postgresUrl,
      rows: scale === "short" ? 1_000 : keys / 2,
      script: faults({ rate: RATE, kinds: KINDS, seed, retryAfterSeconds: 1 }),
      destination: "timeout_ms: 3000, batch: { format: array, rows: 100 }",
    });
    const { receiver } = rig;
    await using engine = rig.start();
    await using load = forkLoad({
      url: rig.database.url,
      table: TABLE,
      changes: changesWanted,
      keys,
      seed,
      ratePerSecond: size.ratePerSecond,
    });
    const progress = setInterval(
      () => log(`${receiver.counts.requests} requests, ${receiver.counts.acknowledgedRows} rows taken`),
      10_000,
    );
    const { changes } = await load.done.finally(() => clearInterval(progress));
    log(`${changes} changes committed; waiting for the rest`);
    await rig.settled(engine, 120_000);
    const { lost, inversions, duplicates, overlaps, needless, ok } = await verdict(rig);
    const entries = await receiver.ledger.read();
    const requests = receiver.counts.requests;
    const failed = entries.filter((entry) => entry.kind === "request" && entry.status !== 200).length;
    const insideRetryAfter = hastyRequests(entries, CONCURRENCY).length;
    const figures = {
      requests,
      failedShare: Math.round((failed * 1000) / requests) / 1000,
      insideRetryAfter,
      deadLetters: (await rig.deadLetters()).length,
      overlaps,
      needless,
    };
    const held = ok && insideRetryAfter === 0 && figures.deadLetters === 0;
    return { scenario: "receiver-faults", seed, kills: 0, changes, lost, inversions, duplicates, ok: held, figures };
  },
};
