import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TailraceError } from "../../contracts/errors.ts";
import { retryAfterMs } from "../../kit/http/retry-after.ts";
import { Gate } from "./gate.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => vi.useRealTimers());

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const timeout = new TailraceError("destination.timeout", "no answer");
const throttled = (afterMs?: number) => new TailraceError("destination.throttled", "429", { afterMs });

interface Sent {
  readonly atMs: number;
  /** With it, at that moment. */
  readonly inFlight: number;
}

/** What a vendor makes of a request when it arrives: after so long, this answer; null: taken. */
type Vendor = (request: Sent, place: number) => { readonly afterMs: number; readonly error: TailraceError | null };

/** Syncs that always have something to send, one row a request, through one gate. */
function syncsThrough(gate: Gate, vendor: Vendor, syncs = 1) {
  const sent: Sent[] = [];
  const taken: number[] = [];
  let inFlight = 0;
  const sendOne = async (): Promise<void> => {
    inFlight += 1;
    const request = { atMs: Date.now(), inFlight };
    sent.push(request);
    const { afterMs, error } = vendor(request, sent.length - 1);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    inFlight -= 1;
    if (error === null) {
      taken.push(Date.now());
      gate.succeeded(request.atMs);
    } else gate.failed(error, request.atMs);
  };
  for (let i = 0; i < syncs; i += 1) gate.attach({ ready: () => "live", sendOne });
  gate.wake();
  return { sent, taken };
}

describe("requests at a time", () => {
  test("are halved when the destination throttles, once for those that were on their way together", async () => {
    const gate = new Gate({ concurrency: 16, perSecond: null });
    syncsThrough(gate, (_, place) => ({ afterMs: 10, error: place < 16 ? throttled(1000) : null }));
    await pass(10);
    expect(gate.slowedTo).toBe("8 of 16 requests at a time");
    gate.close();
  });

  test("and when it does not answer in time, but not when a connection is reset or a server fails", async () => {
    for (const [code, slowedTo] of [
      ["destination.timeout", "4 of 8 requests at a time"],
      ["destination.unknown", null],
      ["destination.unavailable", null],
    ] as const) {
      const gate = new Gate({ concurrency: 8, perSecond: null });
      const error = new TailraceError(code, "no");
      syncsThrough(gate, (_, place) => ({ afterMs: 10, error: place === 0 ? error : null }));
      await pass(10);
      expect(gate.slowedTo).toBe(slowedTo);
      gate.close();
    }
  });

  test("come back one by one, up to what was configured", async () => {
    const gate = new Gate({ concurrency: 8, perSecond: null });
    const { sent } = syncsThrough(gate, (_, place) => ({ afterMs: 100, error: place === 0 ? timeout : null }));
    await pass(100);
    expect(gate.slowedTo).toBe("4 of 8 requests at a time");
    await pass(2500);
    expect(gate.slowedTo).toBe("6 of 8 requests at a time");
    await pass(2500);
    expect(gate.slowedTo).toBeNull();
    expect(Math.max(...sent.map(({ inFlight }) => inFlight))).toBe(8);
    gate.close();
  });

  test("settle at what a destination takes that answers only so many in time", async () => {
    const gate = new Gate({ concurrency: 64, perSecond: null });
    const { sent, taken } = syncsThrough(gate, ({ inFlight }) =>
      inFlight > 12 ? { afterMs: 1000, error: timeout } : { afterMs: 50, error: null },
    );
    await pass(60_000);
    const late = sent.filter(({ atMs }) => atMs > Date.now() - 30_000);
    const lateInFlight = late.map(({ inFlight }) => inFlight);
    // A little too many now and then is how it finds out; never much.
    expect(Math.max(...lateInFlight)).toBeLessThanOrEqual(20);
    const perSecond = taken.filter((atMs) => atMs > Date.now() - 30_000).length / 30;
    expect(perSecond).toBeGreaterThan(0.5 * 12 * 20);
    gate.close();
  });
});

