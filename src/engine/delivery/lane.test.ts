import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { relationWith, syncWith } from "../../../test/support/syncs.ts";
import type { Change } from "../../contracts/change.ts";
import { type Delivery, DELIVERED, type Outcome, type Writer } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { newEntry } from "../capture/rows.ts";
import { compileMapping } from "../mapping/compile.ts";
import type { Entry } from "./entry.ts";
import { Gate } from "./gate.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import { Lane, type LaneLimits, type LaneOwner } from "./lane.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => vi.useRealTimers());

const relation = relationWith({ id: "bigint", version: "bigint" });
const mapping = compileMapping(syncWith(), relation);
const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

type Answer = (batch: readonly Delivery[]) => readonly Outcome[] | Promise<readonly Outcome[]>;

/** A lane with a writer that answers as it is told. */
function laneWith(
  answer: Answer,
  options: {
    merges?: boolean;
    limits?: Partial<LaneLimits>;
    concurrency?: number;
    perSecond?: number;
    maySend?: () => boolean;
    needless?: (entry: Entry) => boolean;
    group?: Writer["group"];
  } = {},
) {
  const queue = new KeyedQueue({ merges: options.merges ?? false });
  const gate = new Gate({ concurrency: options.concurrency ?? 4, perSecond: options.perSecond ?? null });
  const requests: {
    readonly atMs: number;
    readonly ids: readonly string[];
    readonly rows: readonly string[];
    readonly attempts: readonly number[];
  }[] = [];
  const delivered: Entry[] = [];
  const rejected: { entry: Entry; error: TailraceError }[] = [];
  const stops: TailraceError[] = [];
  const writer: Writer = {
    ...(options.group && { group: options.group }),
    write: async (batch) => {
      requests.push({
        atMs: Date.now(),
        ids: batch.map(({ id }) => id),
        rows: batch.map(({ record }) => record.json()),
        attempts: batch.map(({ attempt }) => attempt),
      });
      return answer(batch);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const owner: LaneOwner = {
    maySend: options.maySend ?? (() => true),
    announce: options.needless ? async (entries) => entries.filter(options.needless!) : () => null,
    fill: async () => [],
    delivered: (entries) => void delivered.push(...entries),
    rejected: (entry, error) => void rejected.push({ entry, error }),
    progressWith: () => "",
    deadLettersDurable: async () => {},
    stopped: (error) => void stops.push(error),
    room: () => {},
  };
  const abort = new AbortController();
  const limits = { rows: 100, bytes: 1e6, ageMs: 0, attempts: 5, ...options.limits };
  const lane = new Lane({ sync: "s", queue, gate, writer, limits, owner, signal: abort.signal, log: silent });
  let ordinal = 0;
  const add = (key: string, version: number, op: Entry["op"] = "upsert"): void => {
    ordinal += 1;
    const change: Change = {
      op: "update",
      relation,
      before: null,
      after: [key, String(version)],
      position: `p-${String(ordinal).padStart(8, "0")}`,
      transaction: { id: "1", committedAt: 0n },
    };
    const group = { tracker: {}, done() {}, alsoWaits() {}, suppose() {} };
    const entry = newEntry(mapping, op, change, null, change.after, group, 0);
    entry.key = key;
    queue.add(entry);
    gate.wake();
  };
  lane.start();
  return { queue, gate, lane, requests, delivered, rejected, stops, add, abort };
}

/** Lets everything that is due within `ms` happen. */
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

const all =
  (outcome: Outcome): Answer =>
  (batch) =>
    batch.map(() => outcome);

const refused = new TailraceError("destination.refused", "no");
const down = new TailraceError("destination.unavailable", "503");

describe("a request", () => {
  test("is not begun once the sync is somebody else's, and what it was to carry stays unfinished", async () => {
    let ours = true;
    const { add, requests, queue, abort, rejected } = laneWith(all(DELIVERED), {
      maySend: () => {
        // As a lease does that finds out when it is asked.
        if (!ours) abort.abort();
        return ours;
      },
    });
    add("a", 1);
    await pass(0);
    ours = false;
    add("b", 1);
    await pass(60_000);
    expect(requests.map(({ ids }) => ids)).toEqual([["s-p-00000001"]]);
    expect(queue.entries).toBe(1);
    expect(rejected).toEqual([]);
  });

  test("leaves out what need not be sent, and what comes after it of the same key goes on", async () => {
    let needless = "a";
    const { add, requests, queue, delivered } = laneWith(all(DELIVERED), { needless: ({ key }) => key === needless });
    add("a", 1);
    add("b", 1);
    await pass(0);
    expect(requests.map(({ ids }) => ids)).toEqual([["s-p-00000002"]]);
    needless = "b";
    add("a", 2);
    add("b", 2);
    await pass(0);
    expect(requests.map(({ ids }) => ids)).toEqual([["s-p-00000002"], ["s-p-00000003"]]);
    expect(delivered).toHaveLength(2);
    expect(queue.entries).toBe(0);
  });

  test("takes everything that is ready at the end of the turn", async () => {
    const { add, requests, queue } = laneWith(all(DELIVERED));
    add("a", 1);
    add("b", 1);
    await pass(0);
    expect(requests.map(({ ids }) => ids)).toEqual([["s-p-00000001", "s-p-00000002"]]);
    expect(queue.entries).toBe(0);
  });

  test("has deliveries of one group of its writer only, and no more than that has room for; the others follow at once", async () => {
    const writes = { rows: 2 };
    const others = { rows: 10 };
    const { add, requests, queue } = laneWith(all(DELIVERED), { group: (op) => (op === "upsert" ? writes : others) });
    for (const key of ["a", "b", "c"]) add(key, 1);
    add("d", 1, "update");
    add("e", 1);
    await pass(0);
    const idOf = (ordinal: number): string => `s-p-0000000${ordinal}`;
    expect(requests.map(({ ids }) => ids)).toEqual([[idOf(1), idOf(2)], [idOf(3), idOf(5)], [idOf(4)]]);
    expect(requests.flatMap(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1]);
    expect(queue.entries).toBe(0);
  });

  test("waits for more until its age, unless it is full", async () => {
    const { add, requests } = laneWith(all(DELIVERED), { limits: { rows: 3, ageMs: 50 } });
    add("a", 1);
    await pass(49);
    expect(requests).toHaveLength(0);
    await pass(1);
    expect(requests).toHaveLength(1);
    for (const key of ["b", "c", "d"]) add(key, 1);
    await pass(0);
    expect(requests).toHaveLength(2);
  });

  test("that throws is sent again whole, with the same ids, before anything newer of its keys", async () => {
    let failures = 1;
    const { add, requests } = laneWith((batch) => {
      if (failures-- > 0) throw new TailraceError("destination.unknown", "reset");
      return batch.map(() => DELIVERED);
    });
    add("a", 1);
    add("b", 1);
    await pass(0);
    add("a", 2);
    await pass(1000);
    expect(requests.map(({ ids }) => ids)).toEqual([
      ["s-p-00000001", "s-p-00000002"],
      ["s-p-00000001", "s-p-00000002"],
      ["s-p-00000003"],
    ]);
    expect(requests.map(({ attempts }) => attempts[0])).toEqual([1, 2, 1]);
  });

  test("whose answer does not account for every row is not believed for any", async () => {
    let short = true;
    const { add, requests, delivered } = laneWith((batch) => {
      const outcomes = batch.map(() => DELIVERED);
      if (short) outcomes.pop();
      short = false;
      return outcomes;
    });
    add("a", 1);
    add("b", 1);
    await pass(0);
    expect(delivered).toHaveLength(0);
    await pass(1000);
    expect(requests).toHaveLength(2);
    expect(delivered).toHaveLength(2);
  });

  test("refused whole is halved down to the row at fault", async () => {
    const { add, requests, rejected, delivered } = laneWith((batch) => {
      if (batch.some(({ key }) => key[0] === "77")) throw refused;
      return batch.map(() => DELIVERED);
    });
    for (let i = 0; i < 100; i += 1) add(String(i), 1);
    await pass(0);
    expect(rejected.map(({ entry }) => entry.key)).toEqual(["77"]);
    expect(delivered).toHaveLength(99);
    expect(requests.length).toBeLessThanOrEqual(1 + 2 * Math.ceil(Math.log2(100)));
  });
});

describe("a row", () => {
  test("that is rejected does not keep others, nor its own next version, from going on", async () => {
    const { add, requests, rejected } = laneWith((batch) =>
      batch.map(({ record }) =>
        record.values[1] === "1" ? { status: "rejected" as const, error: refused } : DELIVERED,
      ),
    );
    add("a", 1);
    add("a", 2);
    await pass(0);
    expect(rejected.map(({ entry }) => entry.change?.position)).toEqual(["p-00000001"]);
    expect(requests).toHaveLength(2);
  });

  test("that asks for a retry is sent again alone, not before it asked to be", async () => {
    let asked = false;
    const { add, requests } = laneWith((batch) =>
      batch.map(({ key }) => {
        if (key[0] !== "b" || asked) return DELIVERED;
        asked = true;
        return { status: "retry" as const, error: down, afterMs: 5000 };
      }),
    );
    add("a", 1);
    add("b", 1);
    await pass(4999);
    expect(requests).toHaveLength(1);
    await pass(2000);
    expect(requests.map(({ ids }) => ids)).toEqual([["s-p-00000001", "s-p-00000002"], ["s-p-00000002"]]);
  });

  test("that is never taken while others are becomes a dead letter after its attempts", async () => {
    const { add, rejected, delivered } = laneWith((batch) =>
      batch.map(({ key }) => (key[0] === "bad" ? { status: "retry" as const, error: down } : DELIVERED)),
    );
    add("bad", 1);
    await pass(120_000);
    expect(rejected.map(({ error }) => error.code)).toEqual(["delivery.exhausted"]);
    add("good", 1);
    await pass(0);
    expect(delivered).toHaveLength(1);
  });

  test("that breaks every request it is in is found, while the others are taken", async () => {
    const { add, rejected, delivered } = laneWith((batch) => {
      if (batch.some(({ key }) => key[0] === "bad")) throw new TailraceError("destination.unavailable", "500");
      return batch.map(() => DELIVERED);
    });
    for (const key of ["a", "bad", "b"]) add(key, 1);
    await pass(1000);
    for (let i = 0; i < 60; i += 1) {
      add(`later${i}`, 1);
      await pass(10_000);
    }
    expect(rejected.map(({ entry, error }) => [entry.key, error.code])).toEqual([["bad", "delivery.exhausted"]]);
    expect(delivered.map(({ key }) => key)).toEqual(expect.arrayContaining(["a", "b"]));
  });
});

describe("a destination", () => {
  test("that is down for hours loses nothing, is asked seldom, and is caught up with by itself", async () => {
    let up = false;
    const { add, requests, delivered, rejected } = laneWith((batch) => {
      if (!up) throw down;
      return batch.map(() => DELIVERED);
    });
    for (let i = 0; i < 50; i += 1) add(`k${i}`, 1);
    await pass(12 * 3600 * 1000);
    expect(requests.length).toBeLessThan(2000);
    expect(rejected).toHaveLength(0);
    up = true;
    await pass(120_000);
    expect(delivered).toHaveLength(50);
  });

  test("that throttles is not asked by anyone before it said", async () => {
    let throttled = 1;
    const { add, requests } = laneWith((batch) => {
      if (throttled-- > 0) throw new TailraceError("destination.throttled", "429", { afterMs: 7000 });
      return batch.map(() => DELIVERED);
    });
    add("a", 1);
    await pass(0);
    add("b", 1);
    await pass(6999);
    expect(requests).toHaveLength(1);
    await pass(2000);
    expect(requests.length).toBeGreaterThan(1);
  });

  test("that throttles is not asked sooner because a request that was on its way is taken", async () => {
    const taken = Promise.withResolvers<void>();
    const { add, requests, delivered } = laneWith(async (batch) => {
      if (requests.length === 1) await taken.promise;
      else if (requests.length === 2) throw new TailraceError("destination.throttled", "429", { afterMs: 7000 });
      return batch.map(() => DELIVERED);
    });
    add("a", 1);
    await pass(0);
    add("b", 1);
    await pass(0);
    taken.resolve();
    await pass(0);
    expect(delivered).toHaveLength(1);
    add("c", 1);
    await pass(6999);
    expect(requests).toHaveLength(2);
    await pass(2000);
    expect(delivered).toHaveLength(3);
  });

  test("that refuses the credentials is asked again only after a while", async () => {
    const { add, requests, stops } = laneWith(() => {
      throw new TailraceError("destination.auth", "401");
    });
    add("a", 1);
    await pass(7000);
    expect(requests).toHaveLength(1);
    await pass(3600 * 1000);
    expect(requests.length).toBeLessThan(30);
    expect(stops).toEqual([]);
  });

  test("whose configuration is wrong stops the sync, and nothing is finished", async () => {
    const { add, requests, stops, queue } = laneWith(() => {
      throw new TailraceError("destination.config", "404");
    });
    add("a", 1);
    await pass(3600 * 1000);
    expect(stops.map(({ code }) => code)).toEqual(["destination.config"]);
    expect(requests).toHaveLength(1);
    expect(queue.entries).toBe(1);
  });

  test("gets no more requests at a time than it takes", async () => {
    let now = 0;
    let most = 0;
    const { add } = laneWith(
      async (batch) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 100));
        now -= 1;
        return batch.map(() => DELIVERED);
      },
      { limits: { rows: 1 }, concurrency: 3 },
    );
    for (let i = 0; i < 20; i += 1) add(`k${i}`, 1);
    await pass(1000);
    expect(most).toBe(3);
  });

  test("gets no more requests a second than it takes", async () => {
    const { add, requests } = laneWith(all(DELIVERED), { limits: { rows: 1 }, perSecond: 20 });
    for (let i = 0; i < 200; i += 1) add(`k${i}`, 1);
    await pass(5000);
    expect(requests.length).toBeGreaterThan(95);
    expect(requests.length).toBeLessThanOrEqual(103);
  });
});

