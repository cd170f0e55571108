// A change in a large table takes no longer than one in a small table.
import { arrivals } from "../support/arrivals.ts";
import { startEngine } from "../support/engine.ts";
import { ENVELOPES, forkHttpSink } from "../support/http-sink-process.ts";
import { commitSteadily } from "../support/load.ts";
import { type Project, makeProject } from "../support/project.ts";
import { figure } from "../support/report.ts";
import { createTable, insertRows } from "../support/rows.ts";
import { sql } from "../support/server.ts";
import { median, quantile } from "../support/statistics.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const PER_SECOND = 200;
const WARM_UP_SECONDS = 1;
const SECONDS = 3;

export const flat: Scenario = {
  name: "flat",
  summary: "latency of a change in tables of 1 thousand, 100 thousand and 5 million rows; floor: the smallest table",
  run,
};

interface Table {
  readonly rows: number;
  readonly project: Project;
  /** One array a round. */
  readonly rounds: (readonly number[])[];
}

async function run(setting: Setting): Promise<Measured> {
  const { server, quick, say } = setting;
  const sizes = quick ? [1000, 100_000] : [1000, 100_000, 5_000_000];
  const rounds = quick ? 2 : 5;
  const url = server.url();
  await using stack = new AsyncDisposableStack();
  const filled: Omit<Table, "project">[] = [];
  for (const rows of sizes) {
    say(`filling a table with ${rows} rows`);
    await sql(url, createTable(nameOf(rows)));
    await insertRows(url, nameOf(rows), 1, rows, 50_000);
    await sql(url, `VACUUM (FREEZE, ANALYZE) public.${nameOf(rows)}`);
    filled.push({ rows, rounds: [] });
  }
  await sql(url, "CHECKPOINT");
  const tables: Table[] = [];
  for (const one of filled) {
    const name = nameOf(one.rows);
    const destination = `{ type: webhook, url: "\${SINK_URL}", allow_private: true }`;
    tables.push({ ...one, project: stack.use(await makeProject({ url, name, table: name, destination })) });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const table of tables) {
      const latenciesMs = await measure(url, table, round);
      table.rounds.push(latenciesMs);
      say(
        `  ${table.rows} rows: p50 ${median(latenciesMs).toFixed(3)} ms, p99 ${quantile(latenciesMs, 0.99).toFixed(3)} ms`,
      );
    }
  }
  // What a table costs is in every round; what else the machine does, only in some.
  const medians = tables.map((table) => Math.min(...table.rounds.map(median)));
  const smallest = medians[0]!;
  return {
    figures: [
      ...tables.map(({ rows }, at) =>
        figure(`p50, ${rows.toLocaleString("en-US")} rows`, medians[at]!, "ms", at === 0 ? {} : { floor: smallest }),
      ),
      figure("slowest beside fastest", Math.max(...medians), "ms", {
        floor: Math.min(...medians),
        required: [{ of: "ratio", is: "<=", than: 1.5 }],
      }),
    ],
    method: [
      `${PER_SECOND} updates a second of one row each, spread over the whole table, each table with an engine of its own; from the commit's time in the log to`,
      `the first byte at the receiver, one row a request. The tables take turns, ${rounds} rounds of ${SECONDS} s each after ${WARM_UP_SECONDS} s that does not count; of each table the`,
      "quietest round's p50. Tables are vacuumed and checkpointed before.",
    ],
    detail: tables.map((table) => ({
      rows: table.rows,
      rounds: table.rounds.map((latenciesMs) => ({
        changes: latenciesMs.length,
        p50Ms: median(latenciesMs),
        p99Ms: quantile(latenciesMs, 0.99),
      })),
    })),
  };
}

function nameOf(rows: number): string {
  return `rows_${rows}`;
}

async function measure(url: string, table: Table, round: number): Promise<readonly number[]> {
  await using sink = await forkHttpSink({ rows: ENVELOPES, keepRequests: true });
  await using engine = startEngine(table.project, { once: false, env: { SINK_URL: sink.url } });
  let sent = 0;
  const change = async (secondsOfIt: number): Promise<readonly number[]> => {
    const before = sent;
    const { commits } = await commitSteadily({
      url,
      perSecond: PER_SECOND,
      seconds: secondsOfIt,
      statement: `UPDATE public.${nameOf(table.rows)} SET amount = amount + 1 WHERE id = $1::bigint`,
      // A large odd step visits every part of the table.
      values: (n) => [String((((before + n + round) * 7_368_787) % table.rows) + 1)],
    });
    sent += commits;
    return (await arrivals(sink, sent, 30_000)).latenciesMs;
  };
  // The first one may wait for the engine to be ready.
  await change(1 / PER_SECOND);
  await change(WARM_UP_SECONDS);
  const latenciesMs = await change(SECONDS);
  await engine.stop();
  return latenciesMs;
}
