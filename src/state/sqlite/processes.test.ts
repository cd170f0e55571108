import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import { never } from "../../../test/conformance/state-harness.ts";
import { checkpointAt, letterOf } from "../../../test/support/state-values.ts";
import { rowHash } from "../../kit/row-hash.ts";
import { openSqliteState } from "./index.ts";

const CHILD = fileURLToPath(new URL("../../../test/support/state-child.ts", import.meta.url));
const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const timing = { heartbeatMs: 500, staleMs: 1_500, pollMs: 20 };

interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  /** Resolves once a line satisfies `wanted`; fails when the process ends first. */
  line(wanted: (line: string) => boolean): Promise<string>;
  readonly ended: Promise<unknown>;
}

function start(stack: AsyncDisposableStack, ...args: string[]): Child {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  stack.defer(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => lines.push(line));
  return {
    process: child,
    lines,
    ended,
    line: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find(wanted);
          if (found !== undefined) resolve(found);
        };
        reader.on("line", look);
        reader.on("close", () => reject(new Error(`the child ended after: ${lines.slice(-5).join(" ")}`)));
        look();
      }),
  };
}

async function folder(stack: AsyncDisposableStack): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tailrace-processes-"));
  stack.defer(() => rm(path, { recursive: true, force: true }));
  return path;
}

test("killed in a loop of commits: every acknowledged one is there, whole, each time", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await folder(stack);
  for (let round = 0; round < 4; round += 1) {
    const path = join(home, `${round}.db`);
    const child = start(stack, path, "commits");
    // A different moment each time, and a different place in its commit.
    await child.line((line) => Number(line) >= 7 + round * 61);
    child.process.kill("SIGKILL");
    await child.ended;
    const acknowledged = Number(child.lines.at(-1));
    await using store = await openSqliteState({ path, log: quiet });
    const state = await store.load("s");
    const stored = Number(state?.checkpoint?.position);
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    expect(state?.counts).toEqual({ delivered: stored, rejected: stored });
    expect((await store.statuses())[0]).toMatchObject({ failures: stored, running: false });
    expect(await store.failure("s", String(stored))).toEqual(letterOf(String(stored)));
  }
});

test("killed in a loop of announcements: every acknowledged row is in the index, as it was, and nothing was committed beside it", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "state.db");
  let greatest = 0;
  for (let round = 0; round < 3; round += 1) {
    const child = start(stack, path, "rows");
    await child.line((line) => Number(line.split(" ")[0]) >= 20 + round * 37);
    child.process.kill("SIGKILL");
    await child.ended;
    await using store = await openSqliteState({ path, log: quiet });
    await using lease = await store.acquire("s", never);
    const index = await lease.openRowIndex({ identity: "of", content: "", parts: [] });
    expect(index.isNew).toBe(false);
    const said = child.lines.map((line) => line.split(" ").map(Number)).slice(1);
    const found = await index.find(said.map(([number]) => String(number)));
    for (const [at, [number, version]] of said.entries())
      expect(found[at]).toMatchObject({ version, confirmed: number! % 2 === 0, hash: rowHash([String(number)]) });
    // Of what a round before had not confirmed, the version stays: a repeat.
    const fresh = said.filter(([, version]) => version! > greatest);
    expect(fresh.length).toBeGreaterThan(0);
    greatest = Math.max(...said.map(([, version]) => version!), greatest);
  }
});

test("a killed holder is succeeded at once", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "state.db");
  const child = start(stack, path, "hold");
  await child.line((line) => line === "held");
  // The real timing: only the death of the process can be the reason.
  await using store = await openSqliteState({ path, log: quiet });
  let got = false;
  const takeOver = async (): Promise<void> => {
    const lease = await store.acquire("s", never);
    got = true;
    await lease.commit({ checkpoint: checkpointAt(1) });
  };
  const waiting = takeOver();
  child.process.stdin?.write("1\n");
  await child.line((line) => line === "stored");
  expect(got).toBe(false);
  expect(await store.statuses()).toMatchObject([{ sync: "s", running: true }]);
  const before = performance.now();
  child.process.kill("SIGKILL");
  await waiting;
  expect(performance.now() - before).toBeLessThan(5_000);
});

test("a holder that was stopped and goes on is fenced before it writes anything", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "state.db");
  const child = start(stack, path, "hold");
  await child.line((line) => line === "held");
  child.process.stdin?.write("5\n");
  await child.line((line) => line === "stored");
  child.process.kill("SIGSTOP");
  await using store = await openSqliteState({ path, log: quiet, timing });
  const lease = await store.acquire("s", never);
  await lease.commit({ checkpoint: checkpointAt(6) });
  // Waiting for it when it wakes.
  child.process.stdin?.write("9\n");
  child.process.kill("SIGCONT");
  await child.line((line) => line === "state.lease_lost");
  await child.line((line) => line === "lost");
  expect(await lease.load()).toMatchObject({ checkpoint: checkpointAt(6) });
  await lease.commit({ checkpoint: checkpointAt(7) });
  expect(lease.lost.aborted).toBe(false);
});

test("of several processes one at a time holds the lease", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "state.db");
  const children = [1, 2, 3].map(() => start(stack, path, "rounds", "10"));
  for (const child of children) expect(await child.ended).toEqual([0, null]);
  await using store = await openSqliteState({ path, log: quiet });
  expect(await store.load("s")).toMatchObject({ checkpoint: checkpointAt(30), counts: { delivered: 30 } });
});

test("an open store does not keep its process alive, and its lease ends with it", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "state.db");
  const child = start(stack, path, "leave");
  expect(await child.ended).toEqual([0, null]);
  expect(child.lines).toEqual(["held"]);
  await using store = await openSqliteState({ path, log: quiet });
  await store.acquire("s", AbortSignal.timeout(5_000));
});
