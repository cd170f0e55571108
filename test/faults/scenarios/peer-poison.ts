import { install } from "../../peers/debezium/install.ts";
import { debezium } from "../../peers/debezium/subject.ts";
import { type Poison, poison } from "../../peers/poison.ts";
import type { Kind } from "../../peers/subject.ts";
import { tailrace } from "../../peers/tailrace.ts";
import type { Scenario } from "../scenario.ts";

const ROWS = { short: 10_000, full: 100_000 };
/** For both together; a subject that never gets past a row takes its half whole. */
const MINUTES = { short: 1, full: 4 };

export const peerPoison: Scenario = {
  name: "peer-poison",
  summary:
    "0.1 % of the rows are refused for ever: Debezium Server (the counts), and Tailrace in the same run (the figures)",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const installed = await install(log);
    const mostMs = ((minutes ?? MINUTES[scale]) * 60_000) / 2;
    const measure = (kind: Kind): Promise<Poison> =>
      poison(kind, { serverUrl: postgresUrl, seed, rows: ROWS[scale], mostMs, log });
    const ours = await measure(tailrace);
    const theirs = await measure(debezium(installed));
    return {
      scenario: "peer-poison",
      seed,
      kills: 0,
      changes: ROWS[scale],
      lost: theirs.lost,
      inversions: theirs.inversions,
      duplicates: { p50: 0, p99: 0, max: 0 },
      // The peer's figures are told, not asked for.
      ok: ours.lost + ours.inversions + ours.overlaps === 0,
      figures: { ...shown("debezium", theirs), ...shown("tailrace", ours) },
    };
  },
};

function shown(who: string, measured: Poison): Record<string, number | string> {
  return {
    [`${who}: good rows`]: measured.good,
    [`${who}: of them taken`]: measured.taken,
    [`${who}: requests`]: measured.requests,
    [`${who}: ended itself`]: measured.restarts,
    [`${who}: seconds`]: measured.seconds ?? "never all",
  };
}
