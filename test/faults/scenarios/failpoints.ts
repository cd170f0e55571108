import { once } from "node:events";
import type { FailpointName } from "../../../src/contracts/failpoint.ts";
import { run as runLoad } from "../../support/load.ts";
import { type Action, OK, type ScriptRequest, status } from "../../support/receiver-script.ts";
import { type Rig, startRig, TABLE } from "../rig.ts";
import type { Outcome, Scenario, ScenarioOptions } from "../scenario.ts";
import { spread } from "../quantiles.ts";
import { verdict } from "../verdict.ts";

interface Case {
  readonly failpoint: FailpointName;
  readonly hit: number;
  /** What is going on: the first run over a table that has rows, or changes of a sync that has caught up. */
  readonly during: "backfill" | "stream";
}

const FIRST: readonly Case[] = [
  { failpoint: "slot-created", hit: 1, during: "backfill" },
  { failpoint: "chunk-read", hit: 1, during: "backfill" },
  { failpoint: "chunk-acked", hit: 1, during: "backfill" },
  { failpoint: "backfill-done", hit: 1, during: "backfill" },
  { failpoint: "request-sent", hit: 1, during: "stream" },
  { failpoint: "answer-read", hit: 1, during: "stream" },
  { failpoint: "state-written", hit: 1, during: "stream" },
  { failpoint: "position-reported", hit: 1, during: "stream" },
  { failpoint: "dead-letter-written", hit: 1, during: "stream" },
];

const LATER: readonly Case[] = [
  { failpoint: "chunk-read", hit: 2, during: "backfill" },
  { failpoint: "chunk-read", hit: 3, during: "backfill" },
  { failpoint: "chunk-acked", hit: 3, during: "backfill" },
  { failpoint: "request-sent", hit: 1, during: "backfill" },
  { failpoint: "request-sent", hit: 15, during: "backfill" },
  { failpoint: "request-sent", hit: 40, during: "stream" },
  { failpoint: "answer-read", hit: 1, during: "backfill" },
  { failpoint: "answer-read", hit: 15, during: "backfill" },
  { failpoint: "answer-read", hit: 40, during: "stream" },
  { failpoint: "state-written", hit: 1, during: "backfill" },
  { failpoint: "state-written", hit: 3, during: "backfill" },
  { failpoint: "state-written", hit: 10, during: "stream" },
  { failpoint: "position-reported", hit: 2, during: "stream" },
  { failpoint: "dead-letter-written", hit: 2, during: "stream" },
  { failpoint: "dead-letter-written", hit: 3, during: "stream" },
];

/** More than one chunk of a backfill, which is cut at 4 MB. */
const ROWS = 10_000;
/** Keys from here on are refused by the receiver. */
const REFUSED_FROM = 1_000_000;
const DELIVERABLE = `id < ${REFUSED_FROM}`;
const REACHED_WITHIN_MS = 45_000;

export const failpoints: Scenario = {
  name: "failpoints",
  summary: "SIGKILL at each step between reading a change and reporting its position",
  async run(options) {
    const cases = options.scale === "short" ? FIRST : [...FIRST, ...LATER];
    const results: CaseResult[] = [];
    for (const one of cases.filter(({ during }) => during === "backfill")) {
      await using rig = await startRig({ postgresUrl: options.postgresUrl, rows: ROWS, script: answer });
      results.push(await killAt(one, rig, options));
    }
    await using rig = await startRig({ postgresUrl: options.postgresUrl, rows: 500, script: answer });
    await rig.catchUp();
    for (const one of cases.filter(({ during }) => during === "stream")) results.push(await killAt(one, rig, options));
    return outcomeOf(results, options.seed);
  },
};

interface CaseResult {
  readonly killed: boolean;
  readonly changes: number;
  readonly lost: number;
  readonly inversions: number;
  /** Sent again after this kill. */
  readonly repeats: number;
  readonly ok: boolean;
}

async function killAt(one: Case, rig: Rig, { seed, log }: ScenarioOptions): Promise<CaseResult> {
  const { failpoint, hit, during } = one;
  await rig.receiver.restart();
  await using engine = rig.start({ env: { TAILRACE_FAILPOINT: `${failpoint}:${hit}` } });
  const enough = new AbortController();
  const load = runLoad(
    { url: rig.database.url, table: TABLE, changes: 1e6, keys: ROWS * 2, seed: seed + hit, ratePerSecond: 2_000 },
    enough.signal,
  );
  const refused = failpoint === "dead-letter-written" ? refuseNow(rig, enough.signal) : Promise.resolve();
  const timer = setTimeout(() => engine.kill("SIGTERM"), REACHED_WITHIN_MS);
  const { signal } = await engine.exit;
  clearTimeout(timer);
  enough.abort();
  const { changes } = await load;
  await refused;
  await rig.catchUp();
  const { lost, inversions, replays, ok } = await verdict(rig, { where: DELIVERABLE });
  // The last window is that of the run which came after the kill.
  const repeats = replays.at(-1) ?? 0;
  const killed = signal === "SIGKILL";
  const how = killed ? `${repeats} repeated, ${lost} lost, ${inversions} inversions` : "NOT REACHED";
  log(`${failpoint}:${hit} during ${during}: ${how}`);
  return { killed, changes, lost, inversions, repeats, ok: ok && killed };
}

/** Rows that the receiver will not take, one after the other, until `over`. */
async function refuseNow(rig: Rig, over: AbortSignal): Promise<void> {
  const ended = once(over, "abort");
  while (!over.aborted) {
    const before = rig.receiver.counts.requests;
    // Version 0: whatever the load does with the row comes later.
    await rig.database.rows(
      `INSERT INTO ${TABLE} (id, version) SELECT greatest(max(id) + 1, $1::bigint), 0 FROM ${TABLE}`,
      [REFUSED_FROM],
    );
    await Promise.race([ended, rig.receiver.until(({ counts }) => counts.requests > before + 20).catch(() => {})]);
  }
}

/** Refuses the whole request, as most do: which row it was has to be found out. */
function answer({ rows }: ScriptRequest): Action {
  return rows.some(({ key }) => Number(key) >= REFUSED_FROM) ? status(422) : OK;
}

function outcomeOf(results: readonly CaseResult[], seed: number): Outcome {
  const sum = (of: (result: CaseResult) => number): number => results.reduce((total, result) => total + of(result), 0);
  return {
    scenario: "failpoints",
    seed,
    kills: results.filter(({ killed }) => killed).length,
    changes: sum(({ changes }) => changes),
    lost: sum(({ lost }) => lost),
    inversions: sum(({ inversions }) => inversions),
    duplicates: spread(results.map(({ repeats }) => repeats)),
    ok: results.every(({ ok }) => ok),
    figures: { cases: results.length },
  };
}
