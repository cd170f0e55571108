// A process of its own that holds a lease in PostgreSQL, for tests that stop it or cut it off. Says what it does, a line each,
// with the time on the machine's monotonic clock, which all processes share.
//   node postgres-state-child.ts URL rounds N   N times: takes the lease, adds one to the count, gives it back
//   node postgres-state-child.ts URL hold       takes the lease; "acts" as often as it can while it may; commits what it reads
import { createInterface } from "node:readline";
import { TailraceError } from "../../src/contracts/errors.ts";
import type { Log } from "../../src/contracts/log.ts";
import { openPostgresState } from "../../src/state/postgres/index.ts";
import { monotonicMs } from "./monotonic.ts";
import { checkpointAt } from "./state-values.ts";

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const [url = "", what = "", rounds = "0"] = process.argv.slice(2);
const never = new AbortController().signal;

function say(line: string): void {
  process.stdout.write(`${line} ${monotonicMs()}\n`);
}

const timing = { heartbeatMs: 300, leaseMs: 2_500, giveUpMs: 1_200, pollMs: 20, silentAfterMs: 800 };
const store = await openPostgresState({ url, log: quiet, timing });
if (what === "rounds") {
  for (let round = 0; round < Number(rounds); round += 1) {
    await using lease = await store.acquire("s", never);
    // Read, then write: without the lease two processes would write the same position.
    const before = Number((await lease.load())?.checkpoint?.position ?? "0");
    await lease.commit({ checkpoint: checkpointAt(before + 1), counts: { delivered: 1, rejected: 0 } });
  }
  await store[Symbol.asyncDispose]();
} else {
  const lease = await store.acquire("s", never);
  lease.lost.addEventListener("abort", () => say("lost"));
  say("held");
  // What the engine does before each request: asks, and sends.
  const acting = setInterval(() => {
    if (lease.lost.aborted) clearInterval(acting);
    else say("acted");
  }, 5);
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      await lease.commit({ checkpoint: checkpointAt(Number(line)) });
      say("stored");
    } catch (error) {
      say(TailraceError.from(error).code);
    }
  }
}
