import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type DbtRun, dbtRuns, parseRun } from "./runs.ts";

const FIXTURES = join(import.meta.dirname, "../../../test/fixtures/dbt");
const fixture = (name: string): Promise<string> => readFile(join(FIXTURES, name, "run_results.json"), "utf8");

let folder: string;
let over: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tailrace-dbt-runs-"));
  over = new AbortController();
});
afterEach(async () => {
  over.abort();
  await rm(folder, { recursive: true });
});

test.each(["dbt-1.5", "dbt-1.10"])("%s: what was built without an error is told", async (version) => {
  const run = parseRun(await fixture(`${version}/run`));
  expect(run?.built).toContain("model.shop.customers");
  expect(run?.built).not.toContain("model.shop.broken");
  expect(parseRun(await fixture(`${version}/build`))?.built).toContain("model.shop.golden_users");
});

test.each(["compile", "test"])("`dbt %s` builds nothing, whatever it says of its success", async (command) => {
  expect(await fixture(`dbt-1.10/${command}`)).toMatch(/"status": "(success|pass)"/);
  expect(parseRun(await fixture(`dbt-1.10/${command}`))).toBeNull();
});

test("a file that is no run's is passed over", () => {
  expect(parseRun("{}")).toBeNull();
  expect(parseRun("null")).toBeNull();
});

const next = async (runs: AsyncIterator<DbtRun, void>): Promise<string | undefined> => {
  const { value } = await runs.next();
  return value?.invocation;
};

/** Which way a change is noticed: by the file system, or because it is looked at now and then. */
test.each([
  ["the file system", 3_600_000],
  ["looking", 5],
])("runs are told once each, by %s, half-written files never", async (_, pollMs) => {
  const target = join(folder, "target");
  await mkdir(target);
  const path = join(target, "run_results.json");
  const first = await fixture("dbt-1.10/build");
  await writeFile(path, first);
  const runs = dbtRuns(path, { signal: over.signal, pollMs });
  expect(await next(runs)).toBe(parseRun(first)?.invocation);

  const waiting = next(runs);
  await writeFile(path, first);
  await writeFile(path, await fixture("dbt-1.10/test"));
  const second = await fixture("dbt-1.10/run");
  for (const end of [0, 1, second.length / 2, second.length - 1]) await writeFile(path, second.slice(0, end));
  await writeFile(path, second);
  expect(await waiting).toBe(parseRun(second)?.invocation);

  const renamed = next(runs);
  await writeFile(join(target, "other"), await fixture("dbt-1.5/run"));
  await rename(join(target, "other"), path);
  expect(await renamed).toBe(parseRun(await fixture("dbt-1.5/run"))?.invocation);

  const end = runs.next();
  over.abort();
  expect(await end).toEqual({ done: true, value: undefined });
});

test("a folder that is not there yet, or made anew, is looked at now and then", async () => {
  const target = join(folder, "target");
  const runs = dbtRuns(join(target, "run_results.json"), { signal: over.signal, pollMs: 5 });
  const first = next(runs);
  await cp(join(FIXTURES, "dbt-1.10/build"), target, { recursive: true });
  expect(await first).toBe(parseRun(await fixture("dbt-1.10/build"))?.invocation);
  const second = next(runs);
  await rm(target, { recursive: true });
  await cp(join(FIXTURES, "dbt-1.10/run"), target, { recursive: true });
  expect(await second).toBe(parseRun(await fixture("dbt-1.10/run"))?.invocation);
});
