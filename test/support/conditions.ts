// Random `where` conditions, valid in PostgreSQL and in Tailrace alike, and rows for them.
import fc from "fast-check";
import type { Relation } from "../../src/contracts/relation.ts";
import { relationWith } from "./syncs.ts";

export const CONDITION_COLUMNS = {
  id: "bigint",
  n: "numeric",
  m: "numeric",
  t: "text",
  "u U": "text",
  b: "boolean",
  c: "boolean",
};
export const CONDITION_RELATION: Relation = relationWith(CONDITION_COLUMNS);

const numberText = fc.oneof(
  fc.constantFrom("0", "1", "2", "-1", "10", "9.99", "1.0", "0.5", "-0.50", "1e3", "12345678901234567890", "0.000001"),
  fc
    .tuple(fc.integer({ min: -30, max: 30 }), fc.integer({ min: 0, max: 99 }))
    .map(([whole, cents]) => `${whole}.${cents}`),
);
// A small alphabet, so that equal texts, prefixes and matches come up.
const letters = fc.string({ unit: fc.constantFrom("a", "b", "A", "%", "_", "\\", "'", " ", "é", "😀"), maxLength: 4 });
// By code unit the first of these would be the greatest; by code point it is not.
const text = fc.oneof({ weight: 4, arbitrary: letters }, fc.constantFrom("\uffee", "😀", "😀a", "\uffee😀"));
const ascii = fc.string({ unit: fc.constantFrom("a", "b", "A", "B", "%", "_", "1"), maxLength: 4 });

const orNull = (value: fc.Arbitrary<string>): fc.Arbitrary<string | null> => fc.option(value);
const truth = fc.constantFrom("true", "false");

/** One row's texts, by column. */
export const conditionRow: fc.Arbitrary<readonly (string | null)[]> = fc.tuple(
  fc.nat(1000).map(String),
  orNull(fc.oneof(numberText, fc.constantFrom("NaN", "Infinity", "-Infinity"))),
  orNull(numberText),
  orNull(text),
  orNull(ascii),
  orNull(truth),
  orNull(truth),
);

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const numberLiteral = fc.oneof(numberText, numberText.map(quoted), fc.constantFrom("'NaN'", "'Infinity'", "NULL"));
const number = fc.oneof(fc.constantFrom("id", "n", "m", "N", '"n"'), fc.constantFrom("n", "m"));
const textColumn = fc.constantFrom("t", '"u U"');
const textLiteral = fc.oneof(text.map(quoted), ascii.map(quoted), fc.constant("NULL"));
const boolean = fc.constantFrom("b", "c", "TRUE", "false", "NULL");
const operator = fc.constantFrom("=", "<>", "!=", "<", "<=", ">", ">=");
const not = fc.constantFrom("", "NOT ");

const list = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(item, { minLength: 1, maxLength: 4 }).map((items) => `(${items.join(", ")})`);
// `id` is a bigint, and PostgreSQL refuses '0.5' for one.
const decimalColumn = fc.constantFrom("n", "m");
/** Without an escape that ends the pattern, which is an error on both sides. */
const pattern = text.map((value) => value.replace(/\\+$/, ""));

const predicate: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(number, operator, fc.oneof(number, numberText)).map((parts) => parts.join(" ")),
  fc.tuple(decimalColumn, operator, numberLiteral).map((parts) => parts.join(" ")),
  fc.tuple(numberText, operator, number).map((parts) => parts.join(" ")),
  fc.tuple(textColumn, operator, fc.oneof(textColumn, textLiteral)).map((parts) => parts.join(" ")),
  fc.tuple(decimalColumn, not, list(numberLiteral)).map(([left, no, items]) => `${left} ${no}IN ${items}`),
  fc.tuple(textColumn, not, list(textLiteral)).map(([left, no, items]) => `${left} ${no}IN ${items}`),
  fc
    .tuple(decimalColumn, not, numberLiteral, numberLiteral)
    .map(([left, no, low, high]) => `${left} ${no}BETWEEN ${low} AND ${high}`),
  fc
    .tuple(textColumn, not, textLiteral, textLiteral)
    .map(([left, no, low, high]) => `${left} ${no}BETWEEN ${low} AND ${high}`),
  fc.tuple(textColumn, not, pattern).map(([left, no, right]) => `${left} ${no}LIKE ${quoted(right)}`),
  fc.tuple(not, ascii).map(([no, right]) => `"u U" ${no}ILIKE ${quoted(right)}`),
  fc
    .tuple(textColumn, pattern)
    .map(([left, right]) => `${left} LIKE ${quoted(right.replaceAll("b", "%").replace(/A+$/, ""))} ESCAPE 'A'`),
  boolean,
);

/** `a = b`, `a IS …`: no looser operator outside parentheses. */
const { whole } = fc.letrec<{
  whole: string;
  conjunction: string;
  negation: string;
  is: string;
  comparison: string;
  operand: string;
}>((tie) => ({
  whole: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("conjunction"),
    fc.tuple(tie("conjunction"), tie("conjunction")).map((parts) => parts.join(" OR ")),
  ),
  conjunction: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("negation"),
    fc.tuple(tie("negation"), tie("negation")).map((parts) => parts.join(" AND ")),
  ),
  negation: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("is"),
    tie("negation").map((operand) => `NOT ${operand}`),
  ),
  is: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("comparison"),
    fc
      .tuple(tie("comparison"), not, fc.constantFrom("NULL", "TRUE", "FALSE", "UNKNOWN"))
      .map(([operand, no, what]) => `${operand} IS ${no}${what}`),
    fc.tuple(fc.oneof(number, textColumn), not).map(([operand, no]) => `${operand} IS ${no}NULL`),
    fc
      .tuple(tie("operand"), not, tie("comparison"))
      .map(([left, no, right]) => `${left} IS ${no}DISTINCT FROM ${right}`),
    fc.tuple(decimalColumn, not, numberLiteral).map(([left, no, right]) => `${left} IS ${no}DISTINCT FROM ${right}`),
    fc
      .tuple(textColumn, not, fc.oneof(textColumn, textLiteral))
      .map(([left, no, right]) => `${left} IS ${no}DISTINCT FROM ${right}`),
  ),
  comparison: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    predicate,
    fc.tuple(tie("operand"), operator, tie("operand")).map((parts) => parts.join(" ")),
  ),
  operand: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    boolean,
    tie("whole").map((inner) => `(${inner})`),
    fc.tuple(decimalColumn, not, list(numberLiteral)).map(([left, no, items]) => `${left} ${no}IN ${items}`),
  ),
}));

/** A condition's text, with no more parentheses than it happens to have. */
export const condition: fc.Arbitrary<string> = whole;
