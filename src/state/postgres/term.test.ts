import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { now, Term } from "./term.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("ends when no heartbeat was confirmed for its time, counted from when it was sent", () => {
  const sent = now();
  vi.advanceTimersByTime(500);
  const term = new Term("s", 8_000, sent);
  const aborted = vi.fn<() => void>();
  term.lost.addEventListener("abort", aborted);
  vi.advanceTimersByTime(2_000);
  term.confirm(now());
  vi.advanceTimersByTime(7_999);
  expect(aborted).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(aborted).toHaveBeenCalledOnce();
  expect(term.lost.reason).toMatchObject({ code: "state.lease_lost" });
});

test("an answer that comes late counts for when it was asked, and never turns back", () => {
  const term = new Term("s", 8_000, now());
  const old = now();
  vi.advanceTimersByTime(4_000);
  term.confirm(now());
  term.confirm(old);
  vi.advanceTimersByTime(7_000);
  expect(term.lost.aborted).toBe(false);
  term.confirm(old);
  vi.advanceTimersByTime(1_000);
  expect(term.lost.aborted).toBe(true);
});

test("is known to be over when it is asked, before a timer has had its turn", () => {
  const clock = vi.spyOn(performance, "now");
  const term = new Term("s", 8_000, now());
  const nowMs = performance.now();
  // As after a freeze: time has passed, and no timer has fired.
  clock.mockReturnValue(nowMs + 8_001);
  expect(term.lost.aborted).toBe(true);
  clock.mockRestore();
});

test("is known to be over after a suspend in which the monotonic clock stood still, however short before that it was asked", () => {
  const term = new Term("s", 8_000, now());
  expect(term.lost.aborted).toBe(false);
  const bootedS = os.uptime();
  const uptime = vi.spyOn(os, "uptime").mockReturnValue(bootedS + 9);
  syncBuiltinESMExports();
  vi.setSystemTime(Date.now() + 9_000);
  expect(term.lost.aborted).toBe(true);
  uptime.mockRestore();
  syncBuiltinESMExports();
});

test("after it was given back it is not lost", () => {
  const term = new Term("s", 8_000, now());
  term.close();
  vi.advanceTimersByTime(60_000);
  expect(term.lost.aborted).toBe(false);
});