test("requests a second settle at what a vendor takes that counts them, and come back when it takes more", async () => {
  const gate = new Gate({ concurrency: 8, perSecond: null });
  let limit = 10;
  let windowAtMs = -1;
  let inWindow = 0;
  const { sent, taken } = syncsThrough(gate, ({ atMs }) => {
    if (atMs - windowAtMs >= 1000) [windowAtMs, inWindow] = [atMs, 0];
    inWindow += 1;
    return {
      afterMs: limit === Infinity ? 50 : 5,
      error: inWindow > limit ? throttled(windowAtMs + 1000 - atMs) : null,
    };
  });
  await pass(300_000);
  const lastMinute = (times: readonly number[]): number => times.filter((atMs) => atMs > Date.now() - 60_000).length;
  const refused = lastMinute(sent.map(({ atMs }) => atMs)) - lastMinute(taken);
  expect(lastMinute(taken) / 60).toBeGreaterThan(6);
  expect(refused).toBeLessThan(12);
  expect(gate.slowedTo).toMatch(/requests a second$/);
  limit = Infinity;
  await pass(250_000);
  expect(gate.slowedTo).toBeNull();
  gate.close();
});

test("never is a request sent before the time that a Retry-After asked for, by any sync, whatever else is answered meanwhile", async () => {
  const fate = fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom("timeout", "down", "auth") },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ fate, afterMs: fc.nat({ max: 3000 }) }), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 3 }),
      async (answers, concurrency, syncs) => {
        const gate = new Gate({ concurrency, perSecond: null });
        const windows: { readonly fromMs: number; readonly toMs: number }[] = [];
        const { sent } = syncsThrough(
          gate,
          ({ atMs }, place) => {
            const answer = answers[place];
            if (answer === undefined) return { afterMs: 60_000, error: null };
            const { afterMs } = answer;
            if (typeof answer.fate !== "number") {
              const code = answer.fate === "down" ? "destination.unavailable" : "destination.auth";
              const error =
                answer.fate === null ? null : answer.fate === "timeout" ? timeout : new TailraceError(code, "no");
              return { afterMs, error };
            }
            windows.push({ fromMs: atMs + afterMs, toMs: atMs + afterMs + answer.fate });
            return { afterMs, error: throttled(answer.fate) };
          },
          syncs,
        );
        for (let i = 0; i < 10 && sent.length < answers.length; i += 1) await pass(120_000);
        const inside = sent.filter(({ atMs }) => windows.some(({ fromMs, toMs }) => atMs > fromMs && atMs < toMs));
        expect(inside).toEqual([]);
        gate.close();
      },
    ),
    { numRuns: 300 },
  );
});

test("refused credentials are tried seldom, one request for all syncs; once they are accepted, it goes on by itself", async () => {
  const gate = new Gate({ concurrency: 8, perSecond: null });
  const refused = new TailraceError("destination.auth", "401");
  let accepted = false;
  const { sent, taken } = syncsThrough(gate, () => ({ afterMs: 20, error: accepted ? null : refused }), 3);
  await pass(20);
  // Those of the first moment were on their way together.
  const together = sent.length;
  expect(together).toBe(8);
  await pass(7000);
  expect(sent).toHaveLength(together);
  await pass(3600_000);
  const times = sent.map(({ atMs }) => atMs).slice(together - 1);
  expect(times.length).toBeLessThan(30);
  for (const [place, atMs] of times.slice(1).entries()) expect(atMs - times[place]!).toBeGreaterThanOrEqual(7500);
  accepted = true;
  await pass(301_000);
  expect(taken.length).toBeGreaterThan(100);
  expect(gate.closedBy).toBeNull();
  gate.close();
});

test.each([
  ["7", 7_000, 8_000],
  ["86400", 3_600_000, 3_602_000],
  ["soon", 50, 100],
  ["-1", 50, 100],
  ["Tue, 20 Jan 2026 00:00:07 GMT", 7_000, 8_000],
])(
  "a Retry-After of %s means between %d and %d ms, and not the same for every destination",
  async (header, least, most) => {
    vi.setSystemTime(new Date("2026-01-20T00:00:00Z"));
    const waits = Array.from({ length: 20 }, () => {
      const gate = new Gate({ concurrency: 1, perSecond: null });
      return gate.failed(throttled(retryAfterMs(header)), Date.now());
    });
    for (const waitMs of waits) {
      expect(waitMs).toBeGreaterThanOrEqual(least);
      expect(waitMs).toBeLessThanOrEqual(most);
    }
    expect(new Set(waits).size).toBeGreaterThan(15);
  },
);
