import { type Action, OK, type ScriptRequest, status } from "../../support/receiver-script.ts";
import { quantile } from "../quantiles.ts";
import { lastLines, type Rig, startRig, TABLE } from "../rig.ts";
import type { Scenario, ScenarioOptions } from "../scenario.ts";
import { verdict } from "../verdict.ts";

const SIZES = { short: { rows: 20_000, rounds: 1 }, full: { rows: 300_000, rounds: 3 } };
const BATCH_ROWS = 500;
/** One row in so many is refused. */
const POISON_EVERY = 1_000;
/** A request that is refused is halved until the row is found: two requests a halving, of 500 rows 9 times. */
const MOST_EXTRA_REQUESTS = 2 * Math.ceil(Math.log2(BATCH_ROWS)) + 1;
/** What a receiver takes for its work; without it, only the sender's own work is measured. */
const ANSWER_AFTER_MS = 20;
const LEAST_SHARE = 0.9;

/** How the receiver says which row it refuses. */
type Saying = "row" | "whole";
const SAYINGS: readonly Saying[] = ["row", "whole"];

export const poison: Scenario = {
  name: "poison",
  summary: "0.1 % of the rows are refused, by row or with their whole request of 500: only those become dead letters",
  async run(options) {
    const { rows, rounds } = SIZES[options.scale];
    const wanted = options.minutes === null ? rounds : Math.max(1, Math.round(options.minutes * 2));
    const all: Round[] = [];
    const shares: Record<"whole" | "row", number[]> = { whole: [], row: [] };
    for (let round = 0; round < wanted; round += 1) {
      for (const saying of SAYINGS) {
        // In turns, so that a machine that changes its pace changes both.
        const clean = await deliver(rows, saying, false, options);
        const poisoned = await deliver(rows, saying, true, options);
        const share = poisoned.rowsPerSecond / clean.rowsPerSecond;
        all.push(clean, poisoned);
        shares[saying].push(share);
        const [before, after] = [clean, poisoned].map(
          (one) => `${one.rowsPerSecond} rows/s in ${one.requests} requests`,
        );
        options.log(`refused by ${saying}: ${after}, clean ${before}: ${share.toFixed(3)}`);
      }
    }
    const extra = (round: Round): number => (round.requests - rows / BATCH_ROWS) / round.poison;
    const extraWhole = Math.max(
      ...all.filter(({ saying, poison: count }) => saying === "whole" && count > 0).map(extra),
    );
    const shareByRow = quantile(shares.row, 0.5);
    const sum = (of: (round: Round) => number): number => all.reduce((total, round) => total + of(round), 0);
    const exact = all.every(({ exactlyThePoison }) => exactlyThePoison);
    const held = all.every(({ ok }) => ok) && exact && extraWhole <= MOST_EXTRA_REQUESTS;
    return {
      scenario: "poison",
      seed: options.seed,
      kills: 0,
      changes: rows * all.length,
      lost: sum(({ lost }) => lost),
      inversions: sum(({ inversions }) => inversions),
      duplicates: { p50: 0, p99: 0, max: 0 },
      // A short run is over before its pace says anything.
      ok: held && (options.scale === "short" || shareByRow >= LEAST_SHARE),
      figures: {
        poisonRows: all.at(-1)!.poison,
        exactlyThePoisonDeadLettered: exact,
        cleanRowsPerSecond: quantile(
          all.filter(({ poison: count }) => count === 0).map(({ rowsPerSecond }) => rowsPerSecond),
          0.5,
        ),
        throughputOfCleanByRow: rounded(shareByRow, 3),
        throughputOfCleanWhole: rounded(quantile(shares.whole, 0.5), 3),
        extraRequestsAPoisonRowWhole: rounded(extraWhole, 1),
      },
    };
  },
};

interface Round {
  readonly saying: Saying;
  readonly poison: number;
  readonly requests: number;
  readonly rowsPerSecond: number;
  readonly lost: number;
  readonly inversions: number;
  readonly exactlyThePoison: boolean;
  readonly ok: boolean;
}

/** One backfill of `rows` rows. */
async function deliver(
  rows: number,
  saying: Saying,
  poisoned: boolean,
  { postgresUrl, seed }: ScenarioOptions,
): Promise<Round> {
  const isPoison = (key: string): boolean => poisoned && (Number(key) + seed) % POISON_EVERY === 0;
  const deliverable = !poisoned ? "true" : `(id + ${seed}) % ${POISON_EVERY} <> 0`;
  await using rig = await startRig({
    postgresUrl,
    rows,
    rowBytes: 50,
    script: (request) => ({ ...answer(request, saying, isPoison), afterMs: ANSWER_AFTER_MS }),
    destination: `batch: { format: array, rows: ${BATCH_ROWS} }${saying === "row" ? RESULTS : ""}`,
  });
  await using engine = rig.start({ args: ["run", "--once"] });
  const { code } = await engine.exit;
  if (code !== 0) throw new Error(`run --once ended with ${code}: ${lastLines(engine)}`);
  const { lost, inversions, ok } = await verdict(rig, { where: deliverable });
  const dead = await rig.deadLetters();
  const [counted] = await rig.database.rows(`SELECT count(*)::text AS count FROM ${TABLE} WHERE NOT (${deliverable})`);
  const count = Number(counted?.["count"]);
  return {
    saying,
    poison: count,
    requests: rig.receiver.counts.requests,
    rowsPerSecond: Math.round((rows * 1000) / (await tookMs(rig))),
    lost,
    inversions,
    exactlyThePoison: dead.length === count && new Set(dead).size === count && dead.every(isPoison),
    ok,
  };
}

const RESULTS = ", answers: { rows: { path: results, id: id, status: status, ok: [delivered] } }";

function answer({ rows }: ScriptRequest, saying: Saying, isPoison: (key: string) => boolean): Action {
  if (saying === "row") {
    return { kind: "rows", results: rows.map(({ key }) => (isPoison(key) ? "rejected" : "delivered")) };
  }
  return rows.some(({ key }) => isPoison(key)) ? status(422) : OK;
}

/** From the first request's beginning to the last one's end. */
async function tookMs(rig: Rig): Promise<number> {
  const requests = (await rig.receiver.ledger.read()).filter((entry) => entry.kind === "request");
  const ends = requests.flatMap(({ endedNs }) => endedNs ?? []);
  const end = ends.reduce((last, at) => (at > last ? at : last));
  return Number(end - requests[0]!.arrivedNs) / 1e6;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
