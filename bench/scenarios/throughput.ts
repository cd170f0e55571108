// How fast a backlog is drained, beside PostgreSQL's own reader on an identical slot.
import { findPgRecvlogical, runPgRecvlogical } from "../floor/pg-recvlogical.ts";
import type { Reading } from "../floor/replication.ts";
import { startFloor } from "../floor/run.ts";
import { monotonicToEpochMicros } from "../support/clock.ts";
import { startEngine } from "../support/engine.ts";
import { ENVELOPES, forkHttpSink } from "../support/http-sink-process.ts";
import { type Project, makeProject } from "../support/project.ts";
import { type Figure, figure } from "../support/report.ts";
import { createTable, insertRows } from "../support/rows.ts";
import { copySlot, dropSlot, logEnd, sql, startOfReading } from "../support/server.ts";
import { median } from "../support/statistics.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

type Subject = "null" | "array" | "ndjson";

/** Rates in rows a second, one a repetition. */
type Rates = Record<Subject | "pg_recvlogical" | "bare read", number[]>;

const SUBJECTS: readonly Subject[] = ["null", "array", "ndjson"];
const HTTP_ROWS = 500;

const DESTINATIONS: Record<Subject, string> = {
  null: `{ type: "null" }`,
  array: `{ type: webhook, url: "\${SINK_URL}", allow_private: true, batch: { format: array, rows: ${HTTP_ROWS} } }`,
  ndjson: `{ type: webhook, url: "\${SINK_URL}", allow_private: true, batch: { format: ndjson, rows: ${HTTP_ROWS} } }`,
};

export const throughput: Scenario = {
  name: "throughput",
  summary: "1,000,000 committed rows drained to null and to an HTTP receiver; floor: pg_recvlogical to /dev/null",
  run,
};

async function run(setting: Setting): Promise<Measured> {
  const { quick } = setting;
  const rows = quick ? 200_000 : 1_000_000;
  const repetitions = quick ? 1 : 3;
  const singles = quick ? 20_000 : 100_000;
  const main = await drain(setting, { table: "big", rows, perTransaction: 1000, repetitions });
  const small = await drain(setting, { table: "small", rows: singles, perTransaction: 1, repetitions: 1 });
  const reader = findPgRecvlogical() === null ? "bare read" : "pg_recvlogical";
  const floor = median(main[reader]);
  const smallFloor = median(small[reader]);
  const atLeast = (than: number) => [{ of: "ratio", is: ">=", than } as const];
  const figures: Figure[] = [
    figure("null", median(main.null), "rows/s", { floor, required: atLeast(0.9) }),
    figure(`http, JSON arrays of ${HTTP_ROWS}`, median(main.array), "rows/s", { floor, required: atLeast(0.75) }),
    figure(`http, NDJSON of ${HTTP_ROWS}`, median(main.ndjson), "rows/s", { floor, required: atLeast(0.75) }),
    ...(reader === "bare read" ? [] : [figure("bare protocol read", median(main["bare read"]), "rows/s", { floor })]),
    figure("null, one-row transactions", median(small.null), "rows/s", { floor: smallFloor }),
    figure("http, arrays, one-row transactions", median(small.array), "rows/s", { floor: smallFloor }),
  ];
  return {
    figures,
    method: [
      `${rows} rows in transactions of 1000 (the last two figures: ${singles} in transactions of one, once), committed while nobody reads; then each reader in turn`,
      `drains an identical slot, ${repetitions} time${repetitions === 1 ? "" : "s"}, in turns; medians. A rate counts from the moment that the server was asked to send (START_REPLICATION)`,
      "to the last row: written (floor), taken (null), answered for (http); starting and connecting before that are not in it.",
      `Floor: ${reader === "bare read" ? reader : "pg_recvlogical to /dev/null"}.`,
    ],
    detail: { rowsPerSecond: { big: main, small } },
  };
}

