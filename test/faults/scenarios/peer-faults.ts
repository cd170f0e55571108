import { install } from "../../peers/debezium/install.ts";
import { debezium } from "../../peers/debezium/subject.ts";
import { type Faults, faults } from "../../peers/faults.ts";
import type { Kind } from "../../peers/subject.ts";
import { tailrace } from "../../peers/tailrace.ts";
import type { Scenario } from "../scenario.ts";

const CHANGES = { short: 4_000, full: 20_000 };
/** For both together. */
const MINUTES = 5;

export const peerFaults: Scenario = {
  name: "peer-faults",
  summary: "30 % of the answers are failures: Debezium Server (the counts), and Tailrace in the same run (the figures)",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const installed = await install(log);
    const mostMs = ((minutes ?? MINUTES) * 60_000) / 2;
    const measure = (kind: Kind): Promise<Faults> =>
      faults(kind, { serverUrl: postgresUrl, seed, changes: CHANGES[scale], mostMs, log });
    const ours = await measure(tailrace);
    const theirs = await measure(debezium(installed));
    return {
      scenario: "peer-faults",
      seed,
      kills: 0,
      changes: theirs.changes,
      lost: theirs.lost,
      inversions: theirs.inversions,
      duplicates: { p50: 0, p99: 0, max: 0 },
      // The peer's figures are told, not asked for.
      ok: ours.lost + ours.inversions + ours.overlaps + ours.hasty === 0,
      figures: { ...shown("debezium", theirs), ...shown("tailrace", ours) },
    };
  },
};

function shown(who: string, measured: Faults): Record<string, number | string> {
  return {
    [`${who}: lost`]: measured.lost,
    [`${who}: inversions`]: measured.inversions,
    [`${who}: requests`]: measured.requests,
    [`${who}: in Retry-After`]: measured.hasty,
    [`${who}: ended itself`]: measured.restarts,
    [`${who}: seconds`]: measured.seconds ?? "not while there were faults",
  };
}
