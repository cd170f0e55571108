// Comparing a model with what was last sent of it: in the source's own database, and with the index beside the state.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Engine, build, startEngine } from "../support/engine.ts";
import { type Figure, figure } from "../support/report.ts";
import { createTable, rowOf } from "../support/rows.ts";
import { dropSlot, sql, startBenchServer, withClient } from "../support/server.ts";
import { median } from "../support/statistics.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const MOST_MIB = 250;
const CHANGED_ONE_IN = 1000;
const TABLE = "diff_rows";

export const diff: Scenario = {
  name: "diff",
  summary: "5,000,000 rows of which 0.1 % changed, compared in the source and here, beside one plain query over them",
  run,
};

interface Variant {
  readonly state: "source" | "local";
  readonly mostRatio: number;
}

const VARIANTS: readonly Variant[] = [
  { state: "source", mostRatio: 2 },
  { state: "local", mostRatio: 3 },
];

async function run({ quick, say }: Setting): Promise<Measured> {
  const rows = quick ? 200_000 : 5_000_000;
  const repetitions = quick ? 1 : 3;
  build();
  // One of its own: it counts the rows that its statements give out.
  await using server = await startBenchServer({ shared_preload_libraries: "pg_stat_statements" });
  const url = server.url();
  await sql(url, "CREATE EXTENSION pg_stat_statements", createTable(TABLE), createTable(`${TABLE}_none`));
  say(`filling ${rows} rows`);
  await sql(url, `INSERT INTO public.${TABLE} SELECT ${rowOf("id")} FROM generate_series(1, ${rows}) AS id`);
  await sql(url, `VACUUM ANALYZE public.${TABLE}`);
  const idle = await idleSeconds(url);
  say(`a run over no rows takes ${idle.toFixed(2)} s`);
  const figures: Figure[] = [];
  const detail: Record<string, unknown> = { idleSeconds: idle };
  for (const variant of VARIANTS) {
    await using project = await makeProject(url, variant.state, TABLE);
    say(`${variant.state}: the first run, which sends all rows`);
    const first = await once(project, rows);
    await sql(url, "VACUUM ANALYZE");
    const runs: {
      readonly seconds: number;
      readonly floor: number;
      readonly left: number;
      readonly peakMib: number;
    }[] = [];
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      const changed = rows / CHANGED_ONE_IN;
      const before = await plainSeconds(url);
      await sql(
        url,
        `UPDATE public.${TABLE} SET name = name || '!' WHERE id % ${CHANGED_ONE_IN} = ${repetition + 1}`,
        "SELECT pg_stat_statements_reset()",
      );
      const one = await once(project, changed);
      const left = await rowsThatLeft(url);
      const floor = (before + (await plainSeconds(url))) / 2;
      const seconds = one.seconds - idle;
      say(
        `${variant.state}: ${seconds.toFixed(2)} s, plain query ${floor.toFixed(2)} s, peak ${one.peakMib.toFixed(0)} MiB`,
      );
      runs.push({ seconds, floor, left: left / changed, peakMib: one.peakMib });
    }
    const middle = (of: keyof (typeof runs)[number]): number => median(runs.map((one) => one[of]));
    figures.push(
      figure(`${variant.state}: time`, middle("seconds"), "s", {
        floor: middle("floor"),
        required: [{ of: "ratio", is: "<=", than: variant.mostRatio }],
      }),
      figure(`${variant.state}: peak memory`, Math.max(...runs.map(({ peakMib }) => peakMib)), "MiB", {
        required: [{ of: "value", is: "<=", than: MOST_MIB }],
      }),
    );
    if (variant.state === "source")
      figures.push(
        figure("source: rows that left the database, of those that changed", middle("left"), "times", {
          required: [{ of: "value", is: "<=", than: 1 }],
        }),
      );
    figures.push(figure(`${variant.state}: first run, peak memory`, first.peakMib, "MiB"));
    detail[variant.state] = { firstSeconds: first.seconds, runs };
    await dropSlot(url, project.slot);
  }
  return {
    figures,
    method: [
      `A query over a table of ${rows} rows, compared by \`run --once\` into a destination that takes everything; ${rows / CHANGED_ONE_IN} rows were updated before.`,
      "The time of the whole run, less that of a run over an empty table (the least of three). Floor: SELECT count(md5(r::text)) over the same table, the mean of one before and one after.",
      `The median of ${repetitions}. Rows that left: those that statements over the model or its comparison gave out, by pg_stat_statements.`,
    ],
    detail,
  };
}

/** The plainest query that reads and hashes all rows. */
async function plainSeconds(url: string): Promise<number> {
  return withClient(url, async (client) => {
    const startMs = performance.now();
    await client.query(`SELECT count(md5(r::text)) FROM public.${TABLE} AS r`);
    return (performance.now() - startMs) / 1000;
  });
}

async function rowsThatLeft(url: string): Promise<number> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ rows: string }>(
      `SELECT coalesce(sum(rows), 0) AS rows FROM pg_stat_statements
       WHERE query ~ 'tailrace_plan|${TABLE}' AND query !~* '^ *(create|update|drop|analyze|explain)' AND query !~* 'count\\('`,
    );
    return Number(rows[0]!.rows);
  });
}

/** The least of three: what is taken off is not more than it is. */
async function idleSeconds(url: string): Promise<number> {
  await using project = await makeProject(url, "local", `${TABLE}_none`);
  await once(project, 0);
  let least = Infinity;
  for (let time = 0; time < 3; time += 1) least = Math.min(least, (await once(project, 0)).seconds);
  await dropSlot(url, project.slot);
  return least;
}

interface DiffProject extends AsyncDisposable {
  readonly folder: string;
  readonly slot: string;
}

async function makeProject(url: string, state: string, table: string): Promise<DiffProject> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-bench-"));
  const slot = `bench_${state}_${table}`;
  await writeFile(
    join(folder, "tailrace.yml"),
    `name: bench_${state}_${table}
sources:
  db: { type: postgres, url: "${url}", slot: ${slot} }
models:
  rows:
    source: db
    key: id
    sql: SELECT id, name, city, amount, active, updated_at FROM public.${table}
    capture: diff
    every: 24h
    diff_state: ${state}
destinations:
  to: { type: "null" }
syncs:
  rows: { model: rows, destination: to, mode: mirror }
`,
  );
  return { folder, slot, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** One run to its end, that delivers so many rows. */
async function once(
  project: DiffProject,
  rows: number,
): Promise<{ readonly seconds: number; readonly peakMib: number }> {
  const startMs = performance.now();
  await using engine: Engine = startEngine(project, { once: true, built: true });
  await engine.ended();
  const seconds = (performance.now() - startMs) / 1000;
  const taken = rows === 0 ? 0 : engine.taken().rows;
  if (taken !== rows) throw new Error(`${taken} rows were delivered, not ${rows}`);
  return { seconds, peakMib: engine.memory().peakMib };
}
