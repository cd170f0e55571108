import { expect, test } from "vitest";
import { UNCHANGED, type Value } from "../../contracts/values.ts";
import { relationWith, syncWith, thrownBy } from "../../../test/support/syncs.ts";
import type { TailraceError } from "../../contracts/errors.ts";
import { compileWhere } from "./where.ts";

const relation = relationWith({
  id: "bigint",
  plan: "text",
  total: "numeric",
  active: "boolean",
  "Full Name": "text",
  created_at: "timestamp with time zone",
});
const AT = "tailrace.yml:21:12";

interface Row {
  readonly id?: Value;
  readonly plan?: Value;
  readonly total?: Value;
  readonly active?: Value;
  readonly "Full Name"?: Value;
  readonly created_at?: Value;
}

function evaluate(text: string, row: Row = {}): boolean | null {
  const where = compileWhere(syncWith(), { text, at: AT }, relation);
  const values = relation.columns.map(({ name }) => {
    const value = row[name as keyof Row];
    return value === undefined ? null : value;
  });
  return where.filter(values);
}

test.each<[string, Row, boolean]>([
  // comparisons
  ["plan = 'pro'", { plan: "pro" }, true],
  ["plan = 'pro'", { plan: "Pro" }, false],
  ["plan != 'internal'", { plan: "pro" }, true],
  ["plan <> 'internal'", { plan: null }, false],
  ["plan < 'q'", { plan: "pro" }, true],
  ["'pro' = plan", { plan: "pro" }, true],
  ["plan = 'it''s'", { plan: "it's" }, true],
  ["plan > '\u{ffff}'", { plan: "\u{10000}" }, true],
  ["total >= 10", { total: "9.99" }, false],
  ["total >= 10", { total: "10.00" }, true],
  ["total = '1e1'", { total: "10.00" }, true],
  ["total < -1.5", { total: "-2" }, true],
  ["total = .5", { total: "0.50" }, true],
  ["total > 1", { total: "NaN" }, true],
  ["id = 9007199254740993", { id: "9007199254740992" }, false],
  ["total = id", { total: "5.0", id: "5" }, true],
  ["created_at >= '2026-01-01'", { created_at: "2026-03-01 00:00:00+00" }, true],
  // booleans
  ["active", { active: "true" }, true],
  ["active", { active: null }, false],
  ["not active", { active: "false" }, true],
  ["not active", { active: null }, false],
  ["active = true", { active: "true" }, true],
  ["active = 'yes'", { active: "true" }, true],
  ["active IS NOT TRUE", { active: null }, true],
  ["active IS FALSE", { active: "false" }, true],
  ["active IS UNKNOWN", { active: null }, true],
  ["(total > 1) = active", { active: "true", total: "2" }, true],
  ["(total > 1) IS NULL", { total: null }, true],
  // nulls
  ["plan IS NULL", { plan: null }, true],
  ["plan IS NOT NULL", { plan: "" }, true],
  ["plan = NULL", { plan: "x" }, false],
  ["NOT (plan = NULL)", { plan: "x" }, false],
  ["plan IS DISTINCT FROM 'a'", { plan: null }, true],
  ["plan IS NOT DISTINCT FROM NULL", { plan: null }, true],
  ["total IS DISTINCT FROM 1.0", { total: "1" }, false],
  ["NULL", {}, false],
  ["NULL OR TRUE", {}, true],
  // lists and ranges
  ["plan IN ('a', 'b')", { plan: "b" }, true],
  ["plan IN ('a', NULL)", { plan: "b" }, false],
  ["plan NOT IN ('a', NULL)", { plan: "b" }, false],
  ["plan NOT IN ('a', 'c')", { plan: "b" }, true],
  ["total IN (1, '2.00', 3)", { total: "2" }, true],
  ["total BETWEEN 1 AND 2", { total: "2.0" }, true],
  ["total NOT BETWEEN 1 AND 2", { total: "2.01" }, true],
  ["total BETWEEN 1 AND NULL", { total: "0" }, false],
  ["total NOT BETWEEN 1 AND NULL", { total: "0" }, true],
  // patterns
  ["plan LIKE 'p%'", { plan: "pro" }, true],
  ["plan NOT LIKE 'p%'", { plan: null }, false],
  ["plan ILIKE 'P_O'", { plan: "pro" }, true],
  ["plan LIKE '10!%' ESCAPE '!'", { plan: "10%" }, true],
  // precedence, names and spelling
  ["active OR plan = 'a' AND total = 1", { active: "true", plan: "b", total: "2" }, true],
  ["(active OR plan = 'a') AND total = 1", { active: "true", plan: "b", total: "2" }, false],
  ["NOT plan = 'a' AND active", { plan: "b", active: "true" }, true],
  ["plan = 'a' IS NULL", { plan: null }, true],
  ["NOT active IS NULL", { active: "true" }, true],
  ["\"Full Name\" = 'Ann'", { "Full Name": "Ann" }, true],
  ["PLAN = 'pro' aNd Active iS tRuE", { plan: "pro", active: "true" }, true],
  ["plan='a'\n  and\ttotal>=1", { plan: "a", total: "1" }, true],
  ["TRUE", {}, true],
  ["1 = 1 AND 'a' = 'a'", {}, true],
])("%s of %j is %s", (text, row, expected) => {
  expect(evaluate(text, row)).toBe(expected);
});

