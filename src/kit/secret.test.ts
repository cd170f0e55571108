import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, expect, test } from "vitest";
import { readSecret } from "./secret.ts";

const folder = mkdtempSync(join(tmpdir(), "tailrace-secret-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what a file holds now, without the line break at its end", async () => {
  writeFileSync(join(folder, "token"), "first line\n");
  expect(await readSecret({ file: "token" }, "password", folder)).toBe("first line");
  writeFileSync(join(folder, "token"), " second\r\n");
  expect(await readSecret({ file: join(folder, "token") }, "password", "/")).toBe(" second");
});

test("what a command prints, run in the configuration's folder without a shell", async () => {
  const print = (code: string): readonly string[] => [process.execPath, "-e", code, "$(id) a b"];
  expect(await readSecret({ command: [...print("console.log(process.argv[1])")] }, "password", folder)).toBe(
    "$(id) a b",
  );
  expect(await readSecret({ command: [...print("console.log(process.cwd())")] }, "password", folder)).toBe(folder);
});

test.each([
  [{ file: "absent" }, "`password`: the file absent cannot be read (ENOENT)"],
  [{ file: "." }, "`password`: the file . cannot be read (EISDIR)"],
  [{ command: ["no-such-program"] }, "`password`: the command no-such-program failed (ENOENT)"],
  [
    { command: ["/bin/sh", "-c", "echo canary; echo canary >&2; exit 3"] },
    "`password`: the command /bin/sh failed (3)",
  ],
  [{ command: ["true"] }, "`password`: it is empty"],
])("%j cannot be had: it says why, and nothing of what it saw", async (reference, message) => {
  await expect(readSecret(reference, "password", folder)).rejects.toMatchObject({
    code: "secret.unavailable",
    message,
  });
});
