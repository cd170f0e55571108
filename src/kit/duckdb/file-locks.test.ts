import { expect, test } from "vitest";
import { lockFile } from "./file-locks.ts";

const NEVER = new AbortController().signal;

test("readers share a file, a writer has it alone, and later readers wait behind it", async () => {
  const order: string[] = [];
  const take = async (kind: "read" | "write", name: string, signal = NEVER) => {
    const leave = await lockFile("/nowhere/file", kind, signal);
    order.push(name);
    return leave;
  };
  const [first, second] = [await take("read", "r1"), await take("read", "r2")];
  const stop = new AbortController();
  const cut = take("write", "cut", stop.signal);
  const writer = take("write", "w");
  const reader = take("read", "r3");
  stop.abort(new Error("stopped"));
  await expect(cut).rejects.toThrow("stopped");
  first();
  expect(order).toEqual(["r1", "r2"]);
  second();
  const written = await writer;
  // Another file is no matter of this one's.
  (await lockFile("/nowhere/other", "write", NEVER))();
  expect(order).toEqual(["r1", "r2", "w"]);
  written();
  (await reader)();
  expect(order).toEqual(["r1", "r2", "w", "r3"]);
  (await take("write", "again"))();
});
