import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TailraceError } from "../../contracts/errors.ts";
import { checkpointAt, letterOf } from "../../../test/support/state-values.ts";
import { checksum } from "../checksum.ts";
import { openSqliteState } from "./index.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { StateDatabase } from "./state-database.ts";

const home = mkdtempSync(join(tmpdir(), "tailrace-corrupt-"));
const sound = join(home, "sound.db");
const path = join(home, "state.db");
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

function open(at: string, readOnly = false): StateDatabase {
  return new StateDatabase({ path: at, readOnly, staleMs: 10_000 }, () => {});
}

/** Everything that the state holds, but for who runs what. */
function contents(at: string): unknown {
  const state = open(at, true);
  try {
    const statuses = state.statuses().map((status) => ({ ...status, running: null }));
    return statuses.map((status) => [
      status,
      state.load(status.sync),
      state.failures(status.sync, { limit: 1_000 }),
      state.droppedFailures(status.sync, 1_000, 0),
      state.failureGroups(status.sync),
      state.waitingRequests(status.sync),
    ]);
  } finally {
    state.close();
  }
}

/** "corrupt" when it was detected, naming the file; what was read else. */
function contentsOrCorrupt(at: string): unknown {
  try {
    return contents(at);
  } catch (error) {
    if (error instanceof TailraceError && error.code === "state.corrupt" && error.message.includes(at))
      return "corrupt";
    throw error;
  }
}

function copy(): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  copyFileSync(sound, path);
}

let expected: unknown;
let size = 0;

