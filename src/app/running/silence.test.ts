import { expect, test } from "vitest";
import { Silence } from "./silence.ts";

test("a source that tells of bytes is silent since the last one, also between two connections", () => {
  const source: { lastByteAtMs: number | null } = { lastByteAtMs: null };
  const silence = new Silence(source);
  expect(silence.lastsMs(1000)).toBeNull();
  silence.batchCame(1000);
  source.lastByteAtMs = 5000;
  expect(silence.lastsMs(5200)).toBe(200);
  source.lastByteAtMs = null;
  expect(silence.lastsMs(9000)).toBe(4000);
  source.lastByteAtMs = 9500;
  expect(silence.lastsMs(9400)).toBe(0);
});

test("a source that does not tell is silent since its last batch", () => {
  const silence = new Silence({});
  expect(silence.lastsMs(1000)).toBeNull();
  silence.batchCame(1000);
  expect(silence.lastsMs(1700)).toBe(700);
});