test("halt lets what is on its way end, and sends nothing more", async () => {
  const { add, requests, lane, delivered } = laneWith(
    async (batch) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return batch.map(() => DELIVERED);
    },
    { limits: { rows: 1 }, concurrency: 2 },
  );
  for (let i = 0; i < 5; i += 1) add(`k${i}`, 1);
  await pass(0);
  const halted = lane.halt();
  await pass(5000);
  await halted;
  expect(requests).toHaveLength(2);
  expect(delivered).toHaveLength(2);
});

test("under any mix of answers: no key has two requests at a time or an older version after a newer one, and every row ends delivered or rejected", async () => {
  const fault = fc.constantFrom(
    "ok",
    "ok",
    "ok",
    "unknown",
    "throttled",
    "down",
    "refused",
    "short",
    "retry-some",
    "reject-some",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom("a", "b", "c", "d", "e"), waitMs: fc.nat({ max: 400 }) }), {
        maxLength: 40,
      }),
      fc.array(fault, { maxLength: 30 }),
      fc.boolean(),
      async (rows, faults, merges) => {
        const atWork = new Set<string>();
        const latest = new Map<string, number>();
        let overlaps = 0;
        let inversions = 0;
        const answer: Answer = async (batch) => {
          for (const { key, record } of batch) {
            if (atWork.has(key[0]!)) overlaps += 1;
            atWork.add(key[0]!);
            const version = Number(record.values[1]);
            if (version < (latest.get(key[0]!) ?? 0)) inversions += 1;
            latest.set(key[0]!, version);
          }
          await new Promise((resolve) => setTimeout(resolve, 20));
          for (const { key } of batch) atWork.delete(key[0]!);
          const kind = faults.shift() ?? "ok";
          if (kind === "unknown") throw new TailraceError("destination.unknown", "x");
          if (kind === "throttled") throw new TailraceError("destination.throttled", "x", { afterMs: 100 });
          if (kind === "down") throw down;
          if (kind === "refused") throw refused;
          const outcomes: Outcome[] = batch.map((_, place) => {
            if (kind === "retry-some" && place % 2 === 0) return { status: "retry", error: down };
            if (kind === "reject-some" && place % 3 === 0) return { status: "rejected", error: refused };
            return DELIVERED;
          });
          if (kind === "short") outcomes.pop();
          return outcomes;
        };
        const { add, queue, lane, abort } = laneWith(answer, { merges, concurrency: 3, limits: { rows: 4 } });
        const versions = new Map<string, number>();
        for (const { key, waitMs } of rows) {
          versions.set(key, (versions.get(key) ?? 0) + 1);
          add(key, versions.get(key)!);
          await pass(waitMs);
        }
        await pass(3600 * 1000);
        expect({ overlaps, inversions, left: queue.entries, retrying: lane.retrying }).toEqual({
          overlaps: 0,
          inversions: 0,
          left: 0,
          retrying: 0,
        });
        abort.abort();
      },
    ),
    { numRuns: 150 },
  );
});

