import fc from "fast-check";
import { expect, test } from "vitest";
import { CONDITION_COLUMNS, CONDITION_RELATION, condition, conditionRow } from "../../../test/support/conditions.ts";
import { testDatabase } from "../../../test/support/postgres.ts";
import { syncWith } from "../../../test/support/syncs.ts";
import { compileWhere } from "./where.ts";

const TYPES = Object.entries(CONDITION_COLUMNS);

test("a where is true, false and unknown for the rows that PostgreSQL says", async () => {
  await using database = await testDatabase();
  const seen = { true: 0, false: 0, unknown: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(condition, { minLength: 1, maxLength: 10 }),
      fc.array(conditionRow, { minLength: 1, maxLength: 10 }),
      async (conditions, rows) => {
        const columns = TYPES.map(([name, type], place) => {
          return `v[${place + 1}]::${type}${type === "text" ? ' COLLATE "C"' : ""} AS "${name}"`;
        });
        const answers = conditions.map(
          (text, index) => `CASE WHEN (${text}) THEN 't' WHEN NOT (${text}) THEN 'f' ELSE 'u' END AS c${index}`,
        );
        const parameters = rows.map((_, index) => `($${index + 1}::text[], ${index})`);
        const expected = await database.rows(
          `SELECT ${answers.join(", ")} FROM (SELECT ${columns.join(", ")}, place FROM (VALUES ${parameters.join(", ")}) AS given (v, place)) AS t ORDER BY place`,
          rows,
        );
        const actual = rows.map((row) => {
          const results = conditions.map((text, index) => [`c${index}`, threeValued(text, row)]);
          return Object.fromEntries(results) as Record<string, string>;
        });
        expect(actual).toEqual(expected);
        for (const answer of expected.flatMap((row) => Object.values(row))) {
          seen[answer === "t" ? "true" : answer === "f" ? "false" : "unknown"]++;
        }
      },
    ),
    { numRuns: 150 },
  );
  // The conditions are worth asking about: each answer came up often.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100);
});

function threeValued(text: string, row: readonly (string | null)[]): "t" | "f" | "u" {
  const is = (condition: string): boolean | null =>
    compileWhere(syncWith(), { text: condition, at: "tailrace.yml:1:1" }, CONDITION_RELATION).filter(row);
  if (is(text) === true) return "t";
  return is(`(${text}) IS NULL`) === true ? "u" : "f";
}
