import fc from "fast-check";
import { expect, test } from "vitest";
import { CONDITION_RELATION, condition, conditionRow } from "../../../test/support/conditions.ts";
import { syncWith } from "../../../test/support/syncs.ts";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import { compileWhere } from "./where.ts";

const mask = fc.tuple(...CONDITION_RELATION.columns.map(() => fc.boolean()));
const fillings = fc.array(conditionRow, { minLength: 1, maxLength: 20 });

test("columns that were not sent: the result holds for whatever they may be, or is null", () => {
  const told = { yes: 0, no: 0 };
  fc.assert(
    fc.property(condition, conditionRow, mask, fillings, (text, row, hidden, others) => {
      const { filter, reads } = compileWhere(syncWith(), { text, at: "tailrace.yml:1:1" }, CONDITION_RELATION);
      const partial: Value[] = row.map((value, place) => (hidden[place]! ? UNCHANGED : value));
      const result = filter(partial);
      const filled = [
        row,
        ...others.map((other) => row.map((value, place) => (hidden[place]! ? other[place]! : value))),
      ];
      if (result === null) {
        told.no++;
        expect(reads.some((place) => hidden[place]!)).toBe(true);
      } else {
        if (reads.some((place) => hidden[place]!)) told.yes++;
        for (const whole of filled) expect(filter(whole)).toBe(result);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(told.no).toBeGreaterThan(100);
  expect(told.yes).toBeGreaterThan(100);
});

test("any text at all is either a condition or a mistake with its place", () => {
  const pieces = fc.constantFrom(
    "t",
    "n",
    "b",
    "=",
    "<",
    "(",
    ")",
    ",",
    "IN",
    "NOT",
    "IS",
    "AND",
    "'a'",
    "1",
    "-",
    "LIKE",
    "BETWEEN",
    "NULL",
    '"u U"',
    "'",
    '"',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.array(pieces).map((parts) => parts.join(" ")),
      ),
      (text) => {
        try {
          compileWhere(syncWith(), { text, at: "tailrace.yml:1:1" }, CONDITION_RELATION);
        } catch (error) {
          expect((error as Error).message).toMatch(
            /^tailrace\.yml:1:1: sync "users_to_crm": where, (line \d+, )?character \d+: /,
          );
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
