import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import { startServer } from "../../cli/demo/embedded-postgres.ts";
import { aborted, never } from "../../../test/conformance/state-harness.ts";
import { monotonicMs } from "../../../test/support/monotonic.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import { checkpointAt, letterOf } from "../../../test/support/state-values.ts";
import { startTcpProxy, type TcpProxy } from "../../../test/support/tcp-proxy.ts";
import { openPostgresState } from "./index.ts";

const CHILD = fileURLToPath(new URL("../../../test/support/postgres-state-child.ts", import.meta.url));
const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const timing = { heartbeatMs: 300, leaseMs: 2_500, giveUpMs: 1_200, pollMs: 20, silentAfterMs: 800 };

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<unknown>;
  /** When it said the word: the first time, or the last. Resolves once it has; fails when the process ends first. */
  said(word: string): Promise<number>;
  last(word: string): number;
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
  const lines: [string, number][] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    const [word = "", at] = line.split(" ");
    lines.push([word, Number(at)]);
  });
  return {
    process: child,
    ended,
    said: (word) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find(([said]) => said === word);
          if (found !== undefined) resolve(found[1]);
        };
        reader.on("line", look);
        reader.on("close", () => reject(new Error(`the child ended after: ${lines.slice(-5).join(" ")}`)));
        look();
      }),
    last: (word) => lines.findLast(([said]) => said === word)?.[1] ?? Number.NaN,
  };
}

function proxyTo(url: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(url);
  return startTcpProxy({ host: hostname, port: Number(port) });
}

test("of several processes one at a time holds the lease", async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const children = [1, 2, 3].map(() => start(stack, database.url, "rounds", "10"));
  for (const child of children) expect(await child.ended).toEqual([0, null]);
  await using store = await openPostgresState({ url: database.url, log: quiet });
  expect(await store.load("s")).toMatchObject({ checkpoint: checkpointAt(30), counts: { delivered: 30 } });
});

test("a holder that was frozen is succeeded, and does nothing more when it goes on", async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const child = start(stack, database.url, "hold");
  await child.said("held");
  child.process.stdin?.write("5\n");
  await child.said("stored");
  await using store = await openPostgresState({ url: database.url, log: quiet, timing });
  let got = false;
  const waiting = store.acquire("s", never).then((lease) => {
    got = true;
    return lease;
  });
  child.process.kill("SIGSTOP");
  const stoppedAtMs = monotonicMs();
  const lease = await waiting;
  const takenAtMs = monotonicMs();
  expect(got).toBe(true);
  expect(takenAtMs - stoppedAtMs).toBeLessThan(timing.leaseMs + 1_000);
  await lease.commit({ checkpoint: checkpointAt(6) });
  // Waiting for it when it wakes.
  child.process.stdin?.write("9\n");
  child.process.kill("SIGCONT");
  await child.said("lost");
  await child.said("state.lease_lost");
  expect(child.last("acted")).toBeLessThanOrEqual(stoppedAtMs + 50);
  expect(await lease.load()).toMatchObject({ checkpoint: checkpointAt(6) });
  await lease.commit({ checkpoint: checkpointAt(7) });
  expect(lease.lost.aborted).toBe(false);
  expect(await store.load("s")).toMatchObject({ checkpoint: checkpointAt(7) });
});

test.each(["black-hole", "stall"] as const)(
  "a holder whose network is a %s stops before another may begin",
  async (kind) => {
    await using stack = new AsyncDisposableStack();
    const database = stack.use(await testDatabase());
    const proxy = stack.use(await proxyTo(database.url));
    const child = start(stack, proxy.through(database.url), "hold");
    await child.said("held");
    await using store = await openPostgresState({ url: database.url, log: quiet, timing });
    const waiting = store.acquire("s", never).then((lease) => ({ lease, atMs: monotonicMs() }));
    proxy.flow({ kind });
    const { lease, atMs } = await waiting;
    const lostAtMs = await child.said("lost");
    expect(lostAtMs).toBeLessThan(atMs);
    expect(child.last("acted")).toBeLessThan(atMs);
    await lease.commit({ checkpoint: checkpointAt(1) });
    // What was held back is delivered at last, and changes nothing.
    proxy.flow({ kind: "pass" });
    child.process.stdin?.write("9\n");
    await child.said("state.lease_lost");
    expect(lease.lost.aborted).toBe(false);
    expect(await store.load("s")).toMatchObject({ checkpoint: checkpointAt(1) });
  },
);

