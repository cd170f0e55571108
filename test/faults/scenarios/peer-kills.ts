import { install } from "../../peers/debezium/install.ts";
import { debezium } from "../../peers/debezium/subject.ts";
import { type Kills, kills } from "../../peers/kills.ts";
import type { Kind } from "../../peers/subject.ts";
import { tailrace } from "../../peers/tailrace.ts";
import { spread } from "../quantiles.ts";
import type { Scenario } from "../scenario.ts";

const KILLS = { short: 4, full: 25 };
/** Of killing, for all three together; what is left is delivered after it. */
const MINUTES = 4;

export const peerKills: Scenario = {
  name: "peer-kills",
  summary: "SIGKILL at random moments: Debezium Server (the counts), and Tailrace in the same run (the figures)",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const installed = await install(log);
    const endAtMs = performance.now() + (minutes ?? MINUTES) * 60_000;
    const measure = (kind: Kind, share: number): Promise<Kills> => {
      const nowMs = performance.now();
      const untilMs = nowMs + (endAtMs - nowMs) * share;
      return kills(kind, { serverUrl: postgresUrl, seed, kills: KILLS[scale], untilMs, log });
    };
    const ours = await measure(tailrace, 1 / 3);
    const theirs = await measure(debezium(installed), 1 / 2);
    const lazy = await measure(debezium(installed, { offsetFlushMs: 60_000 }), 1);
    return {
      scenario: "peer-kills",
      seed,
      kills: theirs.kills,
      changes: theirs.changes,
      lost: theirs.lost,
      inversions: theirs.inversions,
      duplicates: spread(theirs.repeats),
      // The peer's figures are told, not asked for.
      ok: clean(ours),
      figures: { ...shown("debezium 60 s", lazy), ...shown("tailrace", ours) },
    };
  },
};

function clean({ lost, inversions, overlaps }: Kills): boolean {
  return lost + inversions + overlaps === 0;
}

function shown(who: string, measured: Kills): Record<string, number | string> {
  const { p50, p99, max } = spread(measured.repeats);
  return {
    [`${who}: kills`]: measured.kills,
    [`${who}: changes`]: measured.changes,
    [`${who}: lost`]: measured.lost,
    [`${who}: inversions`]: measured.inversions,
    [`${who}: duplicates`]: `p50 ${p50}, p99 ${p99}, max ${max}`,
  };
}
