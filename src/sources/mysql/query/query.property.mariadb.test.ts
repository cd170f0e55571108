import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TailraceError } from "../../../contracts/errors.ts";
import { Choices } from "../../../../test/support/choices.ts";
import { MARIADB_INSTALLED } from "../../../../test/support/mariadb.ts";
import { MariadbLab, follow } from "../../../../test/support/followed-mariadb-query.ts";
import type { World } from "../../../../test/support/live-tables.ts";
import { queryModel } from "../../../../test/support/models.ts";
import { MARIADB_WORLDS as WORLDS, randomQuery } from "../../../../test/support/random-query.ts";

// TEST_CASES=10000 npm test -- query.property.mariadb    more cases; TEST_SEED repeats a run; TEST_REASONS=20 says what was not followed.
const CASES = Number(process.env["TEST_CASES"] ?? 150);
const SEED = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000_000);
const REASONS = Number(process.env["TEST_REASONS"] ?? 0);
const DAY_MS = 24 * 3600 * 1000;

let lab: MariadbLab;
const seen = { live: 0, diff: 0, refused: 0, changed: 0 };
let models = 0;
const reasons = new Map<string, number>();

beforeAll(async () => {
  if (MARIADB_INSTALLED) lab = await MariadbLab.start(WORLDS);
});
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

async function run(
  world: World,
  query: readonly number[],
  data: readonly number[],
  steps: readonly number[],
): Promise<void> {
  const { sql, key } = randomQuery(new Choices(query), true);
  models += 1;
  let outcome: Awaited<ReturnType<typeof follow>>;
  try {
    outcome = await follow(lab, world, queryModel(sql, { key, name: `m${models}` }), new Choices(data), steps);
  } catch (error) {
    if (!(error instanceof TailraceError) || error.consequence !== "config") throw error;
    seen.refused += 1;
    return;
  }
  if ("analysis" in outcome) {
    seen.diff += 1;
    for (const { construct } of outcome.analysis.reasons) reasons.set(construct, (reasons.get(construct) ?? 0) + 1);
    return;
  }
  seen.live += 1;
  if (outcome.changed) seen.changed += 1;
  expect(outcome.delivered, sql).toBe(outcome.expected);
}

test.skipIf(!MARIADB_INSTALLED)(
  "what is delivered is the model, whenever changes are looked at",
  { timeout: DAY_MS },
  async () => {
    const numbers = (minLength: number, maxLength: number) =>
      fc.array(fc.nat({ max: 839 }), { minLength, maxLength, size: "max" });
    const property = fc.asyncProperty(
      fc.constantFrom(...WORLDS),
      numbers(30, 120),
      numbers(60, 300),
      numbers(4, 16),
      run,
    );
    const details = await fc.check(property, { numRuns: CASES, seed: SEED });
    console.log(`${details.numRuns} cases (seed ${SEED}): ${JSON.stringify(seen)}`);
    const most = [...reasons].sort(([, a], [, b]) => b - a).slice(0, REASONS);
    for (const [construct, count] of most) console.log(`${count} ${construct}`);
    if (!details.failed) return;
    const [world, query, ...rest] = details.counterexample!;
    const { sql } = randomQuery(new Choices(query), true);
    throw new Error(`failed with seed ${SEED}, in ${world.schema}: ${sql}\n${JSON.stringify([query, ...rest])}`, {
      cause: details.errorInstance,
    });
  },
);
