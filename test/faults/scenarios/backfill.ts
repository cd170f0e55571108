import { type Cli, startCli } from "../../support/cli.ts";
import { forkLoad } from "../../support/load-process.ts";
import { loadTable } from "../../support/load-statements.ts";
import { type TestDatabase, testDatabase } from "../../support/postgres.ts";
import { type Prng, prng } from "../../support/prng.ts";
import { type TestProject, testProject } from "../../support/project.ts";
import { spread } from "../quantiles.ts";
import { lastLines, TABLE } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { startVersionSink, type VersionSink } from "../version-sink.ts";

const SIZES = {
  short: { rows: 20_000, kills: 2, ratePerSecond: 500 },
  full: { rows: 1_000_000, kills: 5, ratePerSecond: 1_000 },
};

/** A tenth of the rows, deleted at once while the engine is down. */
const GONE = "id % 10 = 3";
const MIX = { insert: 30, update: 60, delete: 10, key: 0, copy: 0 };

export const backfill: Scenario = {
  name: "backfill",
  summary: "a backfill, then a resync after a lost slot and many deletes, both under writes and kills",
  async run({ seed, scale, postgresUrl, log }) {
    const { rows, kills, ratePerSecond } = SIZES[scale];
    const random = prng(seed);
    // Some keys are free, for inserts.
    const keys = Math.floor(rows * 1.1);
    await using database = await testDatabase(postgresUrl);
    await database.sql(loadTable(TABLE));
    await database.sql(
      `INSERT INTO ${TABLE} (id, version, name) SELECT n, n, 'row ' || n FROM generate_series(1, ${rows}) n`,
    );
    await using sink = await startVersionSink(keys);
    await using at = await testProject(`
sources: { db: { type: postgres, url: "${database.url}" } }
models: { load: { source: db, table: ${TABLE} } }
destinations:
  receiver: { type: webhook, url: "${sink.url}", allow_private: true, batch: { format: array, rows: 500 } }
syncs: { load: { model: load, destination: receiver, mode: mirror, max_deletes: 100% } }
`);
    await using load = forkLoad({
      url: database.url,
      table: TABLE,
      changes: 1e9,
      keys,
      seed,
      ratePerSecond,
      mix: MIX,
    });
    const rig: Rig = { sink, at, random, log };
    log(`${rows} rows`);
    const first = await underKills(rig, { generation: 0, rows, kills, inRemoval: false });
    log(`backfilled in ${first.seconds} s of running, with ${kills} kills; deleting a tenth, and losing the slot`);
    await database.sql(`DELETE FROM ${TABLE} WHERE ${GONE}`);
    await loseSlot(database);
    await ended(command(at, "run", "--once"), 1);
    await ended(command(at, "resync", "load"), 0);
    const second = await underKills(rig, { generation: 1, rows: rows * 0.9, kills, inRemoval: true });
    load.stop();
    const { changes } = await load.done;
    log(`resynced in ${second.seconds} s of running, with ${kills} kills; catching up`);
    sink.restarted();
    await ended(command(at, "run", "--once"), 0);
    const { lost, extra, different } = await compare(database, sink, keys);
    const { stale, resurrected, repeats, gone } = sink.counts;
    const isRight = lost + extra + different === 0;
    return {
      scenario: "backfill",
      seed,
      kills: 2 * kills,
      changes,
      lost: lost + different,
      inversions: stale,
      duplicates: spread(repeats.slice(1)),
      ok: isRight && stale === 0 && resurrected === 0 && gone > 0,
      figures: {
        rows,
        staleOverwrites: stale,
        resurrections: resurrected + extra,
        removedByResync: gone,
        rowsReceived: sink.counts.rows,
        backfillSeconds: first.seconds,
        resyncSeconds: second.seconds,
      },
    };
  },
};

interface Rig {
  readonly sink: VersionSink;
  readonly at: TestProject;
  readonly random: Prng;
  readonly log: (line: string) => void;
}

interface Phase {
  readonly generation: number;
  /** About how many rows it will send. */
  readonly rows: number;
  readonly kills: number;
  /** The last kill hits the removal of what is gone. */
  readonly inRemoval: boolean;
}

/** Runs the engine until the backfill is over and what was committed when that began is delivered. */
async function underKills(rig: Rig, { generation, rows, kills, inRemoval }: Phase): Promise<{ seconds: number }> {
  const { sink, at, random, log } = rig;
  const startedAtMs = performance.now();
  const share = rows / (kills + 1);
  for (let kill = 0; kill < kills; kill += 1) {
    await using engine = command(at, "run");
    if (inRemoval && kill === kills - 1) {
      const enough = sink.counts.gone + random.int(Math.ceil(rows / 50));
      await orEnd(
        engine,
        sink.until(() => sink.counts.gone > enough),
      );
    } else {
      const enough = share * kill + random.int(Math.ceil(share));
      await orEnd(
        engine,
        sink.until(() => sink.backfilled(generation) > enough),
      );
    }
    engine.kill("SIGKILL");
    await engine.exit;
    sink.restarted();
    log(`kill ${kill + 1} of ${kills}, after ${sink.backfilled(generation)} rows`);
  }
  await ended(command(at, "run", "--once"), 0);
  return { seconds: Math.round((performance.now() - startedAtMs) / 1000) };
}

function command(at: TestProject, ...args: string[]): Cli {
  return startCli([...args, "-c", at.folder], { cwd: at.folder });
}

async function orEnd(engine: Cli, event: Promise<void>): Promise<void> {
  const early = engine.exit.then(({ code, signal }) => {
    throw new Error(`the engine ended by itself (${code ?? signal}): ${lastLines(engine)}`);
  });
  early.catch(() => {});
  await Promise.race([event, early]);
}

async function ended(cli: Cli, expected: number): Promise<void> {
  const { code, signal } = await cli.exit;
  if (code !== expected) throw new Error(`ended with ${code ?? signal}, not ${expected}: ${lastLines(cli)}`);
}

async function loseSlot(database: TestDatabase): Promise<void> {
  await database.sql(
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND NOT active",
  );
}

async function compare(
  database: TestDatabase,
  sink: VersionSink,
  keys: number,
): Promise<{ readonly lost: number; readonly extra: number; readonly different: number }> {
  const expected = new Float64Array(keys + 1).fill(-1);
  const PAGE = 100_000;
  for (let from = 0; from <= keys; from += PAGE) {
    const rows = await database.rows(
      `SELECT id::text AS id, version::text AS version FROM ${TABLE} WHERE id > ${from} AND id <= ${from + PAGE}`,
    );
    for (const { id, version } of rows) expected[Number(id)] = Number(version);
  }
  let lost = 0;
  let extra = 0;
  let different = 0;
  for (let id = 1; id <= keys; id += 1) {
    const has = sink.has(id);
    if (expected[id] === -1) extra += has === null ? 0 : 1;
    else if (has === null) lost += 1;
    else if (has !== expected[id]) different += 1;
  }
  return { lost, extra, different };
}
