// From a commit to a table to the receiver having the row of a query that it changes; beside it, what comparing the query costs.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { startEngine } from "../support/engine.ts";
import { ENVELOPES, forkHttpSink } from "../support/http-sink-process.ts";
import { RowArrivals } from "../support/live-query-arrivals.ts";
import { MODEL, OrderWriter, type OrdersSize, createOrders } from "../support/live-query-orders.ts";
import { figure } from "../support/report.ts";
import { serverCpuSeconds } from "../support/server-cpu.ts";
import { sql, startBenchServer } from "../support/server.ts";
import { quantile } from "../support/statistics.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

export const liveQuery: Scenario = {
  name: "live-query",
  summary:
    "1,000 changes a second of orders under a query that sums them by user, of 50 thousand and 5 million orders; beside it, a diff",
  run,
};

interface Load {
  readonly perSecond: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

interface Found {
  readonly latenciesMs: readonly number[];
  readonly deliveries: number;
  readonly latestMs: number;
  readonly liveCpuSeconds: number;
  readonly diffCpuSeconds: number;
  readonly diffSeconds: number;
  /** Processes that wanted a core in the minute before the end of the measurement. */
  readonly load: number;
}

const SHARES = [0.5, 0.99] as const;

async function run({ quick, say }: Setting): Promise<Measured> {
  const users = quick ? 2000 : 100_000;
  const sizes: readonly OrdersSize[] = (quick ? [2000, 20_000] : [50_000, 5_000_000]).map((orders) => ({
    users,
    orders,
  }));
  const load = quick
    ? { perSecond: 200, warmUpSeconds: 1, seconds: 2 }
    : { perSecond: 1000, warmUpSeconds: 5, seconds: 60 };
  const found: Found[] = [];
  for (const size of sizes) found.push(await measure(size, load, say));
  const [few, many] = found as [Found, Found];
  const orders = sizes.map((size) => size.orders.toLocaleString("en-US"));
  const ms = ({ latenciesMs }: Found, share: number): number => quantile(latenciesMs, share);
  const most = { 0.5: 60, 0.99: 250 } as const;
  return {
    figures: [
      ...SHARES.flatMap((share) => [
        figure(`p${share * 100}, ${orders[0]} orders`, ms(few, share), "ms"),
        figure(`p${share * 100}, ${orders[1]} orders`, ms(many, share), "ms", {
          floor: ms(few, share),
          required: [
            { of: "value", is: "<=", than: most[share] },
            ...(share === 0.5 ? [{ of: "ratio", is: "<=", than: 1.5 } as const] : []),
          ],
        }),
      ]),
      ...found.map(({ liveCpuSeconds, diffCpuSeconds }, at) =>
        figure(`database's CPU, ${orders[at]} orders: a minute, one diff`, (liveCpuSeconds / load.seconds) * 60, "s", {
          floor: diffCpuSeconds,
        }),
      ),
    ],
    method: [
      `A query that counts and sums the orders of ${users} users, kept in step over ${load.perSecond} commits a second of one order each (of 20: 8 inserts, 6 other amounts, 3`,
      `deletes, 3 to another user), for ${load.seconds} s after ${load.warmUpSeconds} s that do not count. From the sending of the statement, so that its execution and the flush of the commit are`,
      "in it, to the receiver having the whole request with the first row that contains the change; JSON arrays of at most 500 rows. The floor of a latency is",
      "the same with few orders. CPU: of all processes of PostgreSQL but the writers' sessions, scaled to a minute; its floor is one comparison of the same",
      "query (`capture: diff`, `run --once`, 1,000 orders changed), all processes: what a diff each minute costs a minute.",
    ],
    detail: found.map(({ latenciesMs, ...others }, at) => ({
      orders: sizes[at]!.orders,
      changedRows: latenciesMs.length,
      p90Ms: quantile(latenciesMs, 0.9),
      largestMs: quantile(latenciesMs, 1),
      ...others,
    })),
  };
}

async function measure(size: OrdersSize, load: Load, say: (text: string) => void): Promise<Found> {
  await using server = await startBenchServer();
  const url = server.url();
  say(`filling ${size.orders} orders of ${size.users} users`);
  await createOrders(url, size);
  const arrivals = new RowArrivals();
  const writer = new OrderWriter(url, size, (row) => arrivals.committing(row));
  const live = await (async () => {
    await using project = await makeProject(url, "live");
    await using sink = await forkHttpSink({ rows: ENVELOPES, keepRequests: true });
    await using engine = startEngine(project, { once: false, env: { SINK_URL: sink.url } });
    const ended = engine.ended().then(() => {
      throw new Error("the engine ended by itself");
    });
    await Promise.race([sink.untilRows(size.users, 300_000), ended]);
    say("  all rows are there");
    await sink.takeRequests();
    await writer.write(load.perSecond, load.warmUpSeconds);
    await arrivals.all(sink, 60_000);
    const before = serverCpuSeconds(server);
    const { latestMs, cpuSeconds } = await writer.write(load.perSecond, load.seconds);
    const { latenciesMs, rows } = await arrivals.all(sink, 60_000);
    const liveCpuSeconds = serverCpuSeconds(server) - before - cpuSeconds;
    await engine.stop();
    return { latenciesMs, deliveries: rows, latestMs, liveCpuSeconds, load: loadavg()[0]! };
  })();
  say(`  p50 ${quantile(live.latenciesMs, 0.5).toFixed(1)} ms, p99 ${quantile(live.latenciesMs, 0.99).toFixed(1)} ms`);
  const diff = await measureDiff(url, () => serverCpuSeconds(server));
  say(
    `  CPU of the database: ${((live.liveCpuSeconds / load.seconds) * 60).toFixed(2)} s a minute, a diff ${diff.diffCpuSeconds.toFixed(2)} s`,
  );
  return { ...live, ...diff };
}

async function measureDiff(
  url: string,
  cpuSeconds: () => number,
): Promise<Pick<Found, "diffCpuSeconds" | "diffSeconds">> {
  await using project = await makeProject(url, "diff");
  const once = async (): Promise<void> => {
    await using engine = startEngine(project, { once: true, profile: false });
    await engine.ended();
    if (engine.taken().rows === 0) throw new Error("the comparison found nothing");
  };
  await once();
  await sql(url, "VACUUM ANALYZE", "UPDATE public.orders SET amount = amount + 1 WHERE id <= 1000");
  const before = cpuSeconds();
  const startMs = performance.now();
  await once();
  return { diffCpuSeconds: cpuSeconds() - before, diffSeconds: (performance.now() - startMs) / 1000 };
}

async function makeProject(url: string, capture: "live" | "diff") {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-bench-"));
  const slot = `bench_live_query_${capture}`;
  const [how, destination] =
    capture === "live"
      ? ["", `{ type: webhook, url: "\${SINK_URL}", allow_private: true, batch: { format: array, rows: 500 } }`]
      : ["capture: diff, every: 24h, ", `{ type: "null" }`];
  await writeFile(
    join(folder, "tailrace.yml"),
    `name: bench_${capture}
sources:
  db: { type: postgres, url: "${url}", slot: ${slot} }
models:
  customers: { source: db, key: id, ${how}sql: "${MODEL.replaceAll(/\s+/g, " ")}" }
destinations:
  to: ${destination}
syncs:
  customers: { model: customers, destination: to }
`,
  );
  return { folder, slot, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