test.each<[string, Row, boolean | null]>([
  ["plan = 'a'", { plan: UNCHANGED }, null],
  ["active", { active: UNCHANGED }, null],
  ["plan = 'a' AND active", { plan: UNCHANGED, active: "false" }, false],
  ["plan = 'a' AND active", { plan: UNCHANGED, active: null }, false],
  ["plan = 'a' AND active", { plan: UNCHANGED, active: "true" }, null],
  ["plan = 'a' OR active", { plan: UNCHANGED, active: "true" }, true],
  ["plan = 'a' OR active", { plan: UNCHANGED, active: "false" }, null],
  ["plan = NULL", { plan: UNCHANGED }, false],
  ["plan IS NULL AND plan = NULL", { plan: UNCHANGED }, false],
  ["(plan = 'a') IS DISTINCT FROM TRUE", { plan: UNCHANGED }, null],
  ["plan IN ('a')", { plan: UNCHANGED }, null],
  ["plan LIKE '%'", { plan: UNCHANGED }, null],
  ["total BETWEEN 5 AND 1", { total: UNCHANGED }, null],
])("%s of %j, where what was not sent may matter, is %s", (text, row, expected) => {
  expect(evaluate(text, row)).toBe(expected);
});

test("it reads only the columns that it names", () => {
  const where = compileWhere(syncWith(), { text: "active AND total > 1 AND active", at: AT }, relation);
  expect(where.reads).toEqual([3, 2]);
});

