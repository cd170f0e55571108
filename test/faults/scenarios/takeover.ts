import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { Cli } from "../../support/cli.ts";
import type { LedgerEntry } from "../../support/ledger.ts";
import { RESTART } from "../../support/ledger-order.ts";
import { forkLoad } from "../../support/load-process.ts";
import { testDatabase } from "../../support/postgres.ts";
import { prng } from "../../support/prng.ts";
import { quantile } from "../quantiles.ts";
import { lastLines, startRig, TABLE } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { verdict } from "../verdict.ts";

const FULL_MINUTES = 7;
const SHORT_TAKEOVERS = 2;
const RATE_PER_SECOND = 300;
/** The promise. */
const TAKEOVER_MS = 15_000;
const GIVE_UP_MS = 60_000;

interface Instance {
  readonly name: string;
  readonly cli: Cli;
}

/** From the new leader's first request on, nobody else may send. */
interface Reign {
  readonly name: string;
  readonly fromNs: bigint;
}

export const takeover: Scenario = {
  name: "takeover",
  summary: "of two processes the working one is killed, or frozen and woken: the other goes on, and only it",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const random = prng(seed);
    await using state = await testDatabase(postgresUrl);
    await using rig = await startRig({
      postgresUrl,
      rows: 500,
      config: `state: { type: postgres, url: "${state.url}" }`,
      destination: 'headers: { x-instance: "${INSTANCE}" }, batch: { format: array, rows: 50 }',
      env: { INSTANCE: "last" },
    });
    const { receiver } = rig;
    await using running = new AsyncDisposableStack();
    let started = 0;
    const start = (): Instance => {
      const name = String((started += 1));
      return { name, cli: running.use(rig.start({ env: { INSTANCE: name } })) };
    };
    const sends = (name: string) => () => senderOf(receiver.ledger.entries.at(-1)) === name;

    let leader = start();
    await receiver.until(sends(leader.name), GIVE_UP_MS);
    let standby = start();
    await standby.cli.waitFor(/standing by/, GIVE_UP_MS);
    await using load = forkLoad({
      url: rig.database.url,
      table: TABLE,
      changes: 1e9,
      keys: 2_000,
      seed,
      ratePerSecond: RATE_PER_SECOND,
    });
    const reigns: Reign[] = [{ name: leader.name, fromNs: 0n }];
    const tookMs: number[] = [];
    const endAtMs = performance.now() + (minutes ?? FULL_MINUTES) * 60_000;
    const more = (): boolean => (scale === "short" ? tookMs.length < SHORT_TAKEOVERS : performance.now() < endAtMs);
    while (more()) {
      const { acknowledgedRows } = receiver.counts;
      await receiver.until(({ counts }) => counts.acknowledgedRows > acknowledgedRows + random.int(500), GIVE_UP_MS);
      const freeze = scale === "short" ? tookMs.length % 2 === 1 : random.chance(0.5);
      const fromNs = process.hrtime.bigint();
      leader.cli.kill(freeze ? "SIGSTOP" : "SIGKILL");
      if (!freeze) await leader.cli.exit;
      await receiver.until(({ counts }) => counts.inFlight === 0, 5_000);
      await receiver.until(sends(standby.name), GIVE_UP_MS).catch((error: unknown) => {
        throw new Error(`${String(error)} ${lastLines(standby.cli)}`);
      });
      const begun = receiver.requests().find((entry) => senderOf(entry) === standby.name && entry.arrivedNs > fromNs)!;
      reigns.push({ name: standby.name, fromNs: begun.arrivedNs });
      tookMs.push(Number(begun.arrivedNs - fromNs) / 1e6);
      log(`${freeze ? "frozen" : "killed"}: taken over after ${Math.round(tookMs.at(-1)!)} ms`);
      const old = leader;
      leader = standby;
      if (freeze) {
        await delay(random.int(3_000));
        old.cli.kill("SIGCONT");
        await old.cli.waitFor(/; standing by/, GIVE_UP_MS);
        standby = old;
      } else {
        standby = start();
        await standby.cli.waitFor(/standing by/, GIVE_UP_MS);
      }
    }
    load.stop();
    const { changes } = await load.done;
    log(`${changes} changes committed; waiting for the rest`);
    standby.cli.kill("SIGTERM");
    await standby.cli.exit;
    await rig.settled(leader.cli, 120_000);
    const { lost, inversions, duplicates, overlaps, needless, ok } = await verdict(rig, {
      marked: [...atTakeovers(receiver.ledger.entries)],
    });
    const sentByFenced = fencedSends(receiver.ledger.entries, reigns);
    const figures = {
      takeoverMsP50: Math.round(quantile(tookMs, 0.5)),
      takeoverMsP99: Math.round(quantile(tookMs, 0.99)),
      takeoverMsMax: Math.round(quantile(tookMs, 1)),
      sentByFenced,
      overlaps,
      needless,
    };
    return {
      scenario: "takeover",
      seed,
      kills: tookMs.length,
      changes,
      lost,
      inversions,
      duplicates,
      ok: ok && sentByFenced === 0 && figures.takeoverMsP99 <= TAKEOVER_MS,
      figures,
    };
  },
};

function senderOf(entry: LedgerEntry | undefined): string | null {
  return entry?.kind === "request" ? (entry.headers["x-instance"] ?? null) : null;
}

/**
 * A window for each reign. It begins with the new leader's first request and no sooner: what the old one had written before it was
 * stopped may arrive after that.
 */
function* atTakeovers(entries: readonly LedgerEntry[]): Generator<LedgerEntry> {
  let sender: string | null = null;
  for (const entry of entries) {
    const by = senderOf(entry);
    if (sender !== null && by !== null && by !== sender && entry.kind === "request")
      yield { kind: "mark", label: RESTART, atNs: entry.arrivedNs };
    sender = by ?? sender;
    yield entry;
  }
}

/** Requests by another than who reigned when they arrived. */
function fencedSends(entries: readonly LedgerEntry[], reigns: readonly Reign[]): number {
  return entries.filter((entry) => {
    if (entry.kind === "mark") return false;
    return senderOf(entry) !== reigns.findLast(({ fromNs }) => fromNs <= entry.arrivedNs)?.name;
  }).length;
}