test("a transaction that is cut off in its middle does not keep the lease's row locked", async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const proxy = stack.use(await proxyTo(database.url));
  await using store = await openPostgresState({ url: proxy.through(database.url), log: quiet, timing });
  const lease = await store.acquire("s", never);
  // A dead letter whose row another session has locked: the commit waits with its own lock taken.
  await lease.commit({ deadLetters: [letterOf("a")] });
  await database.sql("BEGIN; SELECT 1 FROM tailrace.failure FOR UPDATE");
  const commit = lease.commit({ resolved: ["a"] });
  commit.catch(() => {});
  const waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  while ((await database.rows(waits))[0]?.["count"] !== "1");
  proxy.flow({ kind: "black-hole" });
  await database.sql("ROLLBACK");
  await using beside = await openPostgresState({ url: database.url, log: quiet, timing });
  const beganMs = performance.now();
  const second = await beside.acquire("s", never);
  expect(performance.now() - beganMs).toBeLessThan(8_000);
  await expect(commit).rejects.toMatchObject({ code: expect.stringMatching(/^state\./) as string });
  await aborted(lease.lost);
  expect(await second.load()).toMatchObject({ counts: { delivered: 0 } });
});

test("a commit whose answer did not come is known to be stored or not", { timeout: 120_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  const proxy = stack.use(await proxyTo(database.url));
  const slow = { ...timing, leaseMs: 10_000, giveUpMs: 8_000 };
  await using store = await openPostgresState({ url: proxy.through(database.url), log: quiet, timing: slow });
  const lease = await store.acquire("s", never);
  let delivered = 0;
  let rejections = 0;
  // Cut after each number of bytes that a commit takes on its way up, or that its answers take on their way down.
  for (const direction of ["up", "down"] as const) {
    for (let cutAfter = 1; cutAfter < 1_500; cutAfter += 29) {
      const change = { checkpoint: checkpointAt(delivered + 1), counts: { delivered: 1, rejected: 0 } };
      const before = new Map(proxy.connections.map((connection) => [connection.id, connection.bytes[direction]]));
      const commit = lease.commit(change).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: "state.unavailable" });
          return false;
        },
      );
      const progress = { done: false };
      void commit.then(() => (progress.done = true));
      while (!progress.done) {
        const far = proxy.connections.find(
          ({ id, bytes, open }) => open && bytes[direction] - (before.get(id) ?? 0) >= cutAfter,
        );
        if (far !== undefined) {
          proxy.cutAll();
          break;
        }
        await new Promise(setImmediate);
      }
      if (await commit) delivered += 1;
      else rejections += 1;
      expect(await lease.load()).toMatchObject(delivered === 0 ? {} : { counts: { delivered } });
      const [row] = await database.rows("SELECT delivered, position FROM tailrace.sync");
      expect(row?.["delivered"] ?? "0").toBe(String(delivered));
    }
  }
  // Both have happened: else nothing was tried here.
  expect(delivered).toBeGreaterThan(5);
  expect(rejections).toBeGreaterThan(5);
  expect(lease.lost.aborted).toBe(false);
});

describe("a connection that breaks during the COMMIT", () => {
  /** A commit that has come as far as its COMMIT and waits there; `end` lets it happen, or ends its session. */
  async function committing(stack: AsyncDisposableStack, end: "happens" | "does not happen"): Promise<boolean> {
    // Of its own: while the transaction waits, no other test of the server could make a replication slot.
    const server = stack.use(await startServer());
    const database = stack.use(await testDatabase(server.url()));
    const proxy = stack.use(await proxyTo(database.url));
    const store = stack.use(await openPostgresState({ url: proxy.through(database.url), log: quiet }));
    const lease = await store.acquire("s", never);
    await database.sql(`
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON tailrace.sync DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait();
      SELECT pg_advisory_lock(1)`);
    const commit = lease.commit({ counts: { delivered: 1, rejected: 0 } }).then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject({ code: "state.unavailable" });
        return false;
      },
    );
    const waits = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    while ((await database.rows(`SELECT query ${waits}`))[0]?.["query"] !== "COMMIT");
    proxy.cutAll();
    if (end === "does not happen") await database.sql(`SELECT pg_terminate_backend(pid) ${waits}`);
    await database.sql("SELECT pg_advisory_unlock(1)");
    const stored = await commit;
    const [row] = await database.rows("SELECT count(*) FROM tailrace.sync");
    expect(row?.["count"]).toBe(stored ? "1" : "0");
    await lease.commit({ counts: { delivered: 1, rejected: 0 } });
    expect(await store.load("s")).toMatchObject({ counts: { delivered: stored ? 2 : 1 } });
    return stored;
  }

  test("is told apart: it happened", async () => {
    await using stack = new AsyncDisposableStack();
    expect(await committing(stack, "happens")).toBe(true);
  });

  test("is told apart: it did not", async () => {
    await using stack = new AsyncDisposableStack();
    expect(await committing(stack, "does not happen")).toBe(false);
  });
});
