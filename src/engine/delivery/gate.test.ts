import { expect, test } from "vitest";
import { TailraceError } from "../../contracts/errors.ts";
import { Gate } from "./gate.ts";

const { signal } = new AbortController();

async function tookMs(work: () => Promise<unknown>): Promise<number> {
  const beganAtMs = performance.now();
  await work();
  return performance.now() - beganAtMs;
}

test("a further request of a write has its turn in the rate", async () => {
  const gate = new Gate({ concurrency: 4, perSecond: 20 });
  await gate.another(signal);
  expect(await tookMs(() => Promise.all([gate.another(signal), gate.another(signal)]))).toBeGreaterThan(60);
  gate.close();
});

test("it is not sent within a pause that was asked for, and not at all once it is aborted", async () => {
  const gate = new Gate({ concurrency: 4, perSecond: null });
  gate.failed(new TailraceError("destination.throttled", "429", { afterMs: 200 }), Date.now());
  const abort = new AbortController();
  const waiting = gate.another(abort.signal);
  expect(await tookMs(() => gate.another(signal))).toBeGreaterThanOrEqual(190);
  await waiting;
  gate.failed(new TailraceError("destination.throttled", "429", { afterMs: 60_000 }), Date.now());
  const never = gate.another(abort.signal);
  abort.abort();
  await expect(never).rejects.toThrow();
  gate.close();
});
