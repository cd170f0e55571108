import { setTimeout as delay } from "node:timers/promises";
import type { LedgerEntry } from "../../support/ledger.ts";
import { forkLoad } from "../../support/load-process.ts";
import { type Prng, prng } from "../../support/prng.ts";
import { type Flow, type ProxiedConnection, startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import { quantile } from "../quantiles.ts";
import { lastLines, type Rig, startRig, TABLE } from "../rig.ts";
import type { Scenario } from "../scenario.ts";
import { verdict } from "../verdict.ts";

const FAULTS = ["cut", "refuse", "black-hole", "half-close", "throttle", "delay"] as const;
type Fault = (typeof FAULTS)[number];

const FULL_MINUTES = 6;
const SHORT_FAULTS = 8;
const RATE_PER_SECOND = 500;
const THROTTLE_BYTES_PER_SECOND = 200_000;
const DELAY_MS = 300;
/** A stream and a query that say nothing any more may each have to be noticed, one after the other. */
const RECOVERED_WITHIN_MS = 120_000;

export const network: Scenario = {
  name: "network",
  summary: "connections to the database and the receiver are cut, refused, swallowed, half-closed, throttled, delayed",
  async run({ seed, minutes, scale, postgresUrl, log }) {
    const random = prng(seed);
    await using toDatabase = await startTcpProxy(addressOf(postgresUrl));
    let toReceiver: TcpProxy | null = null;
    await using stack = new AsyncDisposableStack();
    await using rig = await startRig({
      postgresUrl,
      rows: 2_000,
      destination: "timeout_ms: 3000, batch: { format: array, rows: 100 }",
      through: {
        database: (url) => toDatabase.through(url),
        receiver: async (url) => {
          toReceiver = stack.use(await startTcpProxy(addressOf(url)));
          return toReceiver.through(url).replace(/\/$/, "");
        },
      },
    });
    const places = { database: toDatabase, receiver: toReceiver! };
    await using engine = rig.start();
    await using load = forkLoad({
      url: rig.database.url,
      table: TABLE,
      changes: 1e9,
      keys: 10_000,
      seed,
      ratePerSecond: RATE_PER_SECOND,
    });
    await rig.receiver.until(({ counts }) => counts.acknowledgedRows > 0, 60_000);
    const endAtMs = performance.now() + (minutes ?? FULL_MINUTES) * 60_000;
    const recoveredMs: number[] = [];
    const swallowed = new Set<ProxiedConnection>();
    const more = (): boolean => (scale === "short" ? recoveredMs.length < SHORT_FAULTS : performance.now() < endAtMs);
    while (more()) {
      const place = random.pick(["database", "receiver"] as const);
      const fault = random.pick(FAULTS);
      const tookMs = await suffer(places[place], fault, swallowed, rig, random, scale === "short").catch(
        (error: unknown) => {
          throw new Error(`after ${fault} before the ${place}: ${String(error)} ${lastLines(engine)}`);
        },
      );
      recoveredMs.push(tookMs);
      log(`${fault} before the ${place}: delivering again after ${Math.round(tookMs)} ms`);
    }
    load.stop();
    const { changes } = await load.done;
    log(`${changes} changes committed; waiting for the rest`);
    await rig.settled(engine, 60_000);
    const { lost, inversions, duplicates, overlaps, needless } = await verdict(rig);
    // An answer may have been lost on its way: what it acknowledged is sent again then, as it must be.
    const ok = lost === 0 && inversions === 0 && overlaps === 0;
    const figures = {
      faults: recoveredMs.length,
      recoveredMsP50: Math.round(quantile(recoveredMs, 0.5)),
      recoveredMsMax: Math.round(quantile(recoveredMs, 1)),
      overlaps,
      sentAgainAfterALostAnswer: needless,
    };
    return { scenario: "network", seed, kills: 0, changes, lost, inversions, duplicates, ok, figures };
  },
};

/** One fault, for a moment (`noticeable`: a black hole ends in a reset); resolves to the ms from its end until a row is taken that was committed after it. */
async function suffer(
  proxy: TcpProxy,
  fault: Fault,
  swallowed: Set<ProxiedConnection>,
  { receiver, database }: Rig,
  random: Prng,
  noticeable: boolean,
): Promise<number> {
  const forMs = 200 + random.int(1_800);
  // A connection of which bytes were swallowed can never pass any again.
  const open = proxy.connections.filter((connection) => connection.open && !swallowed.has(connection));
  const flow = (of: Flow): void => {
    for (const connection of open) for (const way of ["up", "down"] as const) connection.flow(way, of);
  };
  switch (fault) {
    case "cut":
      proxy.cutAll();
      break;
    case "refuse":
      await proxy.refuse();
      proxy.cutAll();
      await delay(forMs);
      await proxy.accept();
      break;
    case "black-hole":
      // For these connections for good, as when a firewall forgets them; new ones pass. To notice that takes a while.
      flow({ kind: "black-hole" });
      for (const connection of open) swallowed.add(connection);
      if (noticeable) {
        await delay(forMs);
        for (const connection of open) connection.cut();
      }
      break;
    case "half-close":
      for (const connection of open) connection.halfClose(random.pick(["up", "down"]));
      break;
    case "throttle":
    case "delay":
      flow(
        fault === "delay"
          ? { kind: "delay", ms: DELAY_MS }
          : { kind: "throttle", bytesPerSecond: THROTTLE_BYTES_PER_SECOND },
      );
      await delay(forMs);
      flow({ kind: "pass" });
      break;
  }
  const fromMs = performance.now();
  const [newest] = await database.rows(`SELECT max(version)::text AS version FROM ${TABLE}`);
  const version = BigInt(newest?.["version"] ?? 0);
  const isNew = (entry: LedgerEntry): boolean =>
    entry.kind === "request" && entry.rows.some((row) => row.acknowledged && (row.version ?? 0n) > version);
  await receiver.until(({ ledger }) => ledger.entries.slice(-20).some(isNew), RECOVERED_WITHIN_MS);
  return performance.now() - fromMs;
}

function addressOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
