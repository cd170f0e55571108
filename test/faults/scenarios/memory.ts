import { execFileSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { type Cli, startCli } from "../../support/cli.ts";
import { type TestDatabase, testDatabase } from "../../support/postgres.ts";
import { testProject } from "../../support/project.ts";
import { type IdSink, startIdSink } from "../id-sink.ts";
import { watchMemory } from "../peak-memory.ts";
import type { Scenario, ScenarioOptions } from "../scenario.ts";
import { spread } from "../quantiles.ts";

const SIZES = {
  short: { rows: 300_000, wide: 20, columnRows: 2_000 },
  full: { rows: 5_000_000, wide: 200, columnRows: 20_000 },
};
/** TypeScript that Node strips as it goes takes memory of its own; the full scale runs what is installed. */
const MOST_MIB = { short: 320, full: 256 };
const MOST_WIDE_MIB = 512;
/** It went on at a row's ordinal, and did not begin the transaction again. */
const MOST_REPEATED = 100_000;
const WIDE_BYTES = 20 * 1024 * 1024;
const COLUMNS = 1_600;

/** One table, whose rows are there before the engine starts (`existing`) or are committed while it is down. */
interface Case {
  readonly name: string;
  readonly table: string;
  /** Before the engine has ever run: what its backfill reads. */
  readonly existing: number;
  /** In one transaction, while the engine is down: what it reads from the log. */
  readonly committed: number;
  /** SQL that inserts the rows `from` to `to`. */
  readonly insert: (from: number, to: number) => string;
  readonly batch: string;
  readonly mostMib: number;
  /** SIGKILL when half of `committed` has come. */
  readonly kill: boolean;
  readonly right?: (id: number, body: Buffer, from: number) => boolean;
}

export const memory: Scenario = {
  name: "memory",
  summary: "the most memory: a transaction of 5,000,000 rows that is killed midway, rows of 20 MB, 1,600 columns",
  async run(options) {
    if (options.scale === "full") build();
    const size = SIZES[options.scale];
    const results: Result[] = [];
    const most = MOST_MIB[options.scale];
    for (const one of [transaction(size.rows, most), wide(size.wide), columns(size.columnRows, most)]) {
      results.push(await measure(one, options));
    }
    const figures: Record<string, number | boolean> = {};
    for (const { name, peakMib, mostMib, seconds } of results) {
      figures[`${name}: MiB`] = Math.round(peakMib * 10) / 10;
      figures[`${name}: within`] = peakMib <= mostMib;
      figures[`${name}: seconds`] = Math.round(seconds);
    }
    const lost = results.reduce((sum, result) => sum + result.lost, 0);
    const repeats = results.flatMap((result) => result.repeats);
    return {
      scenario: "memory",
      seed: options.seed,
      kills: repeats.length,
      changes: results.reduce((sum, { changes }) => sum + changes, 0),
      lost,
      inversions: 0,
      duplicates: spread(repeats),
      ok:
        lost === 0 &&
        results.every(({ peakMib, mostMib }) => peakMib <= mostMib) &&
        repeats.every((count) => count <= MOST_REPEATED),
      figures,
    };
  },
};

function transaction(rows: number, mostMib: number): Case {
  return {
    name: "one transaction",
    table: "CREATE TABLE t (id bigint PRIMARY KEY, name text, amount numeric, at timestamptz, note text)",
    existing: 0,
    committed: rows,
    insert: (from, to) =>
      `INSERT INTO t SELECT n, 'row ' || n, n / 100.0, timestamptz '2026-01-01' + n * interval '1 second', md5(n::text) FROM generate_series(${from}, ${to}) n`,
    batch: "rows: 500",
    mostMib,
    kill: true,
  };
}

function wide(rows: number): Case {
  const digits = WIDE_BYTES / 8;
  return {
    name: "rows of 20 MB",
    table: "CREATE TABLE t (id bigint PRIMARY KEY, body text)",
    existing: rows / 2,
    committed: rows / 2,
    insert: (from, to) =>
      `INSERT INTO t SELECT n, repeat(lpad(n::text, 8, '0'), ${digits}) FROM generate_series(${from}, ${to}) n`,
    batch: "rows: 500",
    mostMib: MOST_WIDE_MIB,
    kill: true,
    right: (id, body, from) => {
      const expected = Buffer.from(`"body":"${String(id).padStart(8, "0").repeat(digits)}"`);
      const at = body.indexOf('"body":"', from);
      return at >= 0 && expected.compare(body, at, at + expected.length) === 0;
    },
  };
}

function columns(rows: number, mostMib: number): Case {
  const names = Array.from({ length: COLUMNS - 1 }, (_, at) => `c${at}`);
  return {
    name: "1,600 columns",
    table: `CREATE TABLE t (id bigint PRIMARY KEY, ${names.map((name) => `${name} int`).join(", ")})`,
    existing: rows / 2,
    committed: rows / 2,
    insert: (from, to) =>
      `INSERT INTO t SELECT n, ${names.map((_, at) => `n + ${at}`).join(", ")} FROM generate_series(${from}, ${to}) n`,
    batch: "rows: 500",
    mostMib,
    kill: false,
    right: (id, body, from) => {
      const last = Buffer.from(`"c${COLUMNS - 2}":${id + COLUMNS - 2}}`);
      return body.indexOf(last, from) >= 0;
    },
  };
}

type Start = (...args: readonly string[]) => Cli;

interface Result {
  readonly name: string;
  readonly peakMib: number;
  readonly mostMib: number;
  readonly seconds: number;
  readonly changes: number;
  readonly lost: number;
  /** Rows that came again, by kill. */
  readonly repeats: readonly number[];
}

async function measure(one: Case, { postgresUrl, scale, log }: ScenarioOptions): Promise<Result> {
  const start = (...args: readonly string[]): Cli =>
    startCli([...args, "-c", project.folder], {
      cwd: project.folder,
      main: scale === "full" ? join(ROOT, "dist", "cli", "main.js") : undefined,
    });
  await using database = await testDatabase(postgresUrl);
  const all = one.existing + one.committed;
  await using sink = await startIdSink({ ids: all, right: one.right });
  await using project = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { t: { source: db, table: public.t } }
destinations: { sink: { type: webhook, url: "${sink.url}", allow_private: true, batch: { format: array, ${one.batch} } } }
syncs: { t: { model: t, destination: sink, mode: mirror } }
`);
  await prepare(one, database);
  const startedAtMs = performance.now();
  log(`${one.name}: ${one.existing} rows are there`);
  // Makes publication and slot, and reads what is there.
  const peaks = [await toTheEnd(start)];
  log(`${one.name}: peak ${peaks[0]!.toFixed(1)} MiB; committing ${one.committed} rows`);
  await database.sql(one.insert(one.existing + 1, all));
  if (one.kill) {
    const { peakMib, rows } = await killedMidway(start, sink, one);
    log(`${one.name}: killed after ${rows} rows, peak ${peakMib.toFixed(1)} MiB`);
    peaks.push(peakMib);
  }
  peaks.push(await toTheEnd(start));
  const seconds = (performance.now() - startedAtMs) / 1000;
  const lost = all - sink.distinct + sink.wrong;
  const peakMib = Math.max(...peaks);
  log(`${one.name}: peak ${peakMib.toFixed(1)} MiB, ${seconds.toFixed(0)} s, ${lost} lost, ${sink.repeats} repeated`);
  return {
    name: one.name,
    peakMib,
    mostMib: one.mostMib,
    seconds,
    changes: all,
    lost,
    repeats: one.kill ? [sink.repeats] : [],
  };
}

async function prepare(one: Case, database: TestDatabase): Promise<void> {
  await database.sql(one.table);
  if (one.existing > 0) await database.sql(one.insert(1, one.existing));
}

async function toTheEnd(start: Start): Promise<number> {
  await using engine = start("run", "--once");
  const watched = watchMemory(engine.pid, engine.exit);
  const { code, signal } = await engine.exit;
  if (code !== 0) throw new Error(`the engine ended with ${code ?? signal}:\n${engine.stdout.slice(-5).join("\n")}`);
  return watched.peakMib;
}

async function killedMidway(start: Start, sink: IdSink, one: Case) {
  await using engine = start("run");
  const watched = watchMemory(engine.pid, engine.exit);
  await Promise.race([sink.untilRows(one.existing + one.committed / 2), engine.exit]);
  engine.kill("SIGKILL");
  await engine.exit;
  return { peakMib: watched.peakMib, rows: sink.rows };
}

const ROOT = join(import.meta.dirname, "..", "..", "..");

function build(): void {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-b", "src/cli"], { cwd: ROOT, stdio: ["ignore", 2, 2] });
}
