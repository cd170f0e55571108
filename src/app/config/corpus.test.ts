import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FIXTURE_CONNECTORS } from "../../../test/support/fixture-connectors.ts";
import { type Config, ConfigError, loadConfig } from "./load.ts";
import { type Problem, renderProblems } from "./problem.ts";

const FIXTURES = join(import.meta.dirname, "../../../test/fixtures");
/** Stands for every secret, in files and in variables. */
const CANARY = "canary-7f3a";
const ENVIRONMENT = {
  SHOP_URL: `postgres://shop:${CANARY}@db/shop`,
  HOOK_SECRET: `whsec_${CANARY}`,
  CANARY,
  STRUCTURE: `${CANARY}\nrate: 5`,
  ATTEMPTS: "7",
  BACKFILL: "false",
};

function load(folder: string): Promise<Config> {
  return loadConfig({ workingDirectory: folder, env: ENVIRONMENT, connectors: FIXTURE_CONNECTORS });
}

async function problemsOf(folder: string): Promise<ConfigError> {
  const result = await load(folder).then(
    () => null,
    (error: unknown) => error,
  );
  if (!(result instanceof ConfigError)) throw new Error(`${folder} loads, or fails otherwise`, { cause: result });
  return result;
}

const bad = readdirSync(join(FIXTURES, "bad-config")).sort();
const good = readdirSync(join(FIXTURES, "good-config")).sort();
/** The problem is that there is no one file to point into. */
const WITHOUT_A_PLACE = new Set(["001-no-configuration", "010-file-and-folder"]);

test("the corpus is there", () => {
  expect(bad.length).toBeGreaterThanOrEqual(140);
  expect(good.length).toBeGreaterThanOrEqual(18);
});

describe("bad configurations are refused as expected", () => {
  test.each(bad)("%s", async (name) => {
    const folder = join(FIXTURES, "bad-config", name);
    const { problems, message } = await problemsOf(folder);
    const rendered = renderProblems(problems, { color: false });
    for (const text of [rendered, message, JSON.stringify(problems)]) {
      expect(text).not.toContain(CANARY);
      expect(text).not.toMatch(/^\s+at .*:\d+:\d+/m);
      expect(text).not.toContain(FIXTURES);
    }
    for (const problem of problems) expectWhole(problem, name);
    await expect(`${rendered}\n`).toMatchFileSnapshot(join(folder, "expected.txt"));
  });
});

function expectWhole(problem: Problem, name: string): void {
  expect(problem.file).toMatch(/\.(ya?ml|sql)$/);
  expect(problem.message).not.toBe("");
  expect(problem.fix ?? "").not.toBe("");
  if (WITHOUT_A_PLACE.has(name)) return;
  expect(problem.line).toBeGreaterThan(0);
  expect(problem.column).toBeGreaterThan(0);
}

describe("good configurations load", () => {
  test.each(good)("%s", async (name) => {
    const config = await load(join(FIXTURES, "good-config", name));
    expect(config.sources.size).toBeGreaterThan(0);
    for (const sync of config.syncs) expect(sync.at).toMatch(/^[\w/.-]+\.ya?ml:\d+:\d+$/);
  });
});
