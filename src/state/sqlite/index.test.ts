import { existsSync } from "node:fs";
import { cp, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { Log } from "../../contracts/log.ts";
import type { StateStore } from "../../contracts/state.ts";
import { never } from "../../../test/conformance/state-harness.ts";
import { stateStoreSuite } from "../../../test/conformance/state-store.ts";
import { checkpointAt, letterOf } from "../../../test/support/state-values.ts";
import { openSqliteState } from "./index.ts";

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

async function folder(stack: AsyncDisposableStack): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "tailrace-state-"));
  stack.defer(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe("conformance", () => {
  stateStoreSuite(async () => {
    const stack = new AsyncDisposableStack();
    let home = await folder(stack);
    let open: StateStore[] = [];
    stack.defer(async () => {
      for (const store of open) await store[Symbol.asyncDispose]();
    });
    return {
      open: async () => {
        const store = await openSqliteState({
          path: join(home, "state.db"),
          log: quiet,
          timing: { heartbeatMs: 50, pollMs: 10 },
        });
        open.push(store);
        return store;
      },
      outdate: (sync) => {
        const database = new DatabaseSync(join(home, "state.db"), { timeout: 5_000 });
        // A process id that no process has; the heartbeat of the living holder does not change it.
        database.prepare("UPDATE lease SET pid = 4194304 + 1 WHERE sync = ?").run(sync);
        database.close();
        return Promise.resolve();
      },
      crash: async () => {
        // The files as they are now, without the shared memory and what a close would still write.
        const next = await folder(stack);
        for (const file of ["state.db", "state-sent.db"]) {
          for (const suffix of ["", "-wal"]) {
            const from = join(home, file + suffix);
            if (existsSync(from)) await cp(from, join(next, file + suffix));
          }
        }
        for (const store of open) await store[Symbol.asyncDispose]();
        open = [];
        home = next;
        // Its leases are those of a process that ended.
        const database = new DatabaseSync(join(home, "state.db"));
        database.exec("UPDATE lease SET pid = 4194304 + 1");
        database.close();
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });
});

test("the folder is made, and the file is its owner's alone", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "a", "b", "state.db");
  await using store = await openSqliteState({ path, log: quiet });
  const lease = await store.acquire("s", never);
  await lease.commit({ checkpoint: checkpointAt(1) });
  for (const suffix of ["", "-wal", "-shm"]) expect((await stat(`${path}${suffix}`)).mode & 0o777).toBe(0o600);
  expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
});

test("two that start at once on no file share the one that is made", async () => {
  await using stack = new AsyncDisposableStack();
  const path = join(await folder(stack), "state.db");
  const stores = await Promise.all([1, 2, 3, 4].map(() => openSqliteState({ path, log: quiet })));
  for (const store of stores) stack.use(store);
  for (const [index, store] of stores.entries())
    await (await store.acquire(`s${index}`, never)).commit({ deadLetters: [letterOf("a")] });
  expect((await stores[0]?.statuses())?.map(({ sync }) => sync)).toEqual(["s0", "s1", "s2", "s3"]);
});

test("read-only: no file is an empty state, made by nobody; a later one is found; nothing can be written", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await folder(stack);
  const path = join(home, "state.db");
  await using reader = await openSqliteState({ path, readOnly: true, log: quiet });
  expect(await reader.statuses()).toEqual([]);
  expect(await reader.load("s")).toBeNull();
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  await using writer = await openSqliteState({ path, log: quiet });
  await (await writer.acquire("s", never)).commit({ checkpoint: checkpointAt(4) });
  expect(await reader.load("s")).toMatchObject({ checkpoint: checkpointAt(4) });
  expect(await reader.statuses()).toMatchObject([{ sync: "s", running: true }]);
  await expect(reader.request("s", { kind: "pause" })).rejects.toMatchObject({ code: "internal.defect" });
  await expect(reader.acquire("s", never)).rejects.toMatchObject({ code: "internal.defect" });
});

test("what is asked of a closed store is refused", async () => {
  await using stack = new AsyncDisposableStack();
  const store = await openSqliteState({ path: join(await folder(stack), "state.db"), log: quiet });
  const lease = await store.acquire("s", never);
  await store[Symbol.asyncDispose]();
  await expect(store.statuses()).rejects.toMatchObject({ code: "internal.defect" });
  await expect(lease.commit({})).rejects.toMatchObject({ code: "internal.defect" });
  await lease[Symbol.asyncDispose]();
});
