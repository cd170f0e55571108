import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { type Cli, startCli } from "../../support/cli.ts";
import { type TestDatabase, testDatabase } from "../../support/postgres.ts";
import { prng } from "../../support/prng.ts";
import { testProject } from "../../support/project.ts";
import { type Receiver, startReceiver } from "../../support/receiver.ts";
import { type TcpProxy, startTcpProxy } from "../../support/tcp-proxy.ts";
import { quantile, spread } from "../quantiles.ts";
import type { Scenario } from "../scenario.ts";

const SIZES = { short: { sources: 4, rounds: 1 }, full: { sources: 20, rounds: 5 } };
const NOTICED_WITHIN_MS = 30_000;
/** Given up after this: it would never have been noticed. */
const NEVER_MS = 60_000;
/** Rounds begin at any moment of the interval in which the engine asks for a sign of life. */
const SPREAD_MS = 10_000;

export const liveness: Scenario = {
  name: "liveness",
  summary:
    "connections that are open and dead: a stopped walsender, a network that swallows; until noticed, and until read again",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const { sources, rounds } = SIZES[scale];
    const random = prng(seed);
    const forMs = minutes === null ? Infinity : minutes * 60_000;
    const mostRounds = minutes === null ? rounds : Infinity;
    await using stack = new AsyncDisposableStack();
    const receiver = stack.use(await startReceiver());
    const places: Place[] = [];
    for (let at = 0; at < sources; at += 1) {
      const database = stack.use(await testDatabase(postgresUrl));
      await database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (0)");
      const proxy = stack.use(await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(postgresUrl).port) }));
      places.push({ name: `s${at}`, database, proxy });
    }
    // The settings are the defaults.
    const project = stack.use(await testProject(configOf(places, receiver)));
    const engine = stack.use(startCli(["run", "-c", project.folder], { cwd: project.folder }));
    for (const place of places) await arrives(receiver, place, 0, 60_000);
    const results: Result[] = [];
    const startedAtMs = performance.now();
    for (let round = 1; round <= mostRounds && performance.now() - startedAtMs < forMs; round += 1) {
      const one = await Promise.all(
        places.map(async (place, at) => {
          await delay(random.int(SPREAD_MS));
          return half(engine, receiver, place, (at + round) % 2 === 0 ? "walsender stopped" : "bytes swallowed", round);
        }),
      );
      results.push(...one);
      log(`round ${round}: noticed within ${Math.max(...one.map(({ noticedMs }) => noticedMs)) / 1000} s`);
    }
    engine.kill("SIGTERM");
    await engine.exit;
    const figures: Record<string, number> = {};
    for (const kind of ["walsender stopped", "bytes swallowed"] as const) {
      const of = results.filter((result) => result.kind === kind);
      const noticed = spread(of.map(({ noticedMs }) => noticedMs));
      figures[`${kind}: times`] = of.length;
      figures[`${kind}: noticed, p50 ms`] = noticed.p50;
      figures[`${kind}: noticed, p99 ms`] = noticed.p99;
      figures[`${kind}: noticed, max ms`] = noticed.max;
      figures[`${kind}: read again after, p99 ms`] = quantile(
        of.map(({ againMs }) => againMs),
        0.99,
      );
    }
    const late = results.filter(({ noticedMs }) => noticedMs > NOTICED_WITHIN_MS).length;
    const lost = results.filter(({ arrived }) => !arrived).length;
    return {
      scenario: "liveness",
      seed,
      kills: results.length,
      changes: results.length,
      lost,
      inversions: 0,
      duplicates: { p50: 0, p99: 0, max: 0 },
      ok: lost === 0 && late <= results.length / 100,
      figures: { ...figures, noticedLate: late },
    };
  },
};

interface Place {
  readonly name: string;
  readonly database: TestDatabase;
  readonly proxy: TcpProxy;
}

interface Result {
  readonly kind: "walsender stopped" | "bytes swallowed";
  /** From the fault to the engine's saying so. */
  readonly noticedMs: number;
  /** From then to the arrival of a row that was committed meanwhile. */
  readonly againMs: number;
  readonly arrived: boolean;
}

function configOf(places: readonly Place[], receiver: Receiver): string {
  const each = (line: (place: Place) => string): string => places.map((place) => `  ${line(place)}\n`).join("");
  return `
sources:
${each(({ name, proxy, database }) => `${name}: { type: postgres, url: "${proxy.through(database.url)}" }`)}
models:
${each(({ name }) => `${name}: { source: ${name}, table: public.t }`)}
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs:
${each(({ name }) => `${name}: { model: ${name}, destination: receiver, mode: mirror, options: { path: /${name} } }`)}
`;
}

async function half(
  engine: Cli,
  receiver: Receiver,
  place: Place,
  kind: Result["kind"],
  round: number,
): Promise<Result> {
  const { database, proxy } = place;
  let lift = (): void => {};
  if (kind === "walsender stopped") {
    const [row] = await database.rows(
      "SELECT active_pid::text AS pid FROM pg_replication_slots WHERE database = current_database()",
    );
    const pid = Number(row?.["pid"]);
    process.kill(pid, "SIGSTOP");
    lift = () => process.kill(pid, "SIGCONT");
  } else {
    // As a firewall that forgot them: every connection that is open, and none that is made from now on.
    for (const connection of proxy.connections) {
      if (!connection.open) continue;
      connection.flow("up", { kind: "black-hole" });
      connection.flow("down", { kind: "black-hole" });
    }
  }
  const faultAtMs = Date.now();
  try {
    await database.sql(`INSERT INTO t VALUES (${round})`);
    const noticedAtMs = await noticed(engine, place.name, faultAtMs);
    lift();
    const arrived = await arrives(receiver, place, round, NEVER_MS).then(
      () => true,
      () => false,
    );
    return { kind, noticedMs: noticedAtMs - faultAtMs, againMs: Date.now() - noticedAtMs, arrived };
  } finally {
    try {
      lift();
    } catch {
      // The server has ended it by now.
    }
  }
}

/** ms since the epoch when the engine said that the source is silent; {@link NEVER_MS} later if it never does. */
async function noticed(engine: Cli, source: string, afterMs: number): Promise<number> {
  const said = (line: string): boolean => {
    if (!line.includes('"source.silent"')) return false;
    const event = JSON.parse(line) as { source?: string; time: string };
    return event.source === source && Date.parse(event.time) >= afterMs;
  };
  const line = await engine.waitFor(said, NEVER_MS).catch(() => null);
  return line === null ? afterMs + NEVER_MS : Date.parse((JSON.parse(line) as { time: string }).time);
}

function arrives(receiver: Receiver, { name }: Place, id: number, withinMs: number): Promise<void> {
  return receiver.until(
    () =>
      receiver
        .requests()
        .some(
          ({ path, rows }) =>
            path === `/${name}` && rows.some(({ key, acknowledged }) => acknowledged && key === String(id)),
        ),
    withinMs,
  );
}
