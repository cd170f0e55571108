import { setTimeout as delay } from "node:timers/promises";
import { startServer } from "../../../src/cli/demo/embedded-postgres.ts";
import { startCli } from "../../support/cli.ts";
import { testProject } from "../../support/project.ts";
import { startReceiver } from "../../support/receiver.ts";
import type { Scenario } from "../scenario.ts";
import { quantile } from "../quantiles.ts";
import { type Sql, sqlOn } from "../sql.ts";

const SIZES = { short: { seconds: 10, mibPerSecond: 8 }, full: { seconds: 130, mibPerSecond: 9 } };
const MOST_MIB = 64;
const SAMPLE_MS = 1000;

export const wal: Scenario = {
  name: "wal",
  summary: "the log that the server keeps for us, while our table is idle and its neighbours are busy",
  async run({ seed, minutes, scale, log }) {
    const { mibPerSecond, seconds } = SIZES[scale];
    const each = minutes === null ? seconds : (minutes * 60) / 2;
    // Its own server: what others write would count. Its settings are those of a new PostgreSQL, but for the log's level.
    await using server = await startServer({ settings: { full_page_writes: "on" } });
    const onServer = sqlOn(server.url());
    await onServer("CREATE DATABASE ours");
    await onServer("CREATE DATABASE theirs");
    const ours = sqlOn(server.url("ours"));
    await ours("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE neighbour (v text); INSERT INTO t VALUES (1)");
    await sqlOn(server.url("theirs"))("CREATE TABLE neighbour (v text)");
    await using receiver = await startReceiver();
    await using project = await testProject(`
sources: { db: { type: postgres, url: "${server.url("ours")}" } }
models: { t: { source: db, table: public.t } }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { t: { model: t, destination: receiver, mode: mirror } }
`);
    await using engine = startCli(["run", "-c", project.folder], { cwd: project.folder });
    await receiver.until(({ counts }) => counts.acknowledgedRows >= 1);
    const figures: Record<string, number> = {};
    for (const { name, sql } of [
      { name: "same database", sql: ours },
      { name: "other database", sql: sqlOn(server.url("theirs")) },
    ]) {
      const { writtenMib, retainedMib } = await busy({ sql, onServer, seconds: each, mibPerSecond });
      figures[`${name}: written MiB`] = Math.round(writtenMib);
      figures[`${name}: retained MiB, p50`] = round(quantile(retainedMib, 0.5));
      figures[`${name}: retained MiB, max`] = round(quantile(retainedMib, 1));
      log(
        `${name}: ${Math.round(writtenMib)} MiB written, at most ${quantile(retainedMib, 1).toFixed(1)} MiB retained`,
      );
    }
    // It still reads: a row of ours arrives.
    const before = receiver.counts.acknowledgedRows;
    await ours("INSERT INTO t VALUES (2)");
    await receiver.until(({ counts }) => counts.acknowledgedRows > before, 30_000);
    engine.kill("SIGTERM");
    await engine.exit;
    const most = Math.max(...Object.entries(figures).flatMap(([name, value]) => (name.endsWith("max") ? [value] : [])));
    return {
      scenario: "wal",
      seed,
      kills: 0,
      changes: 2,
      lost: 0,
      inversions: 0,
      duplicates: { p50: 0, p99: 0, max: 0 },
      ok: most <= MOST_MIB,
      figures,
    };
  },
};

interface Busy {
  readonly sql: Sql;
  readonly onServer: Sql;
  readonly seconds: number;
  readonly mibPerSecond: number;
}

async function busy({ sql, onServer, seconds, mibPerSecond }: Busy) {
  const retainedMib: number[] = [];
  const from = await position(onServer);
  const endAtMs = performance.now() + seconds * 1000;
  for (let at = performance.now(); at < endAtMs; at = performance.now()) {
    // Incompressible, so that a row is as large in the log as in the statement.
    await sql(
      `INSERT INTO neighbour SELECT string_agg(md5(random()::text), '') FROM generate_series(1, ${mibPerSecond * 32}) g, generate_series(1, 1024) h GROUP BY g`,
    );
    await sql("TRUNCATE neighbour");
    const [row] = await onServer(
      "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::text AS bytes FROM pg_replication_slots",
    );
    retainedMib.push(Number(row!["bytes"]) / 1_048_576);
    await delay(Math.max(0, SAMPLE_MS - (performance.now() - at)));
  }
  return { writtenMib: (await position(onServer)) - from, retainedMib };
}

/** MiB of log since the cluster was made. */
async function position(sql: Sql): Promise<number> {
  const [row] = await sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text AS bytes");
  return Number(row!["bytes"]) / 1_048_576;
}

function round(mib: number): number {
  return Math.round(mib * 10) / 10;
}
