import fc from "fast-check";
import { expect, test } from "vitest";
import { hastyRequests, idConflicts, inversions, orderOf, overlaps, RESTART } from "./ledger-order.ts";
import type { LedgerEntry, LedgerRequest, LedgerRow } from "./ledger.ts";
import { fold } from "./oracle.ts";
import { prng } from "./prng.ts";

function row(key: string, version: number, acknowledged = true): LedgerRow {
  const position = String(version).padStart(6, "0");
  return {
    id: `s-${key}-${version}`,
    key,
    op: "upsert",
    version: BigInt(version),
    position,
    committedAt: "2026-01-01T00:00:00Z",
    record: { version: String(version) },
    acknowledged,
  };
}

function request(rows: readonly LedgerRow[], seq: number, from = seq * 10, to = from + 5): LedgerRequest {
  return {
    kind: "request",
    method: "POST",
    path: "/",
    headers: {},
    seq,
    arrivedNs: BigInt(from),
    bodyEndNs: BigInt(from),
    attempt: null,
    bodyBytes: 1,
    bodySha1: null,
    body: null,
    rows,
    action: "answer",
    status: 200,
    answeredNs: BigInt(to),
    endedNs: BigInt(to),
    retryAfterMs: null,
  };
}

interface Run {
  readonly entries: LedgerEntry[];
  readonly latest: ReadonlyMap<string, number>;
  readonly retries: number;
  readonly replays: number;
}

/** What a correct engine's receiver sees: batches in order, some refused and sent again, some replayed after a crash. */
function correctRun(seed: number, versions: number): Run {
  const random = prng(seed);
  const entries: LedgerEntry[] = [];
  const log: LedgerRow[] = [];
  const latest = new Map<string, number>();
  for (let version = 1; version <= versions; version += 1) {
    const key = String(random.int(5));
    log.push(row(key, version));
    latest.set(key, version);
  }
  let seq = 0;
  let retries = 0;
  let replays = 0;
  let furthest = 0;
  let stored = 0;
  let at = 0;
  const send = (rows: readonly LedgerRow[]): void => {
    entries.push(request(rows, seq));
    seq += 1;
  };
  while (at < log.length) {
    const batch = log.slice(at, at + 1 + random.int(6));
    if (random.chance(0.2)) {
      send(batch.map((each) => ({ ...each, acknowledged: false })));
      retries += batch.length;
    }
    send(batch);
    replays += Math.max(0, Math.min(at + batch.length, furthest) - at);
    at += batch.length;
    furthest = Math.max(furthest, at);
    if (random.chance(0.1) && at < log.length) {
      entries.push({ kind: "mark", label: RESTART, atNs: BigInt(seq * 10 - 1) });
      at = stored + random.int(at - stored + 1);
      stored = at;
    }
  }
  return { entries, latest, retries, replays };
}

const SEEDS = fc.record({ seed: fc.nat(), versions: fc.integer({ min: 1, max: 60 }) });

test("a correct run shows no inversion, regression, overlap or conflict, and its repeats are counted", () => {
  fc.assert(
    fc.property(SEEDS, ({ seed, versions }) => {
      const { entries, latest, retries, replays } = correctRun(seed, versions);
      const report = orderOf(entries);
      expect(report.inversions).toEqual([]);
      expect(report.regressions).toEqual([]);
      expect(overlaps(entries)).toEqual([]);
      expect(idConflicts(entries)).toEqual([]);
      const sum = (name: "replays" | "retries" | "needless"): number =>
        report.windows.reduce((total, window) => total + window[name], 0);
      expect([sum("retries"), sum("replays"), sum("needless")]).toEqual([retries, replays, 0]);
      const state = fold(entries);
      expect(new Map([...state].map(([key, record]) => [key, Number(record["version"])]))).toEqual(latest);
    }),
  );
});

test("inversions are exactly the first deliveries that a slower, plainer count finds", () => {
  const rows = fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.integer({ min: 1, max: 8 })), { maxLength: 40 });
  const marks = fc.array(fc.nat(40), { maxLength: 2 });
  fc.assert(
    fc.property(rows, marks, (pairs, restarts) => {
      const entries: LedgerEntry[] = [];
      const expected: string[] = [];
      let window: (typeof pairs)[number][] = [];
      for (const [seq, pair] of pairs.entries()) {
        if (restarts.includes(seq)) {
          entries.push({ kind: "mark", label: RESTART, atNs: BigInt(seq * 10 - 1) });
          window = [];
        }
        const [key, version] = pair;
        entries.push(request([row(key, version)], seq));
        const mine = window.filter(([other]) => other === key);
        const first = !mine.some(([, other]) => other === version);
        if (first && mine.some(([, other]) => other > version)) expected.push(`${seq}:${key}:${version}`);
        window.push(pair);
      }
      expect(inversions(entries).map(({ seq, key, version }) => `${seq}:${key}:${version}`)).toEqual(expected);
    }),
  );
});

test("overlaps are exactly the pairs of intervals that meet and share a key", () => {
  const spans = fc.array(
    fc.record({ key: fc.constantFrom("a", "b", "c"), from: fc.nat(100), length: fc.integer({ min: 1, max: 20 }) }),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(spans, (unsorted) => {
      const sorted = unsorted.toSorted((a, b) => a.from - b.from);
      const entries = sorted.map(({ key, from, length }, seq) => request([row(key, seq)], seq, from, from + length));
      const expected: string[] = [];
      for (const [second, later] of sorted.entries()) {
        for (const [first, earlier] of sorted.slice(0, second).entries()) {
          if (earlier.key === later.key && earlier.from + earlier.length > later.from)
            expected.push(`${first},${second}`);
        }
      }
      expect(
        overlaps(entries)
          .map(({ first, second }) => `${first},${second}`)
          .sort(),
      ).toEqual(expected.sort());
    }),
  );
});

test("a repeat of something older is a regression; after a restart it is a replay", () => {
  const [one, two] = [row("k", 1), row("k", 2)];
  expect(orderOf([request([one], 0), request([two], 1), request([one], 2)])).toMatchObject({
    inversions: [],
    regressions: [{ seq: 2, key: "k", version: 1n }],
    windows: [{ needless: 1 }],
  });
  const restart: LedgerEntry = { kind: "mark", label: RESTART, atNs: 0n };
  expect(orderOf([request([one, two], 0), restart, request([one, two], 1)])).toMatchObject({
    inversions: [],
    regressions: [],
    windows: [
      { rows: 2, replays: 0 },
      { rows: 2, replays: 2 },
    ],
  });
});

test("a delete without a version is ordered by its position, a row that was read is not", () => {
  const gone: LedgerRow = { ...row("k", 5), op: "delete", version: null, record: null };
  expect(inversions([request([gone], 0), request([row("k", 4)], 1)])).toHaveLength(1);
  const read: LedgerRow = { ...row("k", 6), committedAt: null, position: "000001" };
  expect(inversions([request([gone], 0), request([read], 1)])).toEqual([]);
});

test("one id for two things is a conflict; a request within Retry-After is hasty", () => {
  expect(idConflicts([request([row("a", 1)], 0), request([{ ...row("b", 1), id: "s-a-1" }], 1)])).toEqual(["s-a-1"]);
  const throttled = { ...request([], 0, 0, 5), status: 429, retryAfterMs: 1000 };
  const before = request([], 1, 4, 6);
  const within = request([], 2, 900_000_000, 900_000_001);
  const after = request([], 3, 1_000_000_006, 1_000_000_007);
  expect(hastyRequests([throttled, before, within, after])).toEqual([2]);
});
