import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { loadConfig } from "../../app/config/load.ts";
import { openState } from "../../app/project.ts";
import type { StateStore } from "../../contracts/state.ts";
import type { Context } from "../command.ts";
import { compareEvents, compareGoldenUsers, compareUsers } from "./compare.ts";
import { startServer } from "./embedded-postgres.ts";
import { type Arrival, Inbox } from "./inbox.ts";
import { GOLDEN_SYNC, writeProject } from "./project.ts";
import { Shop } from "./shop.ts";
import { View } from "./view.ts";

export interface DemoSummary {
  readonly changes: number;
  /** Deliveries that were accepted, each once. */
  readonly delivered: number;
  /** Rows and events that are missing, too many, or different at the destinations. */
  readonly lost: number;
  /** Webhooks that were accepted twice, with the same id, because the receiver dropped its answer. */
  readonly repeated: number;
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  /** The query over three tables: how many rows it has at the end, and the times from a commit to the acceptance of what it led to. */
  readonly golden_users: { readonly rows: number; readonly p50_ms: number | null; readonly p99_ms: number | null };
}

export interface DemoOptions {
  /** Stop after this many changes; null: go on until Ctrl-C. */
  readonly changes: number | null;
  /** Business events a second. */
  readonly perSecond: number;
  readonly seed: number;
}

/**
 * The whole thing on one machine: a real PostgreSQL, a shop that writes to it, the engine as a process of its own with a real
 * configuration, a receiver that fails now and then, and, at the end, a comparison row by row.
 */
export async function demo(context: Context, options: DemoOptions): Promise<DemoSummary> {
  await using stack = new AsyncDisposableStack();
  const view = new View({
    write: context.json ? context.err : context.out,
    live: context.terminal && !context.json,
    color: context.color,
  });
  const folder = await mkdtemp(join(tmpdir(), "tailrace-demo-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));

  view.say("Starting a PostgreSQL 18 (embedded, throw-away) with a small shop …");
  const server = stack.use(await startServer());
  await withClient(server.url(), async (client) => {
    await client.query("CREATE DATABASE shop");
    await client.query("CREATE DATABASE crm");
  });
  const shop = stack.use(await Shop.open(server.url("shop"), options.seed));

  const arrivals = { carts: new Set<number>(), alerts: new Set<number>(), latencies: [] as number[], repeated: 0 };
  const inbox = stack.use(
    await Inbox.open({
      failureShare: 0.02,
      onArrival: (arrival) => {
        note(arrivals, arrival);
        view.arrived(arrival);
      },
    }),
  );

  const config = await writeProject(folder);
  const env = { ...context.env, SHOP_URL: server.url("shop"), CRM_URL: server.url("crm"), RECEIVER_URL: inbox.url };
  const engine = startEngine(config, folder, env);
  stack.defer(() => stopEngine(engine));
  view.say(
    "Starting Tailrace: users, and golden users (a query over three tables) → another database (mirror),\n" +
      "abandoned carts and big orders → webhooks (events) …",
  );
  const store = stack.use(
    await openState(await loadConfig({ path: config, env }), context.log("error", "err"), { readOnly: true }),
  );
  await until(
    engine,
    folder,
    context.signal,
    async () => (await store.statuses()).filter(({ report }) => report?.phase === "streaming").length === SYNCS,
  );
  view.say("Streaming. Something writes to the shop now; each line is one change's journey, commit → accepted.\n");

  const totals = () => ({
    changes: shop.changes,
    accepted: arrivals.latencies.length,
    failures: inbox.failures,
    ...quantiles(arrivals.latencies),
  });
  const drawing = setInterval(() => {
    store.statuses().then(
      (statuses) => view.draw(totals(), statuses),
      () => {},
    );
  }, 200);
  stack.defer(() => clearInterval(drawing));
  await write(shop, options, context.signal, engine);
  const difference = async (): Promise<number> => {
    const users = await compareUsers(server.url("shop"), server.url("crm"));
    const golden = await compareGoldenUsers(server.url("shop"), server.url("crm"));
    const carts = compareEvents(shop.abandoned, arrivals.carts);
    const alerts = compareEvents(shop.big, arrivals.alerts);
    return [users, golden, carts, alerts].reduce((sum, { missing, extra }) => sum + missing + extra, 0);
  };
  // What was committed last is still on its way; what does not come within half a minute is lost.
  const deadlineMs = Date.now() + 30_000;
  let lost = await difference();
  while (lost > 0 && Date.now() < deadlineMs && engine.exitCode === null) {
    await delay(100);
    lost = await difference();
  }
  const golden = (await store.statuses()).find(({ sync }) => sync === GOLDEN_SYNC)?.report?.latency ?? null;
  const { rows } = await compareGoldenUsers(server.url("shop"), server.url("crm"));
  await stopEngine(engine);
  const delivered = await deliveredOf(store);
  return {
    changes: shop.changes,
    delivered,
    lost,
    repeated: arrivals.repeated,
    p50_ms: round(totals().p50Ms),
    p99_ms: round(totals().p99Ms),
    golden_users: { rows, p50_ms: round(golden?.p50Ms ?? null), p99_ms: round(golden?.p99Ms ?? null) },
  };
}

const SYNCS = 4;

interface Arrivals {
  readonly carts: Set<number>;
  readonly alerts: Set<number>;
  readonly latencies: number[];
  repeated: number;
}

function note(arrivals: Arrivals, { path, order, latencyMs, repeat }: Arrival): void {
  if (repeat) {
    arrivals.repeated += 1;
    return;
  }
  (path === "/carts" ? arrivals.carts : arrivals.alerts).add(order);
  arrivals.latencies.push(latencyMs);
}

/** Writes to the shop at a steady pace, until enough is written or the demo is to end. */
async function write(
  shop: Shop,
  { changes, perSecond }: DemoOptions,
  signal: AbortSignal,
  engine: ChildProcess,
): Promise<void> {
  const most = changes ?? Infinity;
  const startedAt = performance.now();
  for (let acts = 0; shop.changes < most; acts += 1) {
    if (signal.aborted || engine.exitCode !== null) return;
    const dueMs = startedAt + (acts / perSecond) * 1000 - performance.now();
    if (dueMs > 1) await delay(dueMs, undefined, { signal }).catch(() => {});
    await shop.act();
  }
}

function startEngine(config: string, folder: string, env: NodeJS.ProcessEnv): ChildProcess {
  const main = fileURLToPath(new URL(`../main${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, main, "run", "--config", config], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const log = createWriteStream(join(folder, "engine.log"));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  return child;
}

async function stopEngine(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return;
  const gone = new Promise((resolve) => engine.once("exit", resolve));
  engine.kill("SIGTERM");
  await gone;
}

async function until(
  engine: ChildProcess,
  folder: string,
  signal: AbortSignal,
  ready: () => Promise<boolean>,
): Promise<void> {
  for (const deadlineMs = Date.now() + 60_000; !(await ready()); await delay(50, undefined, { signal })) {
    if (engine.exitCode === null && Date.now() < deadlineMs) continue;
    const log = await readFile(join(folder, "engine.log"), "utf8");
    throw new Error(`The engine did not start:\n${log.slice(-4000)}`);
  }
}

async function deliveredOf(store: StateStore): Promise<number> {
  return (await store.statuses()).reduce((sum, { state }) => sum + state.counts.delivered, 0);
}

async function withClient(url: string, use: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}

function quantiles(values: readonly number[]): { p50Ms: number | null; p99Ms: number | null } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number | null =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

function round(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10) / 10;
}
