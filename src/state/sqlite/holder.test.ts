import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isGone, thisProcess } from "./holder.ts";

const me = thisProcess();
const linux = process.platform === "linux";

test("a living process is not gone", () => {
  expect(isGone(me, me)).toBe(false);
  expect(isGone({ ...me, pid: 1, started: "" }, me)).toBe(false);
});

test("an ended one is", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  const pid = child.pid ?? 0;
  await once(child, "exit");
  expect(isGone({ ...me, pid, started: "" }, me)).toBe(true);
});

test.skipIf(!linux)("a later process with the same pid is not the holder", () => {
  expect(me.started).toMatch(/^\d+$/);
  expect(isGone({ ...me, started: String(Number(me.started) - 1) }, me)).toBe(true);
});

test("what cannot be seen from here is not known to be gone", () => {
  const ended = { ...me, pid: 4_194_305 };
  expect(isGone(ended, me)).toBe(true);
  expect(isGone({ ...ended, namespace: "pid:[1]" }, me)).toBe(false);
  expect(isGone({ ...ended, boot: "another" }, me)).toBe(false);
});