test.each([
  ["plann = 'a'", "source.model", 'where, character 1: model "users" has no column "plann" (did you mean "plan"?)'],
  ["active AND\n  x = 1", "source.model", 'where, line 2, character 3: model "users" has no column "x"'],
  ["\"PLAN\" = 'a'", "source.model", 'where, character 1: model "users" has no column "PLAN" (did you mean "plan"?)'],
  ["", "config.invalid", "where, character 1: the condition is empty"],
  ["plan = ", "config.invalid", "where, character 8: expected a column or a value, but the condition ends here"],
  ["plan = 'a' plan", "config.invalid", 'where, character 12: expected the end of the condition, but found "plan"'],
  ["plan == 'a'", "config.invalid", 'where, character 7: expected a column or a value, but found "="'],
  ["1 < total < 3", "config.invalid", "where, character 11: comparisons cannot be chained; join them with AND"],
  ["(plan = 'a'", "config.invalid", 'where, character 12: expected ")", but the condition ends here'],
  ["plan = 'a", "config.invalid", "where, character 8: the string is not closed"],
  ['"plan = 1', "config.invalid", "where, character 1: the quoted name is not closed"],
  ["plan IN ()", "config.invalid", 'where, character 10: expected a column or a value, but found ")"'],
  [
    "plan IS 'a'",
    "config.invalid",
    "where, character 9: expected NULL, TRUE, FALSE or DISTINCT FROM after IS, but found 'a'",
  ],
  [
    "plan NOT 'a'",
    "config.invalid",
    "where, character 10: expected IN, BETWEEN, LIKE or ILIKE after NOT, but found 'a'",
  ],
  ["plan LIKE plan", "config.invalid", 'where, character 11: expected a pattern in single quotes, but found "plan"'],
  ["plan LIKE 'a' ESCAPE '!!'", "config.invalid", "where, character 22: ESCAPE takes one character, or none"],
  [
    String.raw`plan LIKE 'a\'`,
    "config.invalid",
    "where, character 1: the pattern must not end with the escape character",
  ],
  ["total LIKE '1%'", "config.invalid", 'where, character 1: LIKE needs a text, and column "total" is a number'],
  ["total > 'abc'", "config.invalid", `where, character 9: column "total" is a number, and 'abc' is not`],
  ["total IN (1, 'x')", "config.invalid", `where, character 14: column "total" is a number, and 'x' is not`],
  [
    "active = 'maybe'",
    "config.invalid",
    `where, character 10: column "active" is true or false, and 'maybe' is neither`,
  ],
  [
    "plan = 5",
    "config.invalid",
    'where, character 8: column "plan" is a text and 5 is a number; they cannot be compared',
  ],
  [
    "active = 1",
    "config.invalid",
    'where, character 10: column "active" is true or false and 1 is a number; they cannot be compared',
  ],
  ["plan", "config.invalid", 'where, character 1: column "plan" is not a condition; compare it with something'],
  ["total IS TRUE", "config.invalid", 'where, character 1: column "total" is neither true nor false'],
  ["'true'", "config.invalid", "where, character 1: 'true' is not a condition; compare it with something"],
  ["lower(plan) = 'a'", "config.invalid", "where, character 1: functions are not available in a where: lower(…)"],
  ["plan = E'a'", "config.invalid", "where, character 8: strings with a prefix (E'…') are not supported"],
  ["total = 12abc", "config.invalid", 'where, character 11: a number cannot be followed by "a"'],
  ["plan::text = 'a'", "config.invalid", 'where, character 5: ":" is not part of a condition'],
  ["plan = 'a'; DROP", "config.invalid", 'where, character 11: ";" is not part of a condition'],
  ["total = - plan", "config.invalid", 'where, character 11: expected a number after "-", but found "plan"'],
  ["select = 1", "config.invalid", 'where, character 1: expected a column or a value, but found "select"'],
])("%j is refused", (text, code, message) => {
  const error = thrownBy(() => evaluate(text));
  expect(error.message).toBe(`${AT}: sync "users_to_crm": ${message}`);
  expect((error as TailraceError).code).toBe(code);
});

test("a condition nested without end is refused, not followed", () => {
  expect(thrownBy(() => evaluate(`${"(".repeat(100_000)}active`)).message).toMatch("nested too deeply");
  expect(thrownBy(() => evaluate(`${"NOT ".repeat(100_000)}active`)).message).toMatch("nested too deeply");
  expect(thrownBy(() => evaluate(`active${" IS NULL".repeat(100_000)}`)).message).toMatch("nested too deeply");
});

test("a condition may be as long as it likes", () => {
  expect(evaluate(`active${" AND active".repeat(100_000)}`, { active: "true" })).toBe(true);
  expect(evaluate(`total IN (0${", 1".repeat(100_000)})`, { total: "2" })).toBe(false);
});

test("names that differ in case only must be written in quotes", () => {
  const twins = relationWith({ Plan: "text", PLAN: "text" });
  const compile = (text: string) => compileWhere(syncWith(), { text, at: AT }, twins);
  expect(thrownBy(() => compile("plan = 'a'")).message).toMatch("write the one you mean in double quotes");
  expect(compile("\"PLAN\" = 'a'").filter(["b", "a"])).toBe(true);
});

test("a text that is not what the source says stops the sync, without showing the text", () => {
  const error = thrownBy(() => evaluate("total > 1", { total: "secret" })) as TailraceError;
  expect(error.code).toBe("internal.defect");
  expect(error.message).not.toContain("secret");
});
