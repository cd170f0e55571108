// Figure 1: SIGKILL at random moments of a mixed load.
import { forkLoad } from "../support/load-process.ts";
import { prng } from "../support/prng.ts";
import { type Verdict, judge } from "./judge.ts";
import { stop } from "./process.ts";
import { TABLE, setStage } from "./stage.ts";
import { type Kind, accepted } from "./subject.ts";

const BATCH_ROWS = 200;
const KEYS = 50_000;
const PER_SECOND = 1000;
const FIRST_REQUEST_MS = 60_000;
const MOMENT_MS = 5000;
const CATCH_UP_MS = 120_000;

export interface Kills extends Verdict {
  readonly kills: number;
  readonly changes: number;
}

export interface KillOptions {
  readonly serverUrl: string;
  readonly seed: number;
  readonly kills: number;
  /** No kill after it, on the clock of `performance.now()`. */
  readonly untilMs: number;
  readonly log: (line: string) => void;
}

export async function kills(kind: Kind, options: KillOptions): Promise<Kills> {
  const random = prng(options.seed);
  await using stage = await setStage(kind, { serverUrl: options.serverUrl, batchRows: BATCH_ROWS });
  const { database, receiver, subject } = stage;
  await using load = forkLoad({
    url: database.url,
    // More than it will come to: it is stopped.
    changes: Number.MAX_SAFE_INTEGER,
    keys: KEYS,
    ratePerSecond: PER_SECOND,
    seed: options.seed,
  });
  let killed = 0;
  while (killed < options.kills && performance.now() < options.untilMs) {
    const before = receiver.counts.requests;
    await using running = subject.start();
    await receiver.until(({ counts }) => counts.requests > before, FIRST_REQUEST_MS);
    const after = receiver.counts.requests + 1 + random.int(40);
    await receiver.until(({ counts }) => counts.requests >= after, MOMENT_MS).catch(() => {});
    running.kill("SIGKILL");
    await running.exit;
    await receiver.restart();
    killed += 1;
    if (killed % 5 === 0) options.log(`${kind.name}: ${killed} kills, ${receiver.counts.rows} rows`);
  }
  load.stop();
  const { changes } = await load.done;
  const last = await stage.commitLast();
  await using running = subject.start();
  await accepted(receiver, last, CATCH_UP_MS);
  await subject.delivered();
  await stop(running);
  return { kills: killed, changes, ...(await judge(receiver.ledger.entries, database, TABLE)) };
}
