import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli, startCli } from "./cli.ts";

// A program of its own: these tests are of the harness, not of the command line.
const PROGRAM = `
const [mode] = process.argv.slice(2) as string[];
if (mode === "wait") { process.on("SIGTERM", () => { console.error("draining"); process.exit(3); }); setInterval(() => {}, 1000); }
console.log(JSON.stringify({ event: "ready", cwd: process.cwd(), node: process.version, secret: process.env.SECRET ?? null, ci: process.env.CI_MARK ?? null }));
if (mode === "once") process.stdout.write("no line break at the end");
`;
let folder: string;
let main: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cli-"));
  main = join(folder, "main.ts");
  await writeFile(main, PROGRAM);
});
afterAll(() => rm(folder, { recursive: true }));

test("runs with its folder and environment alone, and gathers what was printed", async () => {
  process.env["CI_MARK"] = "leaked";
  const result = await runCli(["once"], { main, cwd: folder, env: { SECRET: "s" } });
  expect(result).toMatchObject({ code: 0, signal: null, stderr: "" });
  const [first, last] = result.stdout.split("\n");
  expect(JSON.parse(first ?? "")).toMatchObject({ cwd: folder, secret: "s", ci: null });
  expect((JSON.parse(first ?? "") as { node: string }).node).toMatch(/^v2[2-9]/);
  expect(last).toBe("no line break at the end");
});

test("waits for lines past and future, signals, and tells how it ended", async () => {
  await using cli = startCli(["wait"], { main });
  expect(await cli.waitFor(/"ready"/)).toContain("ready");
  expect(await cli.waitFor((line) => line.includes("ready"))).toContain("ready");
  expect(cli.events()).toMatchObject([{ event: "ready" }]);
  const draining = cli.waitFor(/draining/);
  const never = expect(cli.waitFor(/never said/)).rejects.toThrow(/ended \(3\) without .*never said.*\n.*ready/);
  cli.kill("SIGTERM");
  await draining;
  await never;
  expect(await cli.exit).toEqual({ code: 3, signal: null });
});

test("a wait has an end, and disposing kills", async () => {
  const cli = startCli(["wait"], { main });
  await cli.waitFor(/ready/);
  await expect(cli.waitFor(/never said/, 20)).rejects.toThrow("20 ms passed");
  await cli[Symbol.asyncDispose]();
  expect(await cli.exit).toEqual({ code: null, signal: "SIGKILL" });
  expect(() => process.kill(cli.pid, 0)).toThrow("ESRCH");
});
