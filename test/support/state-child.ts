// A process of its own that holds a lease, for tests that stop or kill one. Says what it does, a word a line.
//   node state-child.ts PATH commits        commits 1, 2, 3, … without end; says each number once it is stored
//   node state-child.ts PATH rows           announces rows 1, 2, 3, … without end, confirms each second one; says each number and its version then
//   node state-child.ts PATH rounds N       N times: takes the lease, adds one to the count, gives it back
//   node state-child.ts PATH hold           takes the lease, then commits what it reads: one position a line
//   node state-child.ts PATH leave          takes the lease and falls off its end
import { createInterface } from "node:readline";
import { TailraceError } from "../../src/contracts/errors.ts";
import type { Log } from "../../src/contracts/log.ts";
import { rowHash } from "../../src/kit/row-hash.ts";
import { openSqliteState } from "../../src/state/sqlite/index.ts";
import { checkpointAt, letterOf } from "./state-values.ts";

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const [path = "", what = "", rounds = "0"] = process.argv.slice(2);
const never = new AbortController().signal;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const store = await openSqliteState({ path, log: quiet, timing: { heartbeatMs: 500, staleMs: 1_500, pollMs: 20 } });
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
  if (what === "commits") {
    for (let position = 1; ; position += 1) {
      const id = String(position);
      await lease.commit({
        checkpoint: checkpointAt(position),
        deadLetters: [letterOf(id)],
        counts: { delivered: 1, rejected: 1 },
      });
      say(id);
    }
  } else if (what === "rows") {
    const index = await lease.openRowIndex({ identity: "of", content: "", parts: [] });
    for (let number = 1; ; number += 1) {
      const key = String(number);
      const [version] = await index.announce([{ key, recordKey: null, identity: null, hash: rowHash([key]) }]);
      if (number % 2 === 0) await index.confirm([{ key, version: version! }]);
      say(`${number} ${version}`);
    }
  } else if (what === "hold") {
    for await (const line of createInterface({ input: process.stdin })) {
      try {
        await lease.commit({ checkpoint: checkpointAt(Number(line)) });
        say("stored");
      } catch (error) {
        say(TailraceError.from(error).code);
      }
    }
  }
}