interface Load {
  readonly table: string;
  readonly rows: number;
  readonly perTransaction: number;
  readonly repetitions: number;
}

async function drain(setting: Setting, load: Load): Promise<Rates> {
  const { server, say } = setting;
  const { table, rows, repetitions } = load;
  const url = server.url();
  await using stack = new AsyncDisposableStack();
  await sql(url, createTable(table));
  // Slots first: each holds the place before the rows.
  const projects: Record<Subject, Project>[] = [];
  for (let at = 0; at < repetitions; at += 1) {
    const one = {} as Record<Subject, Project>;
    for (const subject of SUBJECTS) {
      const name = `${table}_${subject}_${at}`;
      one[subject] = stack.use(await makeProject({ url, name, table, destination: DESTINATIONS[subject] }));
    }
    projects.push(one);
  }
  say(`committing ${rows} rows, ${load.perTransaction} a transaction`);
  await insertRows(url, table, 1, rows, load.perTransaction);
  const end = await logEnd(url);
  await sql(url, `VACUUM (FREEZE, ANALYZE) public.${table}`, "CHECKPOINT");
  const rates: Rates = { pg_recvlogical: [], "bare read": [], null: [], array: [], ndjson: [] };
  const measure = async (who: keyof Rates, slot: string, lastRowMs: () => Promise<number>): Promise<void> => {
    const [startMs, endMs] = await Promise.all([startOfReading(url, slot), lastRowMs()]);
    const micros = ((endMs - startMs) * 1000) / rows;
    rates[who].push(Math.round(1e6 / micros));
    say(`  ${who.padEnd(14)} ${Math.round(1e6 / micros)} rows/s, ${micros.toFixed(2)} µs a row`);
  };
  const binary = findPgRecvlogical();
  for (const one of projects) {
    const publication = one.null.slot;
    if (binary !== null) {
      await using slot = await copiedSlot(url, one.null.slot, `floor_${table}`);
      const reading = { url, slot: slot.name, publication, end };
      await measure("pg_recvlogical", slot.name, () => runPgRecvlogical(binary, reading));
    }
    await using slot = await copiedSlot(url, one.null.slot, `bare_${table}`);
    await measure("null", one.null.slot, () => toNull(one.null, rows));
    await measure("array", one.array.slot, () => toSink(one.array, rows));
    await measure("ndjson", one.ndjson.slot, () => toSink(one.ndjson, rows));
    await measure("bare read", slot.name, () => bareRead({ url, slot: slot.name, publication, rows }));
    // What a slot keeps, the server must keep.
    for (const subject of SUBJECTS) await dropSlot(url, one[subject].slot);
  }
  return rates;
}

async function copiedSlot(
  url: string,
  from: string,
  name: string,
): Promise<{ readonly name: string } & AsyncDisposable> {
  await copySlot(url, from, name);
  return { name, [Symbol.asyncDispose]: () => dropSlot(url, name) };
}

// Each returns when the last row had come, in ms since the epoch.

async function bareRead(reading: Reading): Promise<number> {
  await using floor = startFloor("read.ts", reading);
  return Number(await floor.line());
}

async function toNull(project: Project, rows: number): Promise<number> {
  await using engine = startEngine(project, { once: true });
  await engine.ended();
  const taken = engine.taken();
  if (taken.rows !== rows) throw new Error(`null took ${taken.rows} of ${rows} rows`);
  return taken.lastAtMs;
}

async function toSink(project: Project, rows: number): Promise<number> {
  await using sink = await forkHttpSink({ rows: ENVELOPES });
  await using engine = startEngine(project, { once: true, env: { SINK_URL: sink.url } });
  await engine.ended();
  const stats = await sink.stats();
  if (stats.rows !== rows) throw new Error(`the receiver took ${stats.rows} of ${rows} rows`);
  return (Number(stats.lastAnswerNs) / 1000 + monotonicToEpochMicros()) / 1000;
}
