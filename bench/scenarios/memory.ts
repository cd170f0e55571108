// The most memory that the engine takes: with one huge transaction, and with a backlog that its receiver is slow to take.
import { setTimeout as delay } from "node:timers/promises";
import { type Engine, type MemorySample, build, startEngine } from "../support/engine.ts";
import { ENVELOPES, forkHttpSink } from "../support/http-sink-process.ts";
import { makeProject } from "../support/project.ts";
import { type Figure, figure } from "../support/report.ts";
import { createTable, insertRows } from "../support/rows.ts";
import { dropSlot, sql } from "../support/server.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const MOST_MIB = 200;
const SLOW_ROWS_PER_SECOND = 5000;
const CURVE_POINTS = 60;
const WEBHOOK = `{ type: webhook, url: "\${SINK_URL}", allow_private: true, batch: { format: array, rows: 500 } }`;

export const memory: Scenario = {
  name: "memory",
  summary: "peak RSS with one transaction of 2,000,000 rows, and with a backlog of 2,000,000 before a slow receiver",
  run,
};

interface Case {
  readonly name: string;
  readonly slug: string;
  readonly perTransaction: number;
  readonly destination: string;
  /** How long the receiver takes no more than {@link SLOW_ROWS_PER_SECOND}. */
  readonly slowSeconds: number;
}

async function run(setting: Setting): Promise<Measured> {
  const rows = setting.quick ? 300_000 : 2_000_000;
  const slowSeconds = setting.quick ? 8 : 40;
  const cases: readonly Case[] = [
    {
      name: "one transaction, null",
      slug: "one_null",
      perTransaction: rows,
      destination: `{ type: "null" }`,
      slowSeconds: 0,
    },
    { name: "one transaction, http", slug: "one_http", perTransaction: rows, destination: WEBHOOK, slowSeconds: 0 },
    { name: "backlog, slow http", slug: "backlog", perTransaction: 1000, destination: WEBHOOK, slowSeconds },
  ];
  build();
  const figures: Figure[] = [];
  const detail: Record<string, unknown> = {};
  for (const one of cases) {
    const { peakMib, curve, seconds } = await measure(setting, one, rows);
    figures.push(figure(one.name, peakMib, "MiB", { required: [{ of: "value", is: "<=", than: MOST_MIB }] }));
    detail[one.slug] = { peakMib, seconds, rssMib: thinned(curve) };
  }
  return {
    figures,
    method: [
      `${rows} rows, committed while the engine is down: as one transaction, and as a backlog of transactions of 1000 before a receiver that takes`,
      `${SLOW_ROWS_PER_SECOND} rows/s for ${slowSeconds} s and then as fast as it can. The peak of the resident set of the engine's one process, as the kernel keeps it (VmHWM),`,
      "from its start to its end. It runs as it is installed, built by tsc, with no flag for its heap. http: JSON arrays of 500.",
    ],
    detail,
  };
}

interface Observed {
  readonly peakMib: number;
  readonly curve: readonly MemorySample[];
  readonly seconds: number;
}

async function measure({ server, say }: Setting, one: Case, rows: number): Promise<Observed> {
  const url = server.url();
  const table = `memory_${one.slug}`;
  await sql(url, createTable(table));
  await using project = await makeProject({ url, name: table, table, destination: one.destination });
  say(`${one.name}: committing ${rows} rows`);
  await insertRows(url, table, 1, rows, one.perTransaction);
  const startMs = performance.now();
  const engine = await drained(one, project, rows);
  const seconds = (performance.now() - startMs) / 1000;
  const { peakMib, curve } = engine.memory();
  say(`  peak ${peakMib.toFixed(1)} MiB, ${seconds.toFixed(1)} s`);
  await dropSlot(url, project.slot);
  await sql(url, `DROP TABLE public.${table}`);
  return { peakMib, curve, seconds };
}

async function drained(
  one: Case,
  project: { readonly folder: string; readonly slot: string },
  rows: number,
): Promise<Engine> {
  if (one.destination !== WEBHOOK) {
    await using engine = startEngine(project, { once: true, built: true });
    await engine.ended();
    if (engine.taken().rows !== rows) throw new Error(`null took ${engine.taken().rows} of ${rows} rows`);
    return engine;
  }
  await using sink = await forkHttpSink({
    rows: ENVELOPES,
    rowsPerSecond: one.slowSeconds > 0 ? SLOW_ROWS_PER_SECOND : null,
  });
  await using engine = startEngine(project, { once: true, built: true, env: { SINK_URL: sink.url } });
  if (one.slowSeconds > 0) {
    await sink.untilRows(1, 60_000);
    await delay(one.slowSeconds * 1000);
    await sink.throttle(null);
  }
  await engine.ended();
  const stats = await sink.stats();
  if (stats.rows !== rows) throw new Error(`the receiver took ${stats.rows} of ${rows} rows`);
  return engine;
}

/** Enough points to see the shape. */
function thinned(curve: readonly MemorySample[]): readonly (readonly [atMs: number, rssMib: number])[] {
  const step = Math.max(1, Math.ceil(curve.length / CURVE_POINTS));
  return curve.filter((_, at) => at % step === 0).map(({ atMs, rssMib }) => [atMs, rssMib]);
}