beforeAll(() => {
  const state = open(sound);
  for (const sync of ["users_to_crm", "orders", "events"]) {
    const owner = state.tryAcquire(sync) ?? "";
    state.commit(owner, {
      checkpoint: checkpointAt(42, { incarnation: `cluster ${"x".repeat(3_000)}` }),
      counts: { delivered: 1_000, rejected: 30 },
      deadLetters: Array.from({ length: 30 }, (_, index) =>
        letterOf(`${sync}-${index}`, { message: `no ${index % 3}`, answer: "an answer ".repeat(8) }),
      ),
    });
    const drop = { by: "ada@example", why: "a test account", atMs: 1_700_000_000_000 };
    state.commit(owner, {
      deadLetters: [letterOf(`${sync}-31`), letterOf(`${sync}-32`)],
      dropped: [
        { id: `${sync}-20`, ...drop },
        { id: `${sync}-21`, ...drop },
      ],
    });
    state.report(owner, {
      phase: "streaming",
      reason: null,
      position: "42",
      lagMs: 1,
      queuedRows: 2,
      queuedBytes: 3,
      perSecond: 4,
      latency: null,
      backfill: null,
      sourceSilentMs: 5,
      detached: null,
    });
    state.request(sync, { kind: "retry", failures: [`${sync}-1`, `${sync}-2`] });
  }
  state.close();
  expected = contents(sound);
  for (const suffix of ["-wal", "-shm"]) rmSync(`${sound}${suffix}`, { force: true });
  size = readFileSync(sound).length;
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("a damaged file is state.corrupt, or reads as it was; it is never changed", () => {
  test("a flipped bit anywhere", () => {
    const bytes = readFileSync(sound);
    let detected = 0;
    fc.assert(
      fc.property(fc.nat(size * 8 - 1), (bit) => {
        copy();
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        writeFileSync(path, flipped);
        const found = contentsOrCorrupt(path);
        if (found === "corrupt") detected += 1;
        else expect(found).toEqual(expected);
        expect(readFileSync(path).equals(flipped)).toBe(true);
      }),
      // Places that were once read wrongly or called something else: the schema format, the text encoding, the id of a
      // request (towards the end of its page, which the walk over all bytes found), the sync of a number of drops.
      { numRuns: 400, examples: [[47 * 8 + 4], [59 * 8 + 1], [28_429 * 8 + 6], [28_579 * 8], [392_760]] },
    );
    // Most of the file is content; the rest is free space, where a flip is no damage.
    expect(detected).toBeGreaterThan(100);
  });

  test("cut off at any length", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat(size - 1),
          fc.nat(size / 4096 - 1).map((pages) => pages * 4096),
        ),
        (length) => {
          copy();
          truncateSync(path, length);
          expect(contentsOrCorrupt(path)).toBe("corrupt");
          expect(readFileSync(path).length).toBe(length);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("stretches of zeros or noise", () => {
    const bytes = readFileSync(sound);
    fc.assert(
      fc.property(
        fc.nat(size - 1),
        fc.uint8Array({ minLength: 1, maxLength: 9_000 }),
        fc.boolean(),
        (at, noise, zero) => {
          copy();
          const damaged = Buffer.from(bytes);
          damaged.set(zero ? new Uint8Array(Math.min(noise.length, size - at)) : noise.subarray(0, size - at), at);
          writeFileSync(path, damaged);
          const found = contentsOrCorrupt(path);
          if (found !== "corrupt") expect(found).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each([
    ["empty", Buffer.alloc(0)],
    ["zeroed", Buffer.alloc(40_960)],
    ["not a database", Buffer.from("hello ".repeat(2_000))],
  ])("%s", async (_, content) => {
    copy();
    writeFileSync(path, content);
    for (const readOnly of [true, false])
      await expect(openSqliteState({ path, readOnly, log: quiet })).rejects.toMatchObject({
        code: "state.corrupt",
        message: expect.stringContaining(path),
      });
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test("another program's database", () => {
    copy();
    rmSync(path);
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE t (a)");
    other.close();
    expect(contentsOrCorrupt(path)).toBe("corrupt");
  });
});

test("gone, but for its log: not a fresh start", () => {
  copy();
  const state = open(path);
  state.commit(state.tryAcquire("orders") ?? "", { checkpoint: checkpointAt(99) });
  copyFileSync(`${path}-wal`, join(home, "kept-wal"));
  state.close();
  rmSync(path);
  copyFileSync(join(home, "kept-wal"), `${path}-wal`);
  for (const readOnly of [true, false]) {
    expect(() => open(path, readOnly)).toThrow(expect.objectContaining({ code: "state.corrupt" }));
    expect(existsSync(path)).toBe(false);
  }
  rmSync(`${path}-wal`);
  const fresh = open(path);
  expect(fresh.statuses()).toEqual([]);
  fresh.close();
});

test("damage to the log reads as a state that was once committed, or is detected", () => {
  copy();
  const state = open(path);
  const owner = state.tryAcquire("orders") ?? "";
  const known = [expected];
  const logged = join(home, "logged.db");
  for (let position = 100; position < 110; position += 1) {
    state.commit(owner, { checkpoint: checkpointAt(position), counts: { delivered: 1, rejected: 0 } });
    copyFileSync(path, logged);
    copyFileSync(`${path}-wal`, `${logged}-wal`);
    known.push(contents(logged));
  }
  const main = readFileSync(path);
  const wal = readFileSync(`${path}-wal`);
  state.close();
  const found = new Set<string>();
  fc.assert(
    fc.property(fc.nat(wal.length * 8 - 1), fc.boolean(), (bit, cut) => {
      copy();
      writeFileSync(path, main);
      const damaged = cut ? Buffer.from(wal.subarray(0, bit >> 3)) : Buffer.from(wal);
      if (!cut) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(`${path}-wal`, damaged);
      const read = contentsOrCorrupt(path);
      found.add(JSON.stringify(read));
      if (read !== "corrupt") expect(known).toContainEqual(read);
    }),
    { numRuns: 60 },
  );
  expect(found.size).toBeGreaterThan(2);
});

test("a row that does not match its checksum is detected while running, too", () => {
  copy();
  const state = open(path);
  const owner = state.tryAcquire("orders") ?? "";
  const { database } = state.connection;
  const corrupt = expect.objectContaining({ code: "state.corrupt", message: expect.stringContaining(path) });
  database.exec("UPDATE sync SET position = '0000000000000043' WHERE name = 'orders'");
  expect(() => state.load("orders")).toThrow(corrupt);
  expect(() => state.commit(owner, { checkpoint: checkpointAt(50) })).toThrow(corrupt);
  database.exec("UPDATE failure SET id = 'events-x' WHERE id = 'events-1'");
  expect(() => state.failures("events", { limit: 100 })).toThrow(corrupt);
  expect(() => state.failureGroups("events")).toThrow(corrupt);
  database.exec("UPDATE dropped SET at_ms = at_ms + 1 WHERE sync = 'events'");
  expect(() => state.droppedFailures("events", 10, 0)).toThrow(corrupt);
  database.exec("UPDATE dropped_count SET count = 9 WHERE sync = 'orders'");
  expect(() => state.droppedFailures("orders", 10, 0)).toThrow(corrupt);
  database.exec("UPDATE request SET sync = 'users' WHERE sync = 'orders'");
  expect(() => state.requestsHeld(owner)).toThrow(corrupt);
  database.exec("UPDATE report SET report = replace(report, '42', '43')");
  expect(() => state.statuses()).toThrow(corrupt);
  state.close();
});

test("a newer schema is refused by name and left alone", async () => {
  copy();
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 99; CREATE TABLE of_the_future (a TEXT) STRICT");
  database
    .prepare("UPDATE meta SET value = '99', checksum = ? WHERE name = 'schema'")
    .run(checksum("meta", ["schema", "99"]));
  database.close();
  const before = readFileSync(path);
  await expect(openSqliteState({ path, log: quiet })).rejects.toMatchObject({
    code: "state.version",
    message: `${path} has state schema 99; this Tailrace knows schemas up to ${SCHEMA_VERSION}`,
  });
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a full disk is state.unavailable, keeps what was stored, and ends when there is room", async () => {
  copy();
  const state = open(path);
  const owner = state.tryAcquire("orders") ?? "";
  const before = state.load("orders");
  const { database } = state.connection;
  const pages = Number(database.prepare("PRAGMA page_count").get()?.["page_count"]);
  database.exec(`PRAGMA max_page_count = ${pages}`);
  const big = {
    checkpoint: checkpointAt(60),
    deadLetters: Array.from({ length: 50 }, (_, index) => letterOf(`big${index}`, { payload: "x".repeat(5_000) })),
  };
  for (let attempt = 0; attempt < 3; attempt += 1) {
    expect(() => state.commit(owner, big)).toThrow(expect.objectContaining({ code: "state.unavailable" }));
    expect(state.load("orders")).toEqual(before);
  }
  // What needs no new page still goes in.
  state.commit(owner, { checkpoint: checkpointAt(50) });
  database.exec("PRAGMA max_page_count = 1073741823");
  state.commit(owner, big);
  expect(state.load("orders")).toMatchObject({ checkpoint: checkpointAt(60) });
  expect(state.failures("orders", { limit: 100 })).toHaveLength(80);
  // A stop on a full disk is an orderly one.
  database.exec(`PRAGMA max_page_count = ${pages}`);
  state.close();
  await using again = await openSqliteState({ path, log: quiet });
  expect(await (await again.acquire("orders", new AbortController().signal)).load()).toMatchObject({
    checkpoint: checkpointAt(60),
  });
});