describe("a drain", () => {
  /** One row was delivered, and the one before it was answered with 429 and this `Retry-After`. */
  async function throttled(afterMs: number) {
    let asked = 0;
    const lane = laneWith(
      (batch) => {
        asked += 1;
        if (asked === 1) throw new TailraceError("destination.throttled", "429", { afterMs });
        return batch.map(() => DELIVERED);
      },
      { limits: { rows: 1 }, concurrency: 2 },
    );
    lane.add("a", 1);
    lane.add("b", 1);
    await pass(0);
    lane.add("c", 1);
    expect(lane.delivered.map(({ key }) => key)).toEqual(["b"]);
    let isOver = false;
    void lane.lane.drain().then(() => (isOver = true));
    return { ...lane, isOver: () => isOver };
  }

  test("sends what is missing after a short pause that the destination asked for, and nothing more", async () => {
    const { requests, delivered, isOver } = await throttled(2_000);
    await pass(1_999);
    expect(requests).toHaveLength(2);
    expect(isOver()).toBe(false);
    // A tenth more at the most, and the drain's own look.
    await pass(300);
    expect(delivered.map(({ key }) => key)).toEqual(["b", "a"]);
    expect(isOver()).toBe(true);
  });

  test("does not wait for a long one", async () => {
    const { requests, isOver } = await throttled(60_000);
    await pass(100);
    expect(isOver()).toBe(true);
    expect(requests).toHaveLength(2);
  });
});
